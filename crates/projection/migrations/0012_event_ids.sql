-- The runner in Rust compares the ids of events, as consumers in other languages do since 0010: the inbox row of a stream has
-- the id of its last one.

-- As before, with the ids of the events.
--
-- Checks records, in the order of the arrays, and changes nothing.
--
-- in_inboxes             aqueduct.inbox_of of the record's projection, source and topic
-- in_streams             the stream
-- in_revisions           revision in the stream; null if it can't be read
-- in_previous_revisions  revision of the stream's previous record; -1: this is the first; null: not known
-- in_invalid             true if the record can't be read or applied
-- in_event_ids           id of the event; null: not known, which counts as equal to any other
--
-- Returns one row per record. `applied` is the stream's last applied revision before the call, `verdict` is
--   conflict   the revision is the last applied one, of another event
--   duplicate  the revision is not greater than the last applied one
--   blocked    an earlier record of the stream is parked, or will be
--   invalid    in_invalid, or the revision is null
--   unchecked  the previous revision is not known: apply it, gaps can't be detected
--   apply      the previous revision is the last applied one
--   gap        otherwise
drop function aqueduct.inbox_check(integer[], text[], bigint[], bigint[], boolean[]);
create function aqueduct.inbox_check(
    in_inboxes integer[],
    in_streams text[],
    in_revisions bigint[],
    in_previous_revisions bigint[],
    in_invalid boolean[],
    in_event_ids text[] default null
) returns table (ordinal bigint, inbox integer, stream text, revision bigint, event_id text, applied bigint, verdict text)
-- The planner would scan the table while it is small and keep that plan while it grows: hence the setting and
-- the lateral join, which look each stream up by the index.
language plpgsql stable rows 1000 set enable_seqscan = off as $$
#variable_conflict use_column
begin
    return query
    with record as (
        select r.ordinal, r.inbox, r.stream collate "C" as stream, r.revision, r.previous_revision, r.event_id,
               r.invalid or r.revision is null as invalid
          from unnest(in_inboxes, in_streams, in_revisions, in_previous_revisions, in_invalid, in_event_ids)
               with ordinality
            as r (inbox, stream, revision, previous_revision, invalid, event_id, ordinal)
    ), running as (
        -- Up to the stream's first failure all earlier records were applied, so the revision to compare with is
        -- the running maximum: one pass over a window, no loop.
        select r.*, coalesce(s.blocked, false) as blocked, coalesce(s.revision, -1) as applied,
               case when s.event_revision = s.revision then s.event_id end as applied_id,
               max(r.revision) over (partition by r.inbox, r.stream order by r.ordinal
                                     rows between unbounded preceding and 1 preceding) as earlier,
               first_value(r.event_id) over (partition by r.inbox, r.stream, r.revision order by r.ordinal) as first_id
          from record r
          left join lateral (
                   select t.revision, t.blocked, t.event_id, t.event_revision
                     from aqueduct.inbox_streams t
                    where t.inbox = r.inbox and t.stream = r.stream
                    limit 1
               ) s on true
    ), placed as (
        select r.*, greatest(r.applied, r.earlier) as before,
               case when r.earlier > r.applied then r.first_id else r.applied_id end as before_id
          from running r
    ), alone as (
        select p.*,
               case when p.revision = p.before and p.event_id <> p.before_id then 'conflict'
                    when p.revision <= p.before then 'duplicate'
                    when p.blocked then 'blocked'
                    when p.invalid then 'invalid'
                    when p.previous_revision is null then 'unchecked'
                    when p.previous_revision = p.before then 'apply'
                    else 'gap' end as verdict
          from placed p
    ), failing as (
        select a.*,
               min(a.ordinal) filter (where a.verdict in ('blocked', 'invalid', 'gap')) over of_stream as failed_at,
               min(a.before) filter (where a.verdict in ('blocked', 'invalid', 'gap')) over of_stream as failed_after
          from alone a
        window of_stream as (partition by a.inbox, a.stream)
    )
    select f.ordinal, f.inbox, f.stream::text, f.revision, f.event_id, f.applied,
           case when f.failed_at is null or f.ordinal <= f.failed_at then f.verdict
                when f.revision = f.failed_after
                     and f.event_id <> case when f.failed_after > f.applied then f.first_id else f.applied_id end
                then 'conflict'
                when f.revision <= f.failed_after then 'duplicate'
                else 'blocked' end
      from failing f;
end $$;

-- As before, with the ids of the events.
--
-- Records that each are the next of their stream, which is nearly always the case, are applied in one step.
-- True: they were, and the inbox has moved. False: at least one is not the next (or there are none), and
-- nothing has changed. Arguments as in inbox_check.
drop function aqueduct.inbox_advance(integer[], text[], bigint[], bigint[], boolean[]);
create function aqueduct.inbox_advance(
    in_inboxes integer[],
    in_streams text[],
    in_revisions bigint[],
    in_previous_revisions bigint[],
    in_invalid boolean[],
    in_event_ids text[] default null
) returns boolean
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
    advanced boolean;
begin
    with record as materialized (
        select r.*, r.stream collate "C" as name, row_number() over of_stream = 1 as is_first,
               lag(r.revision) over of_stream as earlier_revision,
               lead(r.ordinal) over of_stream is null as is_last
          from unnest(in_inboxes, in_streams, in_revisions, in_previous_revisions, in_invalid, in_event_ids)
               with ordinality
            as r (inbox, stream, revision, previous_revision, invalid, event_id, ordinal)
        window of_stream as (partition by r.inbox, r.stream collate "C" order by r.ordinal)
    ), checked as (
        -- Null where something is not known, which counts as false.
        select coalesce(bool_and(coalesce(
                   not r.invalid
                   and r.revision > r.previous_revision
                   and case when r.is_first
                            then not coalesce(s.blocked, false) and r.previous_revision = coalesce(s.revision, -1)
                            else r.previous_revision = r.earlier_revision end,
                   false)), false) as all_next
          from record r
          left join lateral (
                   select t.revision, t.blocked
                     from aqueduct.inbox_streams t
                    where r.is_first and t.inbox = r.inbox and t.stream = r.name
                    limit 1
               ) s on true
    ), written as (
        insert into aqueduct.inbox_streams as t (inbox, stream, revision, blocked, event_id, event_revision)
        select r.inbox, r.name, r.revision, false, r.event_id, r.revision
          from record r
         where r.is_last and (select c.all_next from checked c)
            on conflict (inbox, stream) do update
           set revision = excluded.revision, event_id = excluded.event_id, event_revision = excluded.event_revision
    )
    select c.all_next into advanced from checked c;
    return advanced;
end $$;

-- As before, with the ids of the events and the verdict 'conflict', which parks its record alone.
--
-- Checks records and stores which revisions are applied and which streams are blocked. Returns the verdicts in
-- the order of the arrays (see inbox_check).
--
-- In the same transaction the caller owns the records' partitions (aqueduct.offsets_advance, before this
-- call), applies the records with verdict 'apply' and 'unchecked', parks those with 'invalid', 'gap',
-- 'blocked' and 'conflict' (aqueduct.park), and drops the duplicates.
drop function aqueduct.inbox_receive(integer[], text[], bigint[], bigint[], boolean[]);
create function aqueduct.inbox_receive(
    in_inboxes integer[],
    in_streams text[],
    in_revisions bigint[],
    in_previous_revisions bigint[],
    in_invalid boolean[],
    in_event_ids text[] default null
) returns text[]
language plpgsql as $$
declare
    verdicts text[];
begin
    if aqueduct.inbox_advance(in_inboxes, in_streams, in_revisions, in_previous_revisions, in_invalid, in_event_ids) then
        return array_fill('apply'::text, array[cardinality(in_streams)]);
    end if;
    with checked as materialized (
        select *
          from aqueduct.inbox_check(in_inboxes, in_streams, in_revisions, in_previous_revisions, in_invalid,
                                    in_event_ids)
    ), stream as (
        select c.inbox, c.stream, max(c.applied) as before,
               max(c.revision) filter (where c.verdict in ('apply', 'unchecked')) as revision,
               (array_agg(c.event_id order by c.ordinal desc) filter (where c.verdict in ('apply', 'unchecked')))[1]
                   as event_id,
               bool_or(c.verdict in ('blocked', 'invalid', 'gap')) as blocked
          from checked c
         where c.verdict not in ('duplicate', 'conflict')
         group by c.inbox, c.stream
    ), written as (
        insert into aqueduct.inbox_streams as t (inbox, stream, revision, blocked, event_id, event_revision)
        select s.inbox, s.stream, coalesce(s.revision, s.before), s.blocked, s.event_id, s.revision
          from stream s
         order by s.inbox, s.stream
            on conflict (inbox, stream) do update
           set revision = excluded.revision, blocked = t.blocked or excluded.blocked,
               -- Where nothing is applied, the last event stays what it was.
               event_id = case when excluded.event_revision is null then t.event_id else excluded.event_id end,
               event_revision = coalesce(excluded.event_revision, t.event_revision)
    )
    select array_agg(c.verdict order by c.ordinal) into verdicts from checked c;
    return coalesce(verdicts, '{}');
end $$;

-- As before, with in_event_id: the id of the event with in_revision; null: not known.
drop function aqueduct.parked_applied(integer, text, bigint[], bigint);
create function aqueduct.parked_applied(
    in_inbox integer, in_stream text, in_ids bigint[], in_revision bigint, in_event_id text default null
) returns boolean
language plpgsql as $$
declare
    new_revision bigint;
    is_open boolean;
begin
    delete from aqueduct.parked p where p.id = any (in_ids) and p.state = 'parked';
    new_revision := greatest(in_revision, (select s.revision
                                             from aqueduct.inbox_streams s
                                            where s.inbox = in_inbox and s.stream = in_stream));
    select not exists (
               select from aqueduct.inboxes i
                 join aqueduct.parked p
                   on p.projection = i.projection and p.generation = i.generation
                  and p.source = i.source and p.topic = i.topic
                where i.inbox = in_inbox and p.stream = in_stream and p.state = 'parked'
                  and p.verdict not in ('conflict', 'undecidable'))
           and not exists (
               select from aqueduct.inboxes i
                 join aqueduct.parked p
                   on p.projection = i.projection and p.generation = i.generation
                  and p.source = i.source and p.topic = i.topic
                where i.inbox = in_inbox and p.stream = in_stream and p.state = 'discarded'
                  and p.revision > new_revision)
      into is_open;
    update aqueduct.inbox_streams s
       set revision = new_revision, blocked = not is_open,
           event_id = case when in_event_id is null then s.event_id else in_event_id end,
           event_revision = case when in_event_id is null then s.event_revision else in_revision end
     where s.inbox = in_inbox and s.stream = in_stream;
    return is_open;
end $$;
