-- The runner in Rust compares the ids of topics, as consumers in other languages do since 0010.

alter table aqueduct.offsets add column found_topic_id text;
comment on column aqueduct.offsets.topic_id is 'Kafka''s id of the topic that was read; null: not known';
comment on column aqueduct.offsets.found_topic_id is
    'Kafka''s id of the topic that has the name now, if it is another one: nothing is read until a person accepts it';

-- Makes the caller the owner of a partition. Waits for a batch that its former owner is committing; what that owner
-- commits later is rejected.
--
-- in_topic_id  Kafka's id of the topic; null: not known
--
-- If found_topic_id is not null, the topic was deleted and created again after records of it were applied: the caller must
-- not read it, see aqueduct.offsets_accept. A stored id that is not known is taken for the caller's.
drop function aqueduct.offsets_claim(text, integer, text, integer, text);
create function aqueduct.offsets_claim(
    in_projection text, in_generation integer, in_topic text, in_partition integer, in_owner text,
    in_topic_id text default null
) returns table (claimed_epoch bigint, resume_at bigint, topic_id text, found_topic_id text)
language sql as $$
    insert into aqueduct.offsets as o (projection, generation, topic, partition, epoch, owner, topic_id)
    values (in_projection, in_generation, in_topic, in_partition, 1, in_owner, in_topic_id)
        on conflict (projection, generation, topic, partition) do update
       set epoch = o.epoch + 1, owner = excluded.owner, claimed_at = now(),
           -- Where nothing was applied, the topic that has the name is the right one.
           topic_id = case when o.next_offset is null then excluded.topic_id
                           else coalesce(o.topic_id, excluded.topic_id) end,
           found_topic_id = case when o.next_offset is null then null
                                 when excluded.topic_id is null then o.found_topic_id
                                 when excluded.topic_id <> o.topic_id then excluded.topic_id end
    returning o.epoch, o.next_offset, o.topic_id, o.found_topic_id
$$;

-- Lets a projection read topics from their beginning that were deleted and created again; what was applied is dropped as
-- duplicates. Returns what is accepted; no row: no claim has found such a topic.
create function aqueduct.offsets_accept(in_projection text, in_generation integer)
returns setof text
language sql as $$
    with recreated as (
        select distinct o.topic, o.topic_id, o.found_topic_id
          from aqueduct.offsets o
         where o.projection = in_projection and o.generation = in_generation and o.found_topic_id is not null
    ), accepted as (
        -- All partitions of the topic: the others would halt the projection one after the other.
        update aqueduct.offsets o
           set next_offset = null, topic_id = null, found_topic_id = null, epoch = o.epoch + 1, owner = 'accept'
          from (select distinct topic from recreated) r
         where o.projection = in_projection and o.generation = in_generation and o.topic = r.topic
    )
    select format('topic %s is not the one that was read: its id is %s, not %s; it was deleted and created again',
                  r.topic, r.found_topic_id, r.topic_id)
      from recreated r
$$;

-- As before; at the beginning any topic may be read that has the name.
create or replace function aqueduct.offsets_set(
    in_projection text, in_generation integer, in_topic text, in_partition integer, in_offset bigint
) returns void
language sql as $$
    update aqueduct.offsets
       set next_offset = in_offset, epoch = epoch + 1, owner = 'offsets_set',
           topic_id = case when in_offset is not null then topic_id end,
           found_topic_id = case when in_offset is not null then found_topic_id end
     where projection = in_projection and generation = in_generation
       and topic = in_topic and partition = in_partition
$$;
