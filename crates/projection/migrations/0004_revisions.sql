-- An event is identified by its stream and revision alone: the sub-index, which nothing ever wrote, goes.
-- A verdict is now called 'invalid' (was 'faulty') or 'blocked' (was 'held'), and each parked event has a code
-- that names its reason; existing rows are converted.
-- Inboxes, offsets and parked events stay as they are otherwise.

-- A sub-index other than 0 would make two events of one: that database is not migrated silently.
do $$ begin
    if exists (select from aqueduct.inbox_streams where subindex <> 0)
       or exists (select from aqueduct.parked where subindex <> 0) then
        raise exception 'aqueduct.inbox_streams or aqueduct.parked has a row with a sub-index other than 0';
    end if;
end $$;

drop view aqueduct.inbox;
drop function aqueduct.inbox_receive(integer[], text[], bigint[], integer[], bigint[], integer[], boolean[]);
drop function aqueduct.inbox_take(integer[], text[], bigint[], integer[], bigint[], integer[], boolean[]);
drop function aqueduct.inbox_judge(integer[], text[], bigint[], integer[], bigint[], integer[], boolean[]);
drop function aqueduct.park(integer, text, bigint, integer, text, text, text, integer, bigint, bytea, bytea, jsonb);

alter table aqueduct.inbox_streams drop column subindex;
alter table aqueduct.inbox_streams rename column held to blocked;

comment on table aqueduct.inbox_streams is 'one row per stream that an inbox has seen';
comment on column aqueduct.inbox_streams.revision is 'last revision that was applied; -1: none yet';
comment on column aqueduct.inbox_streams.blocked is 'the stream has parked events; its next events are parked too';
comment on column aqueduct.inboxes.generation is 'always 1; a later version will rebuild a projection under a new one';
comment on column aqueduct.offsets.next_offset is 'first offset that is not applied yet; null: from the beginning';
comment on column aqueduct.offsets.epoch is
    'raised when the partition gets a new owner; a batch commits only under the epoch of its owner';

alter table aqueduct.parked drop constraint parked_verdict_check;
update aqueduct.parked
   set verdict = case verdict when 'faulty' then 'invalid' else 'blocked' end
 where verdict in ('faulty', 'held');
alter table aqueduct.parked add constraint parked_verdict_check check (verdict in ('invalid', 'gap', 'blocked'));

-- The reasons are those that the versions before wrote; a reactor's own are free text.
alter table aqueduct.parked add column code text;
update aqueduct.parked
   set code = case when verdict <> 'invalid' then verdict
                   when reason like '%: header %' or reason like '%: the names of %'
                     or reason like '%: the record''s key %' then 'headers'
                   when reason like '%: it comes from source %' then 'source'
                   when reason like '% is unknown to projection %' then 'unknown_type'
                   when reason like '%: it has no payload%' or reason like '%: the payload can''t be decoded%'
                     or reason like '%: its schema id is that of %'
                     or reason like '%: event type % does not fit: %' then 'payload'
                   when reason like '%: the projection''s code panicked%'
                     or reason like '%: the reactor panicked%' then 'panic'
                   when reason like '%: postgres refused the statement%' then 'row'
                   else 'reaction' end;
alter table aqueduct.parked alter column code set not null;
comment on column aqueduct.parked.code is
    'why: headers, source, unknown_type, payload, panic, row, reaction, gap or blocked';

-- Dropping the column drops the index that contained it.
alter table aqueduct.parked drop column subindex;
create unique index parked_event on aqueduct.parked
    (projection, generation, source, topic, stream, revision) where revision is not null;
comment on table aqueduct.parked is 'within a stream the order is revision, then id';

-- The inbox for people and for checkers.
create view aqueduct.inbox as
select i.projection, i.generation, i.source, i.topic, s.stream, s.revision, s.blocked
  from aqueduct.inboxes i
  join aqueduct.inbox_streams s using (inbox);

-- Checks records, in the order of the arrays, and changes nothing.
--
-- in_inboxes             aqueduct.inbox_of of the record's projection, source and topic
-- in_streams             the stream
-- in_revisions           revision in the stream; null if it can't be read
-- in_previous_revisions  revision of the stream's previous record; -1: this is the first; null: not known
-- in_invalid             true if the record can't be read or applied
--
-- Returns one row per record. `applied` is the stream's last applied revision before the call, `verdict` is
--   duplicate  the revision is not greater than the last applied one
--   blocked    an earlier record of the stream is parked, or will be
--   invalid    in_invalid, or the revision is null
--   unchecked  the previous revision is not known: apply it, gaps can't be detected
--   apply      the previous revision is the last applied one
--   gap        otherwise
create function aqueduct.inbox_check(
    in_inboxes integer[],
    in_streams text[],
    in_revisions bigint[],
    in_previous_revisions bigint[],
    in_invalid boolean[]
) returns table (ordinal bigint, inbox integer, stream text, revision bigint, applied bigint, verdict text)
-- The planner would scan the table while it is small and keep that plan while it grows: hence the setting and
-- the lateral join, which look each stream up by the index.
language plpgsql stable rows 1000 set enable_seqscan = off as $$
#variable_conflict use_column
begin
    return query
    with record as (
        select r.ordinal, r.inbox, r.stream collate "C" as stream, r.revision, r.previous_revision,
               r.invalid or r.revision is null as invalid
          from unnest(in_inboxes, in_streams, in_revisions, in_previous_revisions, in_invalid) with ordinality
            as r (inbox, stream, revision, previous_revision, invalid, ordinal)
    ), running as (
        -- Up to the stream's first failure all earlier records were applied, so the revision to compare with is
        -- the running maximum: one pass over a window, no loop.
        select r.*, coalesce(s.blocked, false) as blocked, coalesce(s.revision, -1) as applied,
               greatest(coalesce(s.revision, -1),
                        max(r.revision) over (partition by r.inbox, r.stream order by r.ordinal
                                              rows between unbounded preceding and 1 preceding)) as before
          from record r
          left join lateral (
                   select t.revision, t.blocked
                     from aqueduct.inbox_streams t
                    where t.inbox = r.inbox and t.stream = r.stream
                    limit 1
               ) s on true
    ), alone as (
        select r.*,
               case when r.revision <= r.before then 'duplicate'
                    when r.blocked then 'blocked'
                    when r.invalid then 'invalid'
                    when r.previous_revision is null then 'unchecked'
                    when r.previous_revision = r.before then 'apply'
                    else 'gap' end as verdict
          from running r
    ), failing as (
        select a.*,
               min(a.ordinal) filter (where a.verdict in ('blocked', 'invalid', 'gap'))
                   over (partition by a.inbox, a.stream) as failed_at,
               min(a.before) filter (where a.verdict in ('blocked', 'invalid', 'gap'))
                   over (partition by a.inbox, a.stream) as failed_after
          from alone a
    )
    select f.ordinal, f.inbox, f.stream::text, f.revision, f.applied,
           case when f.failed_at is null or f.ordinal <= f.failed_at then f.verdict
                when f.revision <= f.failed_after then 'duplicate'
                else 'blocked' end
      from failing f;
end $$;

-- Records that each are the next of their stream, which is nearly always the case, are applied in one step.
-- True: they were, and the inbox has moved. False: at least one is not the next (or there are none), and
-- nothing has changed. Arguments as in inbox_check.
create function aqueduct.inbox_advance(
    in_inboxes integer[],
    in_streams text[],
    in_revisions bigint[],
    in_previous_revisions bigint[],
    in_invalid boolean[]
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
          from unnest(in_inboxes, in_streams, in_revisions, in_previous_revisions, in_invalid) with ordinality
            as r (inbox, stream, revision, previous_revision, invalid, ordinal)
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
        insert into aqueduct.inbox_streams as t (inbox, stream, revision, blocked)
        select r.inbox, r.name, r.revision, false
          from record r
         where r.is_last and (select c.all_next from checked c)
            on conflict (inbox, stream) do update
           set revision = excluded.revision
    )
    select c.all_next into advanced from checked c;
    return advanced;
end $$;

-- Checks records and stores which revisions are applied and which streams are blocked. Returns the verdicts in
-- the order of the arrays (see inbox_check).
--
-- In the same transaction the caller owns the records' partitions (aqueduct.offsets_advance, before this
-- call), applies the records with verdict 'apply' and 'unchecked', parks those with 'invalid', 'gap' and
-- 'blocked' (aqueduct.park), and drops the duplicates.
create function aqueduct.inbox_receive(
    in_inboxes integer[],
    in_streams text[],
    in_revisions bigint[],
    in_previous_revisions bigint[],
    in_invalid boolean[]
) returns text[]
language plpgsql as $$
declare
    verdicts text[];
begin
    if aqueduct.inbox_advance(in_inboxes, in_streams, in_revisions, in_previous_revisions, in_invalid) then
        return array_fill('apply'::text, array[cardinality(in_streams)]);
    end if;
    with checked as materialized (
        select *
          from aqueduct.inbox_check(in_inboxes, in_streams, in_revisions, in_previous_revisions, in_invalid)
    ), stream as (
        select c.inbox, c.stream,
               coalesce(max(c.revision) filter (where c.verdict in ('apply', 'unchecked')),
                        max(c.applied)) as revision,
               bool_or(c.verdict in ('blocked', 'invalid', 'gap')) as blocked
          from checked c
         where c.verdict <> 'duplicate'
         group by c.inbox, c.stream
    ), written as (
        insert into aqueduct.inbox_streams as t (inbox, stream, revision, blocked)
        select s.inbox, s.stream, s.revision, s.blocked
          from stream s
         order by s.inbox, s.stream
            on conflict (inbox, stream) do update
           set revision = excluded.revision, blocked = t.blocked or excluded.blocked
    )
    select array_agg(c.verdict order by c.ordinal) into verdicts from checked c;
    return coalesce(verdicts, '{}');
end $$;

-- Parks one record, in the transaction whose inbox_receive returned in_verdict for it. False: it is parked
-- already, and nothing has changed. in_code: see the column.
create function aqueduct.park(
    in_inbox integer,
    in_stream text,
    in_revision bigint,
    in_verdict text,
    in_code text,
    in_reason text,
    in_event_type text,
    in_partition integer,
    in_offset bigint,
    in_key bytea,
    in_payload bytea,
    in_headers jsonb
) returns boolean
language sql as $$
    with parked as (
        insert into aqueduct.parked (projection, generation, source, topic, stream, revision, verdict, code,
                                     reason, event_type, partition, "offset", key, payload, headers)
        select i.projection, i.generation, i.source, i.topic, in_stream, in_revision, in_verdict, in_code,
               in_reason, in_event_type, in_partition, in_offset, in_key, in_payload, in_headers
          from aqueduct.inboxes i
         where i.inbox = in_inbox
            on conflict do nothing
        returning id
    )
    select exists (select from parked)
$$;

-- Lets an operator read a partition again (the inbox drops what was applied) or, with care, skip records. The
-- current owner is fenced, rejoins its group and resumes at the new offset. in_offset null: the beginning.
create or replace function aqueduct.offsets_set(
    in_projection text, in_generation integer, in_topic text, in_partition integer, in_offset bigint
) returns void
language sql as $$
    update aqueduct.offsets
       set next_offset = in_offset, epoch = epoch + 1, owner = 'offsets_set'
     where projection = in_projection and generation = in_generation
       and topic = in_topic and partition = in_partition
$$;
