-- In one line, as decoders expect it: Postgres breaks it after 76 characters, as in a mail.
create function aqueduct_consumer.base64(in_bytes bytea) returns text
language sql immutable strict set search_path = pg_catalog, pg_temp as $$
    select replace(encode(in_bytes, 'base64'), E'\n', '')
$$;

-- The headers of a parked event by name, the first of each; null: its value is no text.
create function aqueduct_consumer.by_name(in_headers jsonb) returns jsonb
language sql immutable as $$
    select coalesce(jsonb_object_agg(h.header->>'name', h.header->'value' order by h.place desc), '{}')
      from jsonb_array_elements(in_headers) with ordinality as h (header, place)
     where h.header->>'name' is not null
$$;

-- Takes parked events of the caller's partitions whose turn it is: of streams whose gap was filled, and of those that a
-- person wants replayed. Moves the inbox and removes them; the caller applies them, in the order of the rows, in the same
-- transaction. Call it before each batch, and every second when there is none: it also reports to `aqueduct status` that
-- the consumer runs. No row: there is nothing to apply now.
--
-- in_partitions  array of {topic, partition, epoch}
-- in_limit       the most events that it returns; a longer stream continues with the next call
-- in_failed      array of {id, code, reason}: events of an earlier call, rolled back since, that the caller could not
--                apply. They stay parked with the reason, and what is before them is returned
--
-- key, value and the headers' values are in base64; headers is an array of {name, value}.
create function aqueduct_consumer.next_held(
    in_projection text, in_generation integer, in_partitions jsonb, in_limit integer, in_failed jsonb default '[]'
) returns table (id bigint, topic text, partition integer, "offset" bigint, source text, stream text, revision bigint,
                 key text, value text, headers jsonb)
language plpgsql security definer rows 100 set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    registered aqueduct_consumer.projections;
    max_bytes bigint := 4 * 1024 * 1024;
    before bigint;
    last_id text;
    remaining integer := in_limit;
    work record;
    event record;
    follows boolean;
    verdict text;
    code text;
    owned_inbox integer;
    applied bigint;
    passed bigint[];
    problem text;
    outcome text;
begin
    registered := aqueduct_consumer.authorize(in_projection, in_generation);
    perform aqueduct_consumer.hold(in_projection, in_generation, in_partitions);
    perform aqueduct_consumer.report(in_projection, in_generation, in_partitions, 'running', null);
    for work in
        select w.*
          from aqueduct.parked_work w
          join jsonb_to_recordset(in_partitions) as p (topic text, partition integer)
            on p.topic = w.topic and p.partition = w.partition
         where w.projection = in_projection and w.generation = in_generation and w.state = 'waiting'
         order by w.touched_at nulls first, w.action, w.request
         limit in_limit
    loop
        exit when remaining <= 0 or max_bytes <= 0;
        select i.inbox into strict owned_inbox
          from aqueduct.inboxes i
         where i.projection = in_projection and i.generation = in_generation
           and i.source = work.source and i.topic = work.topic;
        if work.action = 'discard' and not work.is_discarded then
            perform aqueduct.parked_discard(work.request, owned_inbox, work.stream, 2147483647);
        end if;
        -- A stream without revisions may be in several partitions: its owners take turns.
        select s.revision into applied
          from aqueduct.inbox_streams s
         where s.inbox = owned_inbox and s.stream = work.stream
           for update;
        last_id := null;
        passed := '{}';
        verdict := null;
        problem := null;
        for event in
            select n.*, aqueduct_consumer.by_name(n.headers) as named, f.id is not null as is_failed, f.code as failed_code,
                   f.reason as failed_reason
              from aqueduct.parked_next(owned_inbox, work.stream, remaining, max_bytes) with ordinality n
              left join jsonb_to_recordset(in_failed) as f (id bigint, code text, reason text) using (id)
             order by n.ordinality
        loop
            before := aqueduct_consumer.number(event.named->>'ce_previousrevision', -1);
            if registered.starts_late and applied = -1 and before >= 0 then
                update aqueduct.inbox_streams s
                   set started_after = before
                 where s.inbox = owned_inbox and s.stream = work.stream;
                applied := before;
            end if;
            follows := event.revision is null or before is null or before = applied;
            if event.state = 'discarded' and (follows or event.revision <= applied) then
                applied := greatest(applied, event.revision);
                continue;
            elsif event.state = 'discarded' then
                verdict := 'gap';
            elsif event.is_failed then
                verdict := 'invalid';
                code := coalesce(event.failed_code, 'row');
                problem := coalesce(event.failed_reason, 'the consumer gave no reason');
            elsif not event.named ? 'ce_source'
                  or event.revision is null and event.named ? 'ce_revision'
                  or before is null and event.named ? 'ce_previousrevision' then
                verdict := 'invalid';
                code := 'headers';
                problem := 'its headers cannot be read, so that its place in the stream is not known';
            elsif event.revision <= applied then
                -- It was applied since.
                passed := passed || event.id;
                continue;
            elsif not follows then
                verdict := 'gap';
            end if;
            if verdict = 'gap' then
                code := 'gap';
                problem := aqueduct_consumer.reason('gap', null, event.revision, before);
            end if;
            if verdict is not null then
                perform aqueduct.parked_again(event.id, verdict, code, problem);
                exit;
            end if;
            passed := passed || event.id;
            remaining := remaining - 1;
            max_bytes := max_bytes - coalesce(octet_length(event.payload), 0) - coalesce(octet_length(event.key), 0);
            if event.revision is not null then
                last_id := event.named->>'ce_eventid';
            end if;
            applied := greatest(applied, event.revision);
            id := event.id;
            topic := work.topic;
            partition := event.partition;
            "offset" := event."offset";
            source := work.source;
            stream := work.stream;
            revision := event.revision;
            key := aqueduct_consumer.base64(event.key);
            value := aqueduct_consumer.base64(event.payload);
            headers := aqueduct_consumer.encoded(event.headers);
            return next;
        end loop;
        outcome := case when aqueduct.parked_applied(owned_inbox, work.stream, passed, applied) then 'done'
                        when problem is not null then 'failed'
                        else 'waiting' end;
        if cardinality(passed) > 0 then
            update aqueduct.inbox_streams s
               set event_id = last_id, event_revision = case when last_id is not null then s.revision end
             where s.inbox = owned_inbox and s.stream = work.stream;
        end if;
        update aqueduct.parked_work w
           set applied = w.applied + cardinality(passed), is_discarded = w.action = 'discard', state = outcome,
               problem = in_problem.text, touched_at = clock_timestamp()
          from (select problem as text) in_problem
         where w.request = work.request and w.projection = in_projection and w.generation = in_generation
           and w.source = work.source and w.topic = work.topic and w.stream = work.stream;
    end loop;
end $$;

-- Stored headers with their values in base64.
create function aqueduct_consumer.encoded(in_headers jsonb) returns jsonb
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select coalesce(jsonb_agg(jsonb_build_object(
               'name', h.header->>'name',
               'value', aqueduct_consumer.base64(coalesce(decode(h.header->>'hex', 'hex'), convert_to(h.header->>'value', 'UTF8'))))
               order by h.place), '[]')
      from jsonb_array_elements(in_headers) with ordinality as h (header, place)
     where h.header ? 'name'
$$;

-- Asks for the replay of parked streams, or gives events up and replays what is after them. Null matches all. Returns how
-- many events were selected; the owner of their partitions takes them with next_held.
create function aqueduct_consumer.replay(
    in_projection text, in_generation integer, in_stream text default null, in_revision bigint default null,
    in_code text default null
) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform aqueduct_consumer.authorize(in_projection, in_generation);
    return (select r.events
              from aqueduct.parked_request('replay', in_projection, null, in_stream, in_revision, in_code, null) r);
end $$;

create function aqueduct_consumer.discard(
    in_projection text, in_generation integer, in_stream text default null, in_revision bigint default null,
    in_code text default null
) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform aqueduct_consumer.authorize(in_projection, in_generation);
    return (select r.events
              from aqueduct.parked_request('discard', in_projection, null, in_stream, in_revision, in_code, null) r);
end $$;

-- Forgets the ids of records without a revision that are older than in_before, at most in_limit of them. From then on such
-- a record is undecidable: the horizon only rises. Returns how many were removed; fewer than in_limit: all.
create function aqueduct_consumer.prune(
    in_projection text, in_generation integer, in_before timestamptz, in_limit integer
) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    removed bigint;
begin
    perform aqueduct_consumer.authorize(in_projection, in_generation);
    insert into aqueduct_consumer.horizons as h (inbox, horizon)
    select i.inbox, in_before
      from aqueduct.inboxes i
     where i.projection = in_projection and i.generation = in_generation
     order by i.inbox
        on conflict (inbox) do update set horizon = greatest(h.horizon, excluded.horizon);
    with old as (
        select t.inbox, t.id
          from aqueduct_consumer.ids t
          join aqueduct.inboxes i using (inbox)
         where i.projection = in_projection and i.generation = in_generation and t.time < in_before
         limit in_limit
    )
    delete from aqueduct_consumer.ids t using old where t.inbox = old.inbox and t.id = old.id;
    get diagnostics removed = row_count;
    return removed;
end $$;
