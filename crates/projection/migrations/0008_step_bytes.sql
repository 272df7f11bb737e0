-- The bytes of a step include keys and headers, which another producer may have made large.

-- As before; in_bytes now also counts keys and headers (as JSON text).
create or replace function aqueduct.parked_next(in_inbox integer, in_stream text, in_limit integer, in_bytes bigint)
returns table (id bigint, revision bigint, state text, code text, partition integer, "offset" bigint, key bytea,
               payload bytea, headers jsonb)
language sql stable as $$
    select n.id, n.revision, n.state, n.code, n.partition, n."offset", n.key, n.payload, n.headers
      from (select l.*,
                   sum(coalesce(octet_length(l.payload), 0) + coalesce(octet_length(l.key), 0)
                       + coalesce(octet_length(l.headers::text), 0)) over in_order as bytes,
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
-- payload, and with at most in_bytes of keys and headers (as JSON text) in total unless the first event alone is larger.
drop function aqueduct.parked_without_revision(integer, text, integer);
create function aqueduct.parked_without_revision(in_inbox integer, in_stream text, in_limit integer, in_bytes bigint)
returns table (id bigint, key bytea, headers jsonb)
language sql stable as $$
    select n.id, n.key, n.headers
      from (select l.*,
                   sum(coalesce(octet_length(l.key), 0) + coalesce(octet_length(l.headers::text), 0))
                       over in_order as bytes,
                   row_number() over in_order as number
              from (select p.id, p.key, p.headers
                      from aqueduct.inboxes i
                      join aqueduct.parked p
                        on p.projection = i.projection and p.generation = i.generation and p.source = i.source
                       and p.topic = i.topic and p.stream = in_stream and p.state = 'parked' and p.revision is null
                     where i.inbox = in_inbox
                     order by p.id
                     limit in_limit) l
            window in_order as (order by l.id)) n
     where n.bytes <= in_bytes or n.number = 1
     order by n.number
$$;
