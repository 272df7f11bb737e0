-- Of two events under one revision of a stream the second one is parked alone, also if the first one is parked and not applied
-- (migration 0013 of the schema aqueduct).

-- As before; a record is also a conflict if another event is parked under its revision.
create or replace function aqueduct_consumer.judge(
    in_projection text, in_generation integer, in_starts_late boolean, in_records jsonb, in_failed jsonb
) returns table (ordinal bigint, inbox integer, source text, topic text, partition integer, "offset" bigint, stream text,
                 id text, revision bigint, previous bigint, "time" timestamptz, own boolean, applied bigint, is_known boolean,
                 result text, code text, reason text)
language plpgsql stable rows 1000 set enable_seqscan = off set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
    with record as (
        select i.inbox, e.*
          from aqueduct_consumer.envelopes(in_records, in_failed) e
          left join aqueduct.inboxes i
            on i.projection = in_projection and i.generation = in_generation
           and i.source = e.source and i.topic = e.topic
    ), running as (
        -- Up to the stream's first failure all earlier records were applied, so the revision to compare with is the
        -- running maximum: one pass over a window, no loop.
        select r.*, s.inbox is not null as is_known, coalesce(s.blocked, false) as blocked,
               coalesce(s.revision, -1) as applied,
               case when s.event_revision = s.revision then s.event_id end as applied_id,
               max(r.revision) over (partition by r.source, r.topic, r.stream order by r.ordinal
                                     rows between unbounded preceding and 1 preceding) as earlier,
               first_value(r.id) over (partition by r.source, r.topic, r.stream, r.revision order by r.ordinal) as first_id,
               row_number() over (partition by r.source, r.topic, r.own, r.id order by r.ordinal) as occurrence,
               f.id is not null as is_taken, h.horizon, p.id is not null as is_parked, p.event_id as parked_id
          from record r
          left join lateral (
                   select t.*
                     from aqueduct.inbox_streams t
                    where t.inbox = r.inbox and t.stream = r.stream collate "C"
                    limit 1
               ) s on true
          left join lateral (
                   select t.id
                     from aqueduct_consumer.ids t
                    where not r.own and t.inbox = r.inbox and t.id = r.id collate "C"
                    limit 1
               ) f on true
          left join aqueduct_consumer.horizons h on not r.own and h.inbox = r.inbox
          left join lateral (
                   select t.id, t.event_id
                     from aqueduct.parked t
                    where s.blocked and t.projection = in_projection and t.generation = in_generation
                      and t.source = r.source and t.topic = r.topic and t.stream = r.stream
                      and t.revision = r.revision and t.verdict not in ('conflict', 'undecidable')
                    limit 1
               ) p on true
    ), placed as (
        select r.*, greatest(r.applied, r.earlier) as before,
               case when r.earlier > r.applied then r.first_id else r.applied_id end as before_id,
               -- The first record of an unknown stream.
               in_starts_late and not r.is_known and r.earlier is null as is_beginning
          from running r
    ), alone as (
        select p.*,
               case when p.own and p.revision = p.before and p.id <> p.before_id then 'conflict'
                    when p.own and p.revision <= p.before then 'duplicate'
                    when not p.own and (p.is_taken or p.occurrence > 1 and p.id is not null) then 'duplicate'
                    when not p.own and p.fault is null and p.time < p.horizon then 'undecidable'
                    when p.blocked then 'blocked'
                    when p.fault is not null then 'invalid'
                    when not p.own then 'new'
                    when p.previous is null then 'unjudged'
                    when p.previous = p.before or p.is_beginning then 'new'
                    else 'gap' end as result
          from placed p
    ), failing as (
        select a.*,
               min(a.ordinal) filter (where a.result in ('blocked', 'invalid', 'gap')) over of_stream as failed_at,
               min(a.before) filter (where a.result in ('blocked', 'invalid', 'gap')) over of_stream as failed_after
          from alone a
        window of_stream as (partition by a.source, a.topic, a.stream)
    ), judged as (
        select f.*,
               case when f.failed_at is null or f.ordinal <= f.failed_at then f.result
                    when not f.own and f.result in ('duplicate', 'undecidable') then f.result
                    when f.own and f.revision = f.failed_after
                         and f.id <> case when f.failed_after > f.applied then f.first_id else f.applied_id end
                    then 'conflict'
                    when f.own and f.revision <= f.failed_after then 'duplicate'
                    else 'blocked' end as final
          from failing f
    ), decided as (
        -- An earlier record of the batch with the revision of one that is not applied was not applied either.
        select j.*,
               case when j.final in ('blocked', 'invalid', 'gap') and j.revision is not null
                         and j.id <> case when j.is_parked then j.parked_id else j.first_id end
                    then 'conflict'
                    else j.final end as verdict
          from judged j
    )
    select d.ordinal, d.inbox, d.source, d.topic, d.partition, d."offset", d.stream, d.id, d.revision, d.previous, d.time,
           d.own, d.applied, d.is_known, d.verdict,
           case when d.verdict = 'invalid' then d.code
                when d.verdict not in ('new', 'unjudged', 'duplicate') then d.verdict end,
           aqueduct_consumer.reason(d.verdict, d.fault, d.revision, d.previous)
      from decided d;
end $$;

-- As before, with another text for a conflict.
create or replace function aqueduct_consumer.reason(in_result text, in_fault text, in_revision bigint, in_previous bigint)
returns text
language sql immutable as $$
    select case in_result
           when 'invalid' then in_fault
           when 'blocked' then 'an earlier event of the stream is parked'
           when 'conflict' then format('another event came before it under revision %s of the stream', in_revision)
           when 'undecidable' then 'it is older than the message ids that are kept: whether it was applied cannot be told'
           when 'gap' then case when in_previous >= 0
                then format('gap: revision %s, which precedes it, is not the last applied one', in_previous)
                else 'gap: it is marked as the first record of its stream, but others were applied' end
           end
$$;
