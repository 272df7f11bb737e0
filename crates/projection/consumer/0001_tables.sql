-- The contract for consumers in any language: the functions of this schema, each called in the consumer's own
-- transaction. They store in the tables of the schema aqueduct what the runner in Rust stores, so that status, parked
-- events and checks are the same for both.

-- Projections and who may act for them.
create table aqueduct_consumer.projections (
    projection          text     not null,
    generation          integer  not null,
    owner               name     not null,
    starts_late         boolean  not null,
    idle_timeout        interval not null,
    lock_timeout        interval not null,
    statement_timeout   interval not null,
    unjudged            bigint   not null default 0,
    registered_at       timestamptz not null default now(),
    primary key (projection, generation)
);
comment on column aqueduct_consumer.projections.owner is 'members of this role may call the functions for the projection';
comment on column aqueduct_consumer.projections.starts_late is
    'the first record of an unknown stream is taken for its beginning, whatever it says was before it';
comment on column aqueduct_consumer.projections.unjudged is
    'records that were applied although they did not say what was before them';

-- Why a projection stands still until a person has looked: see aqueduct_consumer.accept.
create table aqueduct_consumer.halts (
    halt        bigint  generated always as identity primary key,
    projection  text    not null,
    generation  integer not null,
    code        text    not null check (code in ('topic_recreated', 'records_lost', 'offsets_missing', 'database_restored')),
    topic       text    not null,
    partition   integer not null,
    problem     text    not null,
    kafka_offset bigint,
    noticed_at  timestamptz not null default now(),
    accepted_at timestamptz,
    accepted_by name
);
create unique index halts_open on aqueduct_consumer.halts (projection, generation, code, topic, partition)
    where accepted_at is null;

-- Records of this transaction that receive did not let through and park has not stored yet.
create table aqueduct_consumer.unparked (
    projection  text    not null,
    generation  integer not null,
    topic       text    not null,
    partition   integer not null,
    "offset"    bigint  not null,
    inbox       integer not null,
    stream      text    not null,
    revision    bigint,
    previous    bigint,
    result      text    not null,
    code        text    not null,
    reason      text    not null,
    xid         xid8    not null default pg_current_xact_id(),
    primary key (projection, generation, topic, partition, "offset")
);

-- Records without a revision, which other producers wrote: known by their id for as long as it is kept.
create table aqueduct_consumer.ids (
    inbox integer     not null,
    id    text        collate "C" not null,
    time  timestamptz not null,
    primary key (inbox, id)
);
create index ids_time on aqueduct_consumer.ids (inbox, time);

-- Ids older than the horizon may have been removed: such a record cannot be told from a duplicate.
create table aqueduct_consumer.horizons (
    inbox   integer primary key,
    horizon timestamptz not null
);
