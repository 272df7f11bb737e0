-- Parked events can be replayed and discarded. A request is recorded by anyone (aqueduct.parked_request) and
-- executed by the owner of the stream's partition, under its epoch, in steps of one transaction each.

alter table aqueduct.parked
    add column state text not null default 'parked' check (state in ('parked', 'discarded')),
    add column replayed_at timestamptz;
comment on column aqueduct.parked.state is 'discarded: it was given up; the row stays for the record';
comment on column aqueduct.parked.replayed_at is 'last time that a replay failed at this event';

-- The parked events of a stream in their order.
create index parked_stream on aqueduct.parked
    (projection, generation, source, topic, stream, revision, id) where state = 'parked';
-- The discarded ones, which the inbox passes when it comes to them.
create index parked_discarded on aqueduct.parked
    (projection, generation, source, topic, stream, revision, id) where state = 'discarded';

create table aqueduct.parked_requests (
    request      bigint generated always as identity primary key,
    action       text not null check (action in ('replay', 'discard')),
    requested_at timestamptz not null default now()
);

-- One row per stream of a request.
create table aqueduct.parked_work (
    request    bigint  not null references aqueduct.parked_requests,
    projection text    not null,
    generation integer not null,
    source     text    not null,
    topic      text    not null,
    partition  integer not null,
    stream     text    not null,
    action     text    not null,
    events     bigint  not null,
    applied    bigint  not null default 0,
    discarded  bigint  not null default 0,
    state      text    not null default 'waiting' check (state in ('waiting', 'done', 'failed')),
    problem    text,
    touched_at timestamptz,
    primary key (request, projection, generation, source, topic, stream)
);

comment on table aqueduct.parked_work is
    'the owner of the partition executes waiting rows, the least recently tried first';
comment on column aqueduct.parked_work.action is 'as in parked_requests, for the index';
comment on column aqueduct.parked_work.events is 'number of parked events that the request selected in the stream';
comment on column aqueduct.parked_work.touched_at is 'last time that an owner tried it; null: no owner has seen it yet';

create index parked_work_waiting on aqueduct.parked_work
    (projection, generation, topic, partition, touched_at nulls first, action, request) where state = 'waiting';

-- The events that a discard request selected: the executor marks them.
create table aqueduct.parked_discards (
    request bigint not null references aqueduct.parked_requests,
    id      bigint not null,
    primary key (request, id)
);

-- Records a request for the parked events that match all arguments; null matches all. Returns its number, and how
-- many streams and events it selected; no row is recorded if there are none (request is null then).
--
-- in_action      replay: the streams of the selected events are replayed from their first parked event.
--                discard: the selected events are given up, then their streams are replayed.
-- in_older_than  parked at least this long ago
create function aqueduct.parked_request(
    in_action text, in_projection text, in_topic text, in_stream text, in_revision bigint, in_code text,
    in_older_than interval
) returns table (request bigint, streams bigint, events bigint)
language plpgsql as $$
#variable_conflict use_column
declare
    new_request bigint;
    selected_streams bigint;
    selected_events bigint;
begin
    insert into aqueduct.parked_requests (action) values (in_action) returning request into new_request;
    with selected as materialized (
        select p.*
          from aqueduct.parked p
         where p.state = 'parked'
           and (in_projection is null or p.projection = in_projection)
           and (in_topic is null or p.topic = in_topic)
           and (in_stream is null or p.stream = in_stream)
           and (in_revision is null or p.revision = in_revision)
           and (in_code is null or p.code = in_code)
           and (in_older_than is null or p.parked_at <= now() - in_older_than)
    ), discards as (
        insert into aqueduct.parked_discards (request, id)
        select new_request, s.id from selected s where in_action = 'discard'
    ), work as (
        insert into aqueduct.parked_work
            (request, projection, generation, source, topic, partition, stream, action, events)
        select new_request, s.projection, s.generation, s.source, s.topic,
               -- Where the stream is now, should the topic have got more partitions.
               (array_agg(s.partition order by s.id desc))[1], s.stream, in_action, count(*)
          from selected s
         group by s.projection, s.generation, s.source, s.topic, s.stream
        returning events
    )
    select count(*), coalesce(sum(w.events), 0) into selected_streams, selected_events from work w;
    if selected_streams = 0 then
        delete from aqueduct.parked_requests r where r.request = new_request;
        new_request := null;
    end if;
    return query select new_request, selected_streams, selected_events;
end $$;

-- First statement of a step: locks the partition until the end of the transaction. False: it has another owner
-- now, and the transaction must be rolled back.
create function aqueduct.offsets_hold(
    in_projection text, in_generation integer, in_topic text, in_partition integer, in_epoch bigint
) returns boolean
language plpgsql as $$
begin
    perform from aqueduct.offsets o
      where o.projection = in_projection and o.generation = in_generation
        and o.topic = in_topic and o.partition = in_partition and o.epoch = in_epoch
        for update;
    return found;
end $$;

-- Gives up the events that a discard request selected in a stream. They stay in the table. Returns their number.
create function aqueduct.parked_discard(in_request bigint, in_inbox integer, in_stream text) returns bigint
language sql as $$
    with discarded as (
        update aqueduct.parked p
           set state = 'discarded'
          from aqueduct.parked_discards d, aqueduct.inboxes i
         where d.request = in_request and p.id = d.id and p.state = 'parked' and i.inbox = in_inbox
           and p.projection = i.projection and p.generation = i.generation and p.source = i.source
           and p.topic = i.topic and p.stream = in_stream
        returning p.id
    )
    select count(*) from discarded
$$;

-- The next events of a blocked stream in the order of its revisions: parked ones, and discarded ones that the
-- inbox has not passed. Events without a revision come last. At most in_limit events, with at most in_bytes of
-- payload in total unless the first event alone is larger. Each state is read in the order of its index, so that a
-- step does not cost more the longer the stream is.
create function aqueduct.parked_next(in_inbox integer, in_stream text, in_limit integer, in_bytes bigint)
returns table (id bigint, revision bigint, state text, partition integer, "offset" bigint, key bytea,
               payload bytea, headers jsonb)
language sql stable as $$
    select n.id, n.revision, n.state, n.partition, n."offset", n.key, n.payload, n.headers
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

-- Ends a step that applied events: moves the inbox to in_revision (the last that was applied or discarded), removes
-- the applied events in_ids, and opens the stream again if no parked event is left and the inbox has passed all
-- discarded ones. True: it is open.
create function aqueduct.parked_applied(in_inbox integer, in_stream text, in_ids bigint[], in_revision bigint)
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
                where i.inbox = in_inbox and p.stream = in_stream and p.state = 'parked')
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

-- Parks again an event at which a replay failed: it keeps its place in the stream.
create function aqueduct.parked_again(in_id bigint, in_verdict text, in_code text, in_reason text) returns void
language sql as $$
    update aqueduct.parked
       set verdict = in_verdict, code = in_code, reason = in_reason, replayed_at = now()
     where id = in_id
$$;

-- Requests the replay of a stream whose gap has been filled: the missing event was just parked as 'blocked', and
-- its previous revision is the last applied one. Called in the transaction that parked it.
create function aqueduct.parked_repair(in_inbox integer, in_stream text, in_previous_revision bigint, in_partition integer)
returns boolean
language plpgsql as $$
declare
    new_request bigint;
begin
    perform from aqueduct.inbox_streams s
      where s.inbox = in_inbox and s.stream = in_stream and s.revision = in_previous_revision;
    if not found then
        return false;
    end if;
    insert into aqueduct.parked_requests (action) values ('replay') returning request into new_request;
    insert into aqueduct.parked_work
        (request, projection, generation, source, topic, partition, stream, action, events)
    select new_request, i.projection, i.generation, i.source, i.topic, in_partition, in_stream, 'replay', 1
      from aqueduct.inboxes i
     where i.inbox = in_inbox;
    return true;
end $$;

-- As before, with the previous revision: a blocked event that fills its stream's gap requests the replay.
drop function aqueduct.park(integer, text, bigint, text, text, text, text, integer, bigint, bytea, bytea, jsonb);

-- Parks one record, in the transaction whose inbox_receive returned in_verdict for it. False: it is parked
-- already, and nothing has changed. in_code: see the column.
create function aqueduct.park(
    in_inbox integer,
    in_stream text,
    in_revision bigint,
    in_previous_revision bigint,
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
language plpgsql as $$
begin
    insert into aqueduct.parked (projection, generation, source, topic, stream, revision, verdict, code, reason,
                                 event_type, partition, "offset", key, payload, headers)
    select i.projection, i.generation, i.source, i.topic, in_stream, in_revision, in_verdict, in_code, in_reason,
           in_event_type, in_partition, in_offset, in_key, in_payload, in_headers
      from aqueduct.inboxes i
     where i.inbox = in_inbox
        on conflict do nothing;
    if not found then
        return false;
    end if;
    if in_verdict = 'blocked' and in_previous_revision is not null then
        perform aqueduct.parked_repair(in_inbox, in_stream, in_previous_revision, in_partition);
    end if;
    return true;
end $$;
