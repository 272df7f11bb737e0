-- A header's number, or null if it is none from in_least to 2^63 - 1.
create function aqueduct_consumer.number(in_text text, in_least integer) returns bigint
language sql immutable as $$
    select case when in_text ~ '^(-1|[0-9]{1,19})$'
                then case when in_text::numeric between in_least and 9223372036854775807 then in_text::bigint end end
$$;

-- A header's time, or null if it is none as in RFC 3339.
create function aqueduct_consumer.instant(in_text text) returns timestamptz
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
    if in_text ~ '^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$' then
        return in_text::timestamptz;
    end if;
    return null;
exception when datetime_field_overflow or invalid_datetime_format or invalid_time_zone_displacement_value then
    return null;
end $$;

-- A record's source as the inbox has it: too long a one does not fit into an index.
create function aqueduct_consumer.source_of(in_source text) returns text
language sql immutable as $$
    select case when octet_length(in_source) > 1024 then '' else coalesce(in_source, '') end
$$;

-- Reads the envelopes of a batch. See receive for the fields of in_records and in_failed.
--   fault  why the record cannot be applied; null: nothing is wrong with it
--   own    it has a revision, as the relay's records do
--   id     id by which a record of another producer, or the event of a record of our own, is told from others
create function aqueduct_consumer.envelopes(in_records jsonb, in_failed jsonb)
returns table (ordinal bigint, topic text, partition integer, "offset" bigint, source text, stream text, id text,
               revision bigint, previous bigint, "time" timestamptz, own boolean, code text, fault text)
language plpgsql stable rows 1000 set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
    with failed as (
        select distinct on (f.ordinal) f.ordinal, coalesce(f.code, 'payload') as code,
               left(coalesce(f.reason, 'the consumer gave no reason'), 2000) as reason
          from jsonb_to_recordset(in_failed) as f (ordinal bigint, code text, reason text)
    ), record as (
        select r.*, r.ce_revision is not null as own
          from rows from (jsonb_to_recordset(in_records)
                          as (topic text, partition integer, "offset" bigint, key text, timestamp bigint,
                              ce_source text, ce_subject text, ce_id text, ce_eventid text, ce_revision text,
                              ce_previousrevision text, ce_time text))
               with ordinality
            as r (topic, partition, "offset", key, timestamp, ce_source, ce_subject, ce_id, ce_eventid,
                  ce_revision, ce_previousrevision, ce_time, ordinal)
    ), read as (
        select r.*, aqueduct_consumer.number(r.ce_revision, 0) as revision,
               aqueduct_consumer.number(r.ce_previousrevision, -1) as previous,
               -- The stream of a record of our own is its subject, which must be its key.
               coalesce(r.key, case when not r.own then r.ce_subject end, '') as name,
               -- Longer ones do not fit into an index.
               (select h.name
                  from (values ('ce_source', r.ce_source), ('ce_subject', r.ce_subject), ('ce_id', r.ce_id),
                               ('ce_eventid', r.ce_eventid)) as h (name, value)
                 where octet_length(h.value) > 1024
                 limit 1) as too_long
      from record r
    )
    select r.ordinal, r.topic, r.partition, r."offset",
           aqueduct_consumer.source_of(r.ce_source),
           case when octet_length(r.name) > 1024 then left(r.name, 200) || '#' || md5(r.name) else r.name end,
           -- Without a source an id says nothing.
           case when r.too_long is null and r.ce_source is not null
                then case when r.own then r.ce_eventid else r.ce_id end end,
           case when r.key is not distinct from r.ce_subject then r.revision end, r.previous,
           coalesce(aqueduct_consumer.instant(r.ce_time), to_timestamp(r.timestamp / 1000.0), '-infinity'), r.own,
           case when f.reason is not null then f.code else 'headers' end,
           case when f.reason is not null then f.reason
                when r.too_long is not null then format('header %s is longer than 1024 bytes', r.too_long)
                when octet_length(r.key) > 1024 then 'the key is longer than 1024 bytes'
                when r.ce_source is null then 'header ce_source is missing'
                when not r.own and r.ce_id is null
                then 'it has neither a revision nor a message id (headers ce_revision, ce_id): a duplicate could not be told from it'
                when not r.own then null
                when r.ce_subject is null then 'header ce_subject is missing'
                when r.key is distinct from r.ce_subject
                then format('the record''s key is %s, but header ce_subject names the stream "%s"',
                            coalesce('"' || left(r.key, 200) || '"', 'null'), left(r.ce_subject, 200))
                when r.revision is null
                then format('header ce_revision is "%s", expected a number from 0 to 9223372036854775807',
                            left(r.ce_revision, 200))
                when r.ce_previousrevision is not null and r.previous is null
                then format('header ce_previousrevision is "%s", expected a number from -1',
                            left(r.ce_previousrevision, 200))
                end
      from read r
      left join failed f using (ordinal);
end $$;

-- Judges the envelopes of a batch and changes nothing. inbox is null for the first record of a source and topic. code and
-- reason are those of a record that must be parked, else null.
--
-- The streams are looked up by the index: the planner would scan the table while it is small and keep that plan while it
-- grows, hence the setting and the lateral joins.
create function aqueduct_consumer.judge(
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
               f.id is not null as is_taken, h.horizon
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
    ), final as (
        select f.*,
               case when f.failed_at is null or f.ordinal <= f.failed_at then f.result
                    when not f.own and f.result in ('duplicate', 'undecidable') then f.result
                    when f.own and f.revision = f.failed_after
                         and f.id <> case when f.failed_after > f.applied then f.first_id else f.applied_id end
                    then 'conflict'
                    when f.own and f.revision <= f.failed_after then 'duplicate'
                    else 'blocked' end as verdict
          from failing f
    )
    select f.ordinal, f.inbox, f.source, f.topic, f.partition, f."offset", f.stream, f.id, f.revision, f.previous, f.time,
           f.own, f.applied, f.is_known, f.verdict,
           case when f.verdict = 'invalid' then f.code
                when f.verdict not in ('new', 'unjudged', 'duplicate') then f.verdict end,
           aqueduct_consumer.reason(f.verdict, f.fault, f.revision, f.previous)
      from final f;
end $$;

-- SQLSTATE 40001: a stream or a message was taken at the same time from another partition. The caller takes the batch again.
create function aqueduct_consumer.expect(in_is_complete boolean) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if not in_is_complete then
        raise exception 'a stream or a message of the batch was taken from another partition at the same time'
            using errcode = '40001';
    end if;
    return true;
end $$;

-- Judges a batch and stores what is applied, in the transaction in which the caller applies it. One row a record, in the
-- order of in_records:
--
--   new          apply it
--   unjudged     apply it; it does not say which revision was before it, so that a gap could not be seen (counted)
--   duplicate    drop it, it was applied before
--   gap          park it: a revision before it is missing
--   blocked      park it: an earlier event of its stream is parked
--   invalid      park it: its envelope cannot be read, or in_failed names it
--   conflict     park it: another event was applied under the same revision; the stream continues
--   undecidable  park it: it is older than the ids that are kept; the stream continues
--
-- in_partitions  array of {topic, partition, epoch}: all partitions of the batch, with the epochs of claim
-- in_records     array of {topic, partition, offset, key, timestamp, ce_source, ce_subject, ce_id, ce_revision,
--                ce_previousrevision, ce_time, ce_eventid}: key and the headers as text, as far as the record has them; timestamp is
--                Kafka's, in milliseconds
-- in_failed      array of {ordinal, code, reason}: records, counted from 1, that the caller cannot read or apply. code is
--                one of payload, unknown_type, row, headers
--
-- A record that turns out to be impossible to apply: roll back to the savepoint before receive and call it again for the
-- whole batch, with all failures so far.
create function aqueduct_consumer.receive(
    in_projection text, in_generation integer, in_partitions jsonb, in_records jsonb, in_failed jsonb default '[]'
) returns table (ordinal integer, result text, reason text)
language plpgsql security definer rows 1000 set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    registered aqueduct_consumer.projections;
    foreign_partition text;
begin
    registered := aqueduct_consumer.authorize(in_projection, in_generation);
    perform aqueduct_consumer.hold(in_projection, in_generation, in_partitions);

    -- A consumer that committed without parking left them.
    delete from aqueduct_consumer.unparked u
     using jsonb_to_recordset(in_partitions) as p (topic text, partition integer)
     where u.projection = in_projection and u.generation = in_generation
       and u.topic = p.topic and u.partition = p.partition and u.xid <> pg_current_xact_id();

    select format('%s/%s', r.topic, r.partition) into foreign_partition
      from jsonb_to_recordset(in_records) as r (topic text, partition integer)
     where not exists (select from jsonb_to_recordset(in_partitions) as p (topic text, partition integer)
                        where p.topic = r.topic and p.partition = r.partition)
     limit 1;
    if found then
        raise exception 'a record is of partition %, which in_partitions does not hold', foreign_partition
            using errcode = 'AQ013';
    end if;

    insert into aqueduct.inboxes (projection, generation, source, topic)
    select distinct in_projection, in_generation, aqueduct_consumer.source_of(r.ce_source), r.topic
      from jsonb_to_recordset(in_records) as r (topic text, ce_source text)
     where not exists (select from aqueduct.inboxes i
                        where i.projection = in_projection and i.generation = in_generation
                          and i.source = aqueduct_consumer.source_of(r.ce_source) and i.topic = r.topic)
     order by 3, 4
        on conflict do nothing;

    return query
    with judged as materialized (
        select j.*, coalesce(j.inbox, i.inbox) as known_inbox
          from aqueduct_consumer.judge(in_projection, in_generation, registered.starts_late, in_records, in_failed) j
          left join aqueduct.inboxes i
            on j.inbox is null and i.projection = in_projection and i.generation = in_generation
           and i.source = j.source and i.topic = j.topic
    ), applied as (
        select distinct on (j.known_inbox, j.stream) j.known_inbox, j.stream, j.revision, j.id
          from judged j
         where j.own and j.result in ('new', 'unjudged')
         order by j.known_inbox, j.stream, j.ordinal desc
    ), begun as (
        select distinct on (j.known_inbox, j.stream) j.known_inbox, j.stream, j.previous
          from judged j
         where j.own and j.result in ('new', 'unjudged') and not j.is_known
         order by j.known_inbox, j.stream, j.ordinal
    ), stream as (
        select j.known_inbox, j.stream, max(j.applied) as before, bool_or(j.is_known) as is_known,
               bool_or(j.result in ('blocked', 'invalid', 'gap')) as blocked
          from judged j
         where j.own and j.result in ('new', 'unjudged') or j.result in ('blocked', 'invalid', 'gap')
         group by j.known_inbox, j.stream
    ), stored as (
        select s.*, a.revision, a.id as event_id, nullif(b.previous, -1) as started_after
          from stream s
          left join applied a using (known_inbox, stream)
          left join begun b using (known_inbox, stream)
    ), moved as (
        update aqueduct.inbox_streams t
           set revision = coalesce(s.revision, t.revision), blocked = t.blocked or s.blocked,
               event_id = case when s.revision is null then t.event_id else s.event_id end,
               event_revision = coalesce(s.revision, t.event_revision)
          from stored s
         where s.is_known and t.inbox = s.known_inbox and t.stream = s.stream collate "C" and t.revision = s.before
        returning 1
    ), added as (
        insert into aqueduct.inbox_streams (inbox, stream, revision, blocked, event_id, event_revision, started_after)
        select s.known_inbox, s.stream, coalesce(s.revision, -1), s.blocked, s.event_id, s.revision, s.started_after
          from stored s
         where not s.is_known
         order by s.known_inbox, s.stream
            on conflict do nothing
        returning 1
    ), taken as (
        insert into aqueduct_consumer.ids (inbox, id, time)
        select j.known_inbox, j.id, j.time
          from judged j
         where not j.own and j.id is not null and j.result <> 'duplicate'
         order by j.known_inbox, j.id
            on conflict do nothing
        returning 1
    ), parking as (
        insert into aqueduct_consumer.unparked
            (projection, generation, topic, partition, "offset", inbox, stream, revision, previous, result, code, reason)
        select in_projection, in_generation, j.topic, j.partition, j."offset", j.known_inbox, j.stream, j.revision,
               j.previous, j.result, j.code, j.reason
          from judged j
         where j.code is not null
            on conflict do nothing
    ), counted as (
        update aqueduct_consumer.projections p
           set unjudged = p.unjudged + u.records
          from (select count(*) as records from judged j where j.result = 'unjudged') u
         where p.projection = in_projection and p.generation = in_generation and u.records > 0
    )
    select j.ordinal::integer, j.result, j.reason
      from judged j
     where aqueduct_consumer.expect((select count(*) from moved) + (select count(*) from added)
                                    + (select count(*) from taken)
                                    = (select count(*) from stored)
                                    + (select count(*) from judged j
                                        where not j.own and j.id is not null and j.result <> 'duplicate'))
     order by j.ordinal;
end $$;

-- Why a record is parked, for people; null: it is not.
create function aqueduct_consumer.reason(in_result text, in_fault text, in_revision bigint, in_previous bigint)
returns text
language sql immutable as $$
    select case in_result
           when 'invalid' then in_fault
           when 'blocked' then 'an earlier event of the stream is parked'
           when 'conflict' then format('another event was applied under revision %s of the stream', in_revision)
           when 'undecidable' then 'it is older than the message ids that are kept: whether it was applied cannot be told'
           when 'gap' then case when in_previous >= 0
                then format('gap: revision %s, which precedes it, is not the last applied one', in_previous)
                else 'gap: it is marked as the first record of its stream, but others were applied' end
           end
$$;
