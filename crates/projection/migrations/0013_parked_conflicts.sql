-- Of two events under one revision of a stream the second one is parked alone, as 'conflict', also if the first one is parked
-- and not applied. It was dropped as a copy of the first one.

-- The first header with the name, as the runner and the functions for consumers in other languages read it.
alter table aqueduct.parked add column event_id text generated always as
    (jsonb_path_query_first(headers, '$[*] ? (@.name == "ce_eventid")', '{}', true) ->> 'value') stored;
comment on column aqueduct.parked.event_id is 'id of the event, from its headers; null: not known';

-- As before, but a record is also a conflict if another event is parked under its revision:
--
--   conflict   the revision is that of another event: the last one that was applied, or one that is parked, or will be
--   duplicate  the revision is not greater than the last applied one
--   blocked    an earlier record of the stream is parked, or will be. A copy of a parked record is blocked too, and
--              aqueduct.park drops it
create or replace function aqueduct.inbox_check(
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
               first_value(r.event_id) over (partition by r.inbox, r.stream, r.revision order by r.ordinal) as first_id,
               p.id is not null as is_parked, p.event_id as parked_id
          from record r
          left join lateral (
                   select t.revision, t.blocked, t.event_id, t.event_revision
                     from aqueduct.inbox_streams t
                    where t.inbox = r.inbox and t.stream = r.stream
                    limit 1
               ) s on true
          left join lateral (
                   select t.id, t.event_id
                     from aqueduct.inboxes i
                     join aqueduct.parked t
                       on t.projection = i.projection and t.generation = i.generation
                      and t.source = i.source and t.topic = i.topic
                    where s.blocked and i.inbox = r.inbox and t.stream = r.stream collate "default"
                      and t.revision = r.revision and t.verdict not in ('conflict', 'undecidable')
                    limit 1
               ) p on true
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
    ), judged as (
        select f.*,
               case when f.failed_at is null or f.ordinal <= f.failed_at then f.verdict
                    when f.revision = f.failed_after
                         and f.event_id <> case when f.failed_after > f.applied then f.first_id else f.applied_id end
                    then 'conflict'
                    when f.revision <= f.failed_after then 'duplicate'
                    else 'blocked' end as final
          from failing f
    )
    -- An earlier record of the batch with the revision of one that is not applied was not applied either.
    select j.ordinal, j.inbox, j.stream::text, j.revision, j.event_id, j.applied,
           case when j.final in ('blocked', 'invalid', 'gap') and j.revision is not null
                     and j.event_id <> case when j.is_parked then j.parked_id else j.first_id end
                then 'conflict'
                else j.final end
      from judged j;
end $$;

-- As before; where another event has the revision, the event is not removed but parked as a conflict.
create or replace function aqueduct.parked_assign_revisions(in_ids bigint[], in_revisions bigint[]) returns void
language sql as $$
    with numbered as (
        select p.id, p.event_id, n.revision as own_revision, h.id is not null as is_parked, h.event_id as parked_id,
               row_number() over of_revision = 1 as is_first,
               first_value(p.event_id) over of_revision as first_id
          from unnest(in_ids, in_revisions) as n (id, revision)
          join aqueduct.parked p on p.id = n.id and p.revision is null
          left join lateral (
                   select t.id, t.event_id
                     from aqueduct.parked t
                    where t.projection = p.projection and t.generation = p.generation and t.source = p.source
                      and t.topic = p.topic and t.stream = p.stream and t.revision = n.revision
                      and t.verdict not in ('conflict', 'undecidable')
                    limit 1
               ) h on true
        window of_revision as (partition by n.revision order by n.id)
    ), placed as (
        select n.*, not n.is_parked and n.is_first as has_place,
               coalesce(n.event_id <> case when n.is_parked then n.parked_id else n.first_id end, false) as is_conflict
          from numbered n
    ), assigned as (
        update aqueduct.parked p
           set revision = n.own_revision,
               verdict = case when n.has_place then p.verdict else 'conflict' end,
               code = case when n.has_place then p.code else 'conflict' end,
               reason = case when n.has_place then p.reason
                             else format('%s/%s@%s: another event came before it under revision %s of the stream',
                                         p.topic, p.partition, p."offset", n.own_revision) end
          from placed n
         where p.id = n.id and (n.has_place or n.is_conflict)
    )
    delete from aqueduct.parked p
     using placed n
     where p.id = n.id and not (n.has_place or n.is_conflict)
$$;

-- Without statistics the planner takes any index of the table to be as good, and would sort all rows of a projection: the index of a
-- stream has them in order.
alter function aqueduct.parked_next(integer, text, integer, bigint) set enable_sort = off;
