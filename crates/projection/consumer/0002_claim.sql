-- Registers a projection, or changes who owns it and how it runs. For the role that installs.
create function aqueduct_consumer.register(
    in_projection text, in_generation integer, in_owner name, in_starts_late boolean, in_idle_timeout interval,
    in_lock_timeout interval, in_statement_timeout interval
) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    callable regprocedure;
begin
    if in_projection !~ '^[a-z0-9_]{1,40}$' then
        raise exception 'projection name "%" is not at most 40 lower-case letters, digits and _', in_projection
            using errcode = 'AQ010';
    end if;
    insert into aqueduct_consumer.projections as p
           (projection, generation, owner, starts_late, idle_timeout, lock_timeout, statement_timeout)
    values (in_projection, in_generation, in_owner, in_starts_late, in_idle_timeout, in_lock_timeout, in_statement_timeout)
        on conflict (projection, generation) do update
       set owner = excluded.owner, starts_late = excluded.starts_late, idle_timeout = excluded.idle_timeout,
           lock_timeout = excluded.lock_timeout, statement_timeout = excluded.statement_timeout;
    execute format('grant usage on schema aqueduct_consumer to %I', in_owner);
    for callable in
        select p.oid::regprocedure
          from pg_proc p
         where p.pronamespace = 'aqueduct_consumer'::regnamespace and p.prosecdef
    loop
        execute format('grant execute on function %s to %I', callable, in_owner);
    end loop;
end $$;

create function aqueduct_consumer.milliseconds(in_interval interval) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select floor(extract(epoch from in_interval) * 1000)::bigint::text || 'ms'
$$;

-- Every function begins with this. SQLSTATE AQ010: the projection is not registered; AQ011: the caller does not act for
-- its owner. The time-outs hold for the caller's transaction: a consumer that is frozen in it keeps no lock for long.
create function aqueduct_consumer.authorize(in_projection text, in_generation integer)
returns aqueduct_consumer.projections
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    registered aqueduct_consumer.projections;
begin
    select * into registered
      from aqueduct_consumer.projections p
     where p.projection = in_projection and p.generation = in_generation;
    if not found then
        raise exception 'projection "%", generation %, is not registered in database "%"',
            in_projection, in_generation, current_database()
            using errcode = 'AQ010', hint = 'run: aqueduct projection install NAME --owner ROLE';
    end if;
    if not pg_has_role(session_user, registered.owner, 'member') then
        raise exception 'role "%" is not a member of "%", which owns projection "%"',
            session_user, registered.owner, in_projection
            using errcode = 'AQ011', hint = 'connect as a member, or install with another owner';
    end if;
    perform set_config(setting, aqueduct_consumer.milliseconds(timeout), true)
       from (values ('idle_in_transaction_session_timeout', registered.idle_timeout),
                    ('lock_timeout', registered.lock_timeout),
                    ('statement_timeout', registered.statement_timeout)) as t (setting, timeout);
    return registered;
end $$;

-- Reports the state of partitions for `aqueduct status`, if it has changed or the last report is ten seconds old.
create function aqueduct_consumer.report(
    in_projection text, in_generation integer, in_partitions jsonb, in_state text, in_problem text
) returns void
language sql as $$
    insert into aqueduct.projection_status (projection, generation, topic, partition, owner, epoch, state, problem)
    select o.projection, o.generation, o.topic, o.partition, o.owner, o.epoch, in_state, in_problem
      from jsonb_to_recordset(in_partitions) as p (topic text, partition integer)
      join aqueduct.offsets o
        on o.projection = in_projection and o.generation = in_generation
       and o.topic = p.topic and o.partition = p.partition
     where not exists (
               select from aqueduct.projection_status s
                where s.projection = o.projection and s.generation = o.generation
                  and s.topic = o.topic and s.partition = o.partition and s.epoch = o.epoch
                  and s.state = in_state and s.reported_at > now() - interval '10 seconds')
     order by o.topic, o.partition
        on conflict (projection, generation, topic, partition) do update
       set owner = excluded.owner, epoch = excluded.epoch, state = excluded.state, problem = excluded.problem,
           reported_at = now()
$$;

-- Makes the caller the owner of a partition that Kafka has assigned to it, and says where to resume. Commit it.
--
-- in_topic_id   Kafka's id of the topic, null where the client does not know it
-- in_earliest   first offset that the partition still has
-- in_latest     offset after its last record, listed at most two minutes before the call
-- in_committed  offset that the consumer group has committed in Kafka, null: none
--
-- result 'claimed': read from next_offset, and pass epoch to the other functions. Whoever held the partition before gets
-- SQLSTATE AQ001. 'halted': problem says why nothing of this projection may be read until a person has decided.
create function aqueduct_consumer.claim(
    in_projection text, in_generation integer, in_topic text, in_topic_id text, in_partition integer,
    in_earliest bigint, in_latest bigint, in_committed bigint, in_consumer text
) returns table (result text, epoch bigint, next_offset bigint, problem text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    this jsonb := jsonb_build_array(jsonb_build_object('topic', in_topic, 'partition', in_partition));
    known aqueduct.offsets;
    found_code text;
    found_problem text;
    resume_at bigint;
    -- An epoch is never used twice, even if the database is restored from a backup.
    new_epoch bigint := floor(extract(epoch from clock_timestamp()) * 1000);
begin
    perform aqueduct_consumer.authorize(in_projection, in_generation);
    insert into aqueduct.offsets (projection, generation, topic, partition, epoch, owner)
    values (in_projection, in_generation, in_topic, in_partition, 0, in_consumer)
        on conflict do nothing;
    select * into strict known
      from aqueduct.offsets o
     where o.projection = in_projection and o.generation = in_generation
       and o.topic = in_topic and o.partition = in_partition
       for update;

    resume_at := coalesce(known.next_offset, in_earliest);
    if known.topic_id <> in_topic_id then
        found_code := 'topic_recreated';
        found_problem := format(
            'topic %s is not the one of which partition %s was read up to offset %s: its id is %s, not %s; '
            'it was deleted and created again',
            in_topic, in_partition, known.next_offset, in_topic_id, known.topic_id);
    -- The caller listed the end before this call. If the former owner has moved the offset since, it is beyond that end and
    -- nothing is wrong. Kafka refuses to read from an offset that is beyond the present end, and the consumer claims again.
    elsif resume_at > in_latest
          and coalesce(known.advanced_at < statement_timestamp() - interval '2 minutes', true) then
        found_code := case when known.topic_id = in_topic_id then 'records_lost' else 'topic_recreated' end;
        found_problem := format(
            'partition %s of topic %s was read up to offset %s, but ends at offset %s: %s',
            in_partition, in_topic, known.next_offset, in_latest,
            case when known.topic_id = in_topic_id
                 then 'the topic is the same, and Kafka has lost its last records'
                 else 'the topic was deleted and created again, or Kafka has lost its last records' end);
    elsif resume_at < in_earliest then
        found_code := 'offsets_missing';
        found_problem := format(
            'offsets %s to %s of partition %s of topic %s were removed by retention before they were read',
            resume_at, in_earliest - 1, in_partition, in_topic);
    elsif resume_at < in_committed and not exists (
              select from aqueduct_consumer.halts h
               where h.projection = in_projection and h.generation = in_generation and h.topic = in_topic
                 and h.partition = in_partition and h.code = 'database_restored'
                 and h.accepted_at is not null and h.kafka_offset >= in_committed) then
        found_code := 'database_restored';
        found_problem := format(
            'Kafka''s committed offset of partition %s of topic %s is %s, but this database has applied records up to %s only; '
            'it was restored from an older backup, or is another database',
            in_partition, in_topic, in_committed, resume_at - 1);
    end if;
    if found_code is not null then
        insert into aqueduct_consumer.halts (projection, generation, code, topic, partition, problem, kafka_offset)
        values (in_projection, in_generation, found_code, in_topic, in_partition,
                found_problem || '; to continue, run: aqueduct projection accept ' || in_projection || ' ' || found_code,
                in_committed)
            on conflict do nothing;
    end if;
    select h.problem into found_problem
      from aqueduct_consumer.halts h
     where h.projection = in_projection and h.generation = in_generation and h.accepted_at is null
     order by h.halt
     limit 1;
    if found then
        perform aqueduct_consumer.report(in_projection, in_generation, this, 'halted', found_problem);
        return query select 'halted'::text, null::bigint, null::bigint, found_problem;
        return;
    end if;

    new_epoch := greatest(new_epoch, known.epoch + 1);
    update aqueduct.offsets o
       set epoch = new_epoch, owner = in_consumer, claimed_at = now(),
           topic_id = coalesce(in_topic_id, o.topic_id), next_offset = resume_at,
           -- The former owner cannot move the offset any more: if the end is before it again, the next claim halts.
           advanced_at = case when resume_at > in_latest then null else o.advanced_at end
     where o.projection = in_projection and o.generation = in_generation
       and o.topic = in_topic and o.partition = in_partition;
    perform aqueduct_consumer.report(in_projection, in_generation, this, 'running', null);
    return query select 'claimed'::text, new_epoch, resume_at, null::text;
end $$;

-- Lets a projection continue that was halted with this code. Returns the problems that it accepts; none: there was nothing
-- to accept.
--   topic_recreated    the new topic is read from its beginning; events that were applied are dropped as duplicates
--   records_lost       the same for one partition, of which Kafka has lost the last records
--   offsets_missing    reading continues at the first offset that is left; what is missing shows as gaps
--   database_restored  reading continues where this database stands
create function aqueduct_consumer.accept(in_projection text, in_generation integer, in_code text)
returns setof text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform aqueduct_consumer.authorize(in_projection, in_generation);
    if in_code in ('topic_recreated', 'records_lost', 'offsets_missing') then
        update aqueduct.offsets o
           set next_offset = null, topic_id = null, epoch = o.epoch + 1, owner = 'accept'
          from aqueduct_consumer.halts h
         where h.projection = in_projection and h.generation = in_generation and h.code = in_code
           and h.accepted_at is null and o.projection = h.projection and o.generation = h.generation
           -- A topic is created again as a whole: its other partitions would halt one after the other.
           and o.topic = h.topic and (o.partition = h.partition or in_code = 'topic_recreated');
    end if;
    if in_code = 'topic_recreated' then
        -- Where the runner in Rust keeps the projection.
        return query select a from aqueduct.offsets_accept(in_projection, in_generation) a;
    end if;
    return query
    update aqueduct_consumer.halts h
       set accepted_at = now(), accepted_by = session_user
     where h.projection = in_projection and h.generation = in_generation and h.code = in_code
       and h.accepted_at is null
    returning h.problem;
end $$;

-- Locks partitions until the end of the transaction, in the order of their keys. in_partitions is an array of objects with
-- topic, partition and epoch. SQLSTATE AQ001: one has another owner now; the detail names it. AQ012: the projection is
-- halted.
create function aqueduct_consumer.hold(in_projection text, in_generation integer, in_partitions jsonb)
returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    lost text;
    halted text;
begin
    perform from aqueduct.offsets o
      join jsonb_to_recordset(in_partitions) as p (topic text, partition integer)
        on o.topic = p.topic and o.partition = p.partition
     where o.projection = in_projection and o.generation = in_generation
     order by o.topic, o.partition
       for update of o;
    select string_agg(format('%s/%s', p.topic, p.partition), ', ' order by p.topic, p.partition) into lost
      from jsonb_to_recordset(in_partitions) as p (topic text, partition integer, epoch bigint)
     where not exists (
               select from aqueduct.offsets o
                where o.projection = in_projection and o.generation = in_generation
                  and o.topic = p.topic and o.partition = p.partition and o.epoch = p.epoch);
    if lost is not null then
        raise exception 'stale: a partition of projection "%" has another owner', in_projection
            using errcode = 'AQ001', detail = lost,
                  hint = 'roll back, leave the partition, rejoin the group and claim what it assigns';
    end if;
    select h.problem into halted
      from aqueduct_consumer.halts h
     where h.projection = in_projection and h.generation = in_generation and h.accepted_at is null
     order by h.halt
     limit 1;
    if found then
        raise exception 'projection "%" is halted: %', in_projection, halted using errcode = 'AQ012';
    end if;
end $$;
