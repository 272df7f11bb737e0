-- The inbox: what each generation of a projection has taken of each source's topic, one row a stream. It
-- finds duplicates and gaps by (revision, subindex) alone, so it needs no time window and never grows with
-- the number of events. Everything is done by functions, so that a consumer in any language has the same.

create table aqueduct.inboxes (
    inbox      integer generated always as identity primary key,
    projection text    not null,
    generation integer not null,
    source     text    not null,
    topic      text    not null,
    unique (projection, generation, source, topic)
);

-- (-1, 0) where nothing was applied yet: the first record of a stream names just that as its previous place.
-- No foreign key: it would be looked up again for every new stream, and the numbers come from inbox_of.
create table aqueduct.inbox_streams (
    inbox    integer not null,
    -- Compared byte by byte, whatever the database's collation: only equality matters, and this is faster.
    stream   text    collate "C" not null,
    revision bigint  not null,
    subindex integer not null,
    held     boolean not null,
    primary key (inbox, stream)
) with (fillfactor = 80);

comment on column aqueduct.inbox_streams.revision is 'with subindex: the last event that was applied';
comment on column aqueduct.inbox_streams.held is 'the stream has parked events; what follows is parked too';

-- For people and checkers.
create view aqueduct.inbox as
select i.projection, i.generation, i.source, i.topic, s.stream, s.revision, s.subindex, s.held
  from aqueduct.inboxes i
  join aqueduct.inbox_streams s using (inbox);

create function aqueduct.inbox_of(in_projection text, in_generation integer, in_source text, in_topic text)
returns integer
language plpgsql as $$
declare
    found integer;
begin
    insert into aqueduct.inboxes (projection, generation, source, topic)
    values (in_projection, in_generation, in_source, in_topic)
    on conflict do nothing;
    select inbox into strict found
      from aqueduct.inboxes
     where projection = in_projection and generation = in_generation
       and source = in_source and topic = in_topic;
    return found;
end $$;

-- Judges records, in the order of the arrays, without changing anything. A record is
--   duplicate  if it is not after what was applied of its stream;
--   held       if an earlier record of its stream is parked or about to be;
--   faulty     if the caller says that it can't be read or applied (its revision may then be null);
--   unjudged   if it does not say what came before it: it is applied;
--   apply      if what came before it is what was applied last;
--   gap        otherwise.
-- Two places are compared as arrays {revision, subindex}. Up to a stream's first failure everything before a
-- record was applied, so the place to compare with is the running maximum; that makes it one pass over a
-- window instead of a loop.
-- Each record's stream is looked up by the index. The planner would scan the table while it thinks it small,
-- and keep to that plan while it grows: hence the setting and the lateral join.
create function aqueduct.inbox_judge(
    in_inboxes integer[],
    in_streams text[],
    in_revisions bigint[],
    in_subindexes integer[],
    in_previous_revisions bigint[],
    in_previous_subindexes integer[],
    in_faulty boolean[]
) returns table (ordinal bigint, inbox integer, stream text, place bigint[], applied bigint[], verdict text)
language plpgsql stable rows 1000 set enable_seqscan = off as $$
#variable_conflict use_column
begin
    return query
    with record as (
        select r.ordinal, r.inbox, r.stream collate "C" as stream, r.faulty or r.revision is null as faulty,
               case when r.revision is not null then array[r.revision, r.subindex::bigint] end as place,
               case when r.previous_revision is not null
                    then array[r.previous_revision, r.previous_subindex::bigint] end as previous
          from unnest(in_inboxes, in_streams, in_revisions, in_subindexes,
                      in_previous_revisions, in_previous_subindexes, in_faulty)
               with ordinality
            as r (inbox, stream, revision, subindex, previous_revision, previous_subindex, faulty, ordinal)
    ), running as (
        select r.*, coalesce(s.held, false) as held,
               array[coalesce(s.revision, -1), coalesce(s.subindex, 0)::bigint] as applied,
               max(r.place) over (partition by r.inbox, r.stream order by r.ordinal
                                  rows between unbounded preceding and 1 preceding) as earlier
          from record r
          left join lateral (
                   select t.revision, t.subindex, t.held
                     from aqueduct.inbox_streams t
                    where t.inbox = r.inbox and t.stream = r.stream
                    limit 1
               ) s on true
    ), alone as (
        select r.*, greatest(r.applied, r.earlier) as before,
               case when r.place <= greatest(r.applied, r.earlier) then 'duplicate'
                    when r.held then 'held'
                    when r.faulty then 'faulty'
                    when r.previous is null then 'unjudged'
                    when r.previous = greatest(r.applied, r.earlier) then 'apply'
                    else 'gap' end as verdict
          from running r
    ), failing as (
        select a.*,
               min(a.ordinal) filter (where a.verdict in ('held', 'faulty', 'gap'))
                   over (partition by a.inbox, a.stream) as failed_at,
               min(a.before) filter (where a.verdict in ('held', 'faulty', 'gap'))
                   over (partition by a.inbox, a.stream) as failed_after
          from alone a
    )
    select f.ordinal, f.inbox, f.stream::text, f.place, f.applied,
           case when f.failed_at is null or f.ordinal <= f.failed_at then f.verdict
                when f.place <= f.failed_after then 'duplicate'
                else 'held' end
      from failing f;
end $$;

-- Takes records if each is the next of its stream, as nearly always. False: that is not so for one of them at
-- least (or there are none), and nothing was done.
create function aqueduct.inbox_take(
    in_inboxes integer[],
    in_streams text[],
    in_revisions bigint[],
    in_subindexes integer[],
    in_previous_revisions bigint[],
    in_previous_subindexes integer[],
    in_faulty boolean[]
) returns boolean
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
    taken boolean;
begin
    with record as materialized (
        select r.*, r.stream collate "C" as name, row_number() over of_stream = 1 as is_first,
               lag(r.revision) over of_stream as earlier_revision,
               lag(r.subindex) over of_stream as earlier_subindex,
               lead(r.ordinal) over of_stream is null as is_last
          from unnest(in_inboxes, in_streams, in_revisions, in_subindexes,
                      in_previous_revisions, in_previous_subindexes, in_faulty)
               with ordinality
            as r (inbox, stream, revision, subindex, previous_revision, previous_subindex, faulty, ordinal)
        window of_stream as (partition by r.inbox, r.stream collate "C" order by r.ordinal)
    ), judged as (
        -- Null where something is not known: that is no yes.
        select coalesce(bool_and(coalesce(
                   not r.faulty
                   and (r.revision, r.subindex) > (r.previous_revision, r.previous_subindex)
                   and case when r.is_first
                            then not coalesce(s.held, false)
                                 and r.previous_revision = coalesce(s.revision, -1)
                                 and r.previous_subindex = coalesce(s.subindex, 0)
                            else r.previous_revision = r.earlier_revision
                                 and r.previous_subindex = r.earlier_subindex end,
                   false)), false) as all_next
          from record r
          left join lateral (
                   select t.revision, t.subindex, t.held
                     from aqueduct.inbox_streams t
                    where r.is_first and t.inbox = r.inbox and t.stream = r.name
                    limit 1
               ) s on true
    ), written as (
        insert into aqueduct.inbox_streams as t (inbox, stream, revision, subindex, held)
        select r.inbox, r.name, r.revision, r.subindex, false
          from record r
         where r.is_last and (select j.all_next from judged j)
            on conflict (inbox, stream) do update
           set revision = excluded.revision, subindex = excluded.subindex
    )
    select j.all_next into taken from judged j;
    return taken;
end $$;

-- Judges records and remembers what was applied and which streams are held now. Returns the verdicts in the
-- order of the arrays. The caller applies, in the same transaction, the records judged 'apply' and
-- 'unjudged', parks (aqueduct.park) those judged 'faulty', 'gap' and 'held', and drops the duplicates. It
-- owns the records' partitions (aqueduct.offsets_advance, earlier in the transaction).
create function aqueduct.inbox_receive(
    in_inboxes integer[],
    in_streams text[],
    in_revisions bigint[],
    in_subindexes integer[],
    in_previous_revisions bigint[],
    in_previous_subindexes integer[],
    in_faulty boolean[]
) returns text[]
language plpgsql as $$
declare
    verdicts text[];
begin
    if aqueduct.inbox_take(in_inboxes, in_streams, in_revisions, in_subindexes,
                           in_previous_revisions, in_previous_subindexes, in_faulty) then
        return array_fill('apply'::text, array[cardinality(in_streams)]);
    end if;
    with judged as materialized (
        select * from aqueduct.inbox_judge(in_inboxes, in_streams, in_revisions, in_subindexes,
                                           in_previous_revisions, in_previous_subindexes, in_faulty)
    ), stream as (
        select j.inbox, j.stream,
               coalesce(max(j.place) filter (where j.verdict in ('apply', 'unjudged')), max(j.applied)) as place,
               bool_or(j.verdict in ('held', 'faulty', 'gap')) as held
          from judged j
         where j.verdict <> 'duplicate'
         group by j.inbox, j.stream
    ), written as (
        insert into aqueduct.inbox_streams as t (inbox, stream, revision, subindex, held)
        select s.inbox, s.stream, s.place[1], s.place[2], s.held
          from stream s
         order by s.inbox, s.stream
            on conflict (inbox, stream) do update
           set revision = excluded.revision, subindex = excluded.subindex, held = t.held or excluded.held
    )
    select array_agg(j.verdict order by j.ordinal) into verdicts from judged j;
    return coalesce(verdicts, '{}');
end $$;
