-- Requests are executed in smaller steps, and finished requests are removed.

alter table aqueduct.parked_work
    add column is_discarded boolean not null default false;
comment on column aqueduct.parked_work.is_discarded is
    'true once a discard has marked all events that it selected in the stream; always false for a replay';

-- Finds the discard that a replay of the same stream must wait for.
create index parked_work_discarding on aqueduct.parked_work
    (projection, generation, source, topic, partition, stream)
    where state = 'waiting' and action = 'discard' and not is_discarded;

comment on column aqueduct.parked.headers is
    'array of {name, value}, or {name, hex} where the value is not text, in the order of the record';
comment on column aqueduct.parked.state is
    'discarded: it will not be applied; the row is kept as a record of that';

-- Discards at most in_limit of the events that a request selected in a stream, in their order. Their rows are kept.
-- Returns their number; fewer than in_limit: no selected event is left.
drop function aqueduct.parked_discard(bigint, integer, text);
create function aqueduct.parked_discard(in_request bigint, in_inbox integer, in_stream text, in_limit integer)
returns bigint
language sql as $$
    with selected as (
        select p.id
          from aqueduct.inboxes i
          join aqueduct.parked p
            on p.projection = i.projection and p.generation = i.generation and p.source = i.source
           and p.topic = i.topic and p.stream = in_stream and p.state = 'parked'
         where i.inbox = in_inbox
           and exists (select from aqueduct.parked_discards d where d.request = in_request and d.id = p.id)
         order by p.revision, p.id
         limit in_limit
    ), discarded as (
        update aqueduct.parked p
           set state = 'discarded'
          from selected s
         where p.id = s.id
        returning p.id
    )
    select count(*) from discarded
$$;

-- As before, with the code.
--
-- The next events of a blocked stream in the order of its revisions: parked ones, and discarded ones that the
-- inbox has not passed. Events without a revision come last. At most in_limit events, with at most in_bytes of
-- payload in total unless the first event alone is larger. Each state is read in the order of its index, so that a
-- step does not cost more the longer the stream is.
drop function aqueduct.parked_next(integer, text, integer, bigint);
create function aqueduct.parked_next(in_inbox integer, in_stream text, in_limit integer, in_bytes bigint)
returns table (id bigint, revision bigint, state text, code text, partition integer, "offset" bigint, key bytea,
               payload bytea, headers jsonb)
language sql stable as $$
    select n.id, n.revision, n.state, n.code, n.partition, n."offset", n.key, n.payload, n.headers
      from (select l.*, sum(coalesce(octet_length(l.payload), 0)) over in_order as bytes,
                   row_number() over in_order as number
              from (select p.*
                      from aqueduct.inboxes i
                      join aqueduct.inbox_streams s on s.inbox = i.inbox and s.stream = in_stream
                     cross join lateral (
                           (select b.*
                              from aqueduct.parked b
                             where b.projection = i.projection and b.generation = i.generation
                               and b.source = i.source and b.topic = i.topic and b.stream = in_stream
                               and b.state = 'parked'
                             order by b.revision, b.id
                             limit in_limit)
                           union all
                           (select d.*
                              from aqueduct.parked d
                             where d.projection = i.projection and d.generation = i.generation
                               and d.source = i.source and d.topic = i.topic and d.stream = in_stream
                               and d.state = 'discarded' and d.revision > s.revision
                             order by d.revision, d.id
                             limit in_limit)) p
                     where i.inbox = in_inbox
                     order by p.revision nulls last, p.id
                     limit in_limit) l
            window in_order as (order by l.revision nulls last, l.id)) n
     where n.bytes <= in_bytes or n.number = 1
     order by n.number
$$;

-- Parked events of a stream whose headers could not be read when they were parked, at most in_limit, without their
-- payload.
create function aqueduct.parked_without_revision(in_inbox integer, in_stream text, in_limit integer)
returns table (id bigint, key bytea, headers jsonb)
language sql stable as $$
    select p.id, p.key, p.headers
      from aqueduct.inboxes i
      join aqueduct.parked p
        on p.projection = i.projection and p.generation = i.generation and p.source = i.source
       and p.topic = i.topic and p.stream = in_stream and p.state = 'parked' and p.revision is null
     where i.inbox = in_inbox
     order by p.id
     limit in_limit
$$;

-- Sets the revisions of parked events whose headers can be read by now, which puts them in their place in the
-- stream. An event that is parked under its revision already is removed, because park would not have stored it twice.
create function aqueduct.parked_assign_revisions(in_ids bigint[], in_revisions bigint[]) returns void
language sql as $$
    with numbered as (
        select distinct on (n.revision) p.*, n.revision as own_revision
          from unnest(in_ids, in_revisions) as n (id, revision)
          join aqueduct.parked p on p.id = n.id and p.revision is null
         order by n.revision, n.id
    ), assigned as (
        update aqueduct.parked p
           set revision = n.own_revision
          from numbered n
         where p.id = n.id
           and not exists (select from aqueduct.parked other
                            where other.projection = n.projection and other.generation = n.generation
                              and other.source = n.source and other.topic = n.topic and other.stream = n.stream
                              and other.revision = n.own_revision)
        returning p.id
    )
    delete from aqueduct.parked p
     where p.id = any (in_ids) and p.revision is null and p.id not in (select a.id from assigned a)
$$;

-- Parks an event again: one at which a replay failed, or a discarded one that turned out to be behind a gap. It keeps
-- its place in the stream.
create or replace function aqueduct.parked_again(in_id bigint, in_verdict text, in_code text, in_reason text)
returns void
language sql as $$
    update aqueduct.parked
       set state = 'parked', verdict = in_verdict, code = in_code, reason = in_reason, replayed_at = now()
     where id = in_id
$$;

-- Removes requests that ended at least a week ago, at most 1,000. Returns their number.
create function aqueduct.parked_purge() returns bigint
language plpgsql as $$
declare
    purged bigint[];
begin
    select coalesce(array_agg(r.request), '{}') into purged
      from (select r.request
              from aqueduct.parked_requests r
             where r.requested_at < now() - interval '7 days'
               and not exists (select from aqueduct.parked_work w
                                where w.request = r.request
                                  and (w.state = 'waiting' or w.touched_at >= now() - interval '7 days'))
             order by r.request
             limit 1000
               for update skip locked) r;
    delete from aqueduct.parked_discards d where d.request = any (purged);
    delete from aqueduct.parked_work w where w.request = any (purged);
    delete from aqueduct.parked_requests r where r.request = any (purged);
    return cardinality(purged);
end $$;
