-- Where each generation of a projection goes on, one row a partition. Written in the transaction of the
-- batch it belongs to; Kafka's committed offsets only show the lag. (A topic's id would tell a topic that was
-- deleted and made again from the one that was read before; the Kafka client in use can't name it.)
create table aqueduct.offsets (
    projection  text    not null,
    generation  integer not null,
    topic       text    not null,
    partition   integer not null,
    next_offset bigint,
    epoch       bigint  not null,
    owner       text    not null,
    claimed_at  timestamptz not null default now(),
    primary key (projection, generation, topic, partition)
) with (fillfactor = 50);

comment on column aqueduct.offsets.next_offset is 'first offset not yet taken; null: from the beginning';
comment on column aqueduct.offsets.epoch is 'raised when the partition gets a new owner; a batch commits only under its own';

-- Makes the caller the owner of a partition. Waits for a batch that its former owner is just committing;
-- what that owner commits later is refused.
create function aqueduct.offsets_claim(
    in_projection text, in_generation integer, in_topic text, in_partition integer, in_owner text
) returns table (claimed_epoch bigint, resume_at bigint)
language sql as $$
    insert into aqueduct.offsets as o (projection, generation, topic, partition, epoch, owner)
    values (in_projection, in_generation, in_topic, in_partition, 1, in_owner)
        on conflict (projection, generation, topic, partition) do update
       set epoch = o.epoch + 1, owner = excluded.owner, claimed_at = now()
    returning o.epoch, o.next_offset
$$;

-- First statement of a batch's transaction: keeps the partitions from being claimed until its end and moves
-- their offsets. Returns the ordinals (from 1) of the partitions that have another owner by now; where there
-- are any, nothing was moved and the transaction is to be rolled back.
create function aqueduct.offsets_advance(
    in_projection text,
    in_generation integer,
    in_topics text[],
    in_partitions integer[],
    in_epochs bigint[],
    in_next_offsets bigint[]
) returns bigint[]
language plpgsql as $$
declare
    lost bigint[];
begin
    -- In the order of the key, so that two owners of overlapping sets wait for each other in one direction.
    perform from aqueduct.offsets o
      join unnest(in_topics, in_partitions) as p (topic, partition)
        on o.topic = p.topic and o.partition = p.partition
     where o.projection = in_projection and o.generation = in_generation
     order by o.topic, o.partition
       for update of o;

    select array_agg(p.ordinal order by p.ordinal) into lost
      from unnest(in_topics, in_partitions, in_epochs) with ordinality
        as p (topic, partition, epoch, ordinal)
     where not exists (
               select from aqueduct.offsets o
                where o.projection = in_projection and o.generation = in_generation
                  and o.topic = p.topic and o.partition = p.partition and o.epoch = p.epoch);
    if lost is not null then
        return lost;
    end if;

    update aqueduct.offsets o
       set next_offset = p.next_offset
      from unnest(in_topics, in_partitions, in_next_offsets) as p (topic, partition, next_offset)
     where o.projection = in_projection and o.generation = in_generation
       and o.topic = p.topic and o.partition = p.partition;
    return '{}';
end $$;

-- Lets an operator read a partition again (the inbox drops what was applied) or, with care, skip ahead. The
-- present owner is fenced, rejoins its group and goes on from the new offset. `in_offset` null: from the
-- beginning.
create function aqueduct.offsets_set(
    in_projection text, in_generation integer, in_topic text, in_partition integer, in_offset bigint
) returns void
language sql as $$
    update aqueduct.offsets
       set next_offset = in_offset, epoch = epoch + 1, owner = 'set by hand'
     where projection = in_projection and generation = in_generation
       and topic = in_topic and partition = in_partition
$$;
