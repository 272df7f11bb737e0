-- Events that were not applied, and those of the same stream that came after them, as they came.
create table aqueduct.parked (
    id           bigint generated always as identity primary key,
    projection   text    not null,
    generation   integer not null,
    source       text    not null,
    topic        text    not null,
    stream       text    not null,
    revision     bigint,
    subindex     integer,
    verdict      text    not null check (verdict in ('faulty', 'gap', 'held')),
    reason       text    not null,
    event_type   text,
    partition    integer not null,
    "offset"     bigint  not null,
    key          bytea,
    payload      bytea,
    headers      jsonb   not null,
    parked_at    timestamptz not null default now()
);

comment on table aqueduct.parked is 'within a stream the order is (revision, subindex), then id';
comment on column aqueduct.parked.headers is
    'array of {name, value}, or {name, hex} where the value is no text, in the order of the record';

-- A parked event that comes again is no second row. One whose revision can't be read is known by its offset.
create unique index parked_event on aqueduct.parked
    (projection, generation, source, topic, stream, revision, subindex) where revision is not null;
create index parked_projection on aqueduct.parked (projection, generation);
create unique index parked_record on aqueduct.parked
    (projection, generation, topic, partition, "offset") where revision is null;

-- Parks one record, in the transaction that holds its stream. False: it is parked already.
create function aqueduct.park(
    in_inbox integer,
    in_stream text,
    in_revision bigint,
    in_subindex integer,
    in_verdict text,
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
        insert into aqueduct.parked (projection, generation, source, topic, stream, revision, subindex, verdict,
                                     reason, event_type, partition, "offset", key, payload, headers)
        select i.projection, i.generation, i.source, i.topic, in_stream, in_revision, in_subindex, in_verdict,
               in_reason, in_event_type, in_partition, in_offset, in_key, in_payload, in_headers
          from aqueduct.inboxes i
         where i.inbox = in_inbox
            on conflict do nothing
        returning id
    )
    select exists (select from parked)
$$;
