-- What the functions for consumers in other languages (schema aqueduct_consumer) store in the tables of the schema.

alter table aqueduct.inbox_streams
    add column event_id       text,
    add column event_revision bigint,
    add column started_after  bigint;
comment on column aqueduct.inbox_streams.event_id is
    'id of the event with event_revision; null or another revision: the id of the last applied event is not known';
comment on column aqueduct.inbox_streams.started_after is
    'the stream was first seen after this revision, and that was taken for its beginning; null: it was seen from its beginning';

alter table aqueduct.offsets
    add column topic_id text,
    add column advanced_at timestamptz;
comment on column aqueduct.offsets.topic_id is
    'Kafka''s id of the topic that was read; null: the client does not know it';
comment on column aqueduct.offsets.advanced_at is
    'when a consumer in another language last moved the offset; null: it never did';

alter table aqueduct.parked drop constraint parked_verdict_check;
alter table aqueduct.parked add constraint parked_verdict_check
    check (verdict in ('invalid', 'gap', 'blocked', 'conflict', 'undecidable'));
alter table aqueduct.parked add constraint parked_code_check
    check (code in ('headers', 'source', 'unknown_type', 'payload', 'panic', 'row', 'reaction', 'gap', 'blocked',
                    'conflict', 'undecidable'));
comment on column aqueduct.parked.verdict is 'conflict and undecidable do not block the stream';

-- Events that do not block their stream are known by their offset: several may have the same revision.
drop index aqueduct.parked_event;
create unique index parked_event on aqueduct.parked
    (projection, generation, source, topic, stream, revision)
    where revision is not null and verdict not in ('conflict', 'undecidable');
drop index aqueduct.parked_record;
create unique index parked_record on aqueduct.parked
    (projection, generation, topic, partition, "offset")
    where revision is null or verdict in ('conflict', 'undecidable');

-- As before; events that do not block their stream are left out.
create or replace function aqueduct.parked_applied(in_inbox integer, in_stream text, in_ids bigint[], in_revision bigint)
returns boolean
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
       set revision = new_revision, blocked = not is_open
     where s.inbox = in_inbox and s.stream = in_stream;
    return is_open;
end $$;

-- As before; events that do not block their stream have no place in it.
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
                               and b.state = 'parked' and b.verdict not in ('conflict', 'undecidable')
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
