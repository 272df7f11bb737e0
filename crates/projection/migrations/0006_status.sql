-- The last report of each partition's owner, for `aqueduct status`. It is not part of the batches: an owner reports when
-- its state changes and every ten seconds.
create table aqueduct.projection_status (
    projection  text    not null,
    generation  integer not null,
    topic       text    not null,
    partition   integer not null,
    owner       text    not null,
    epoch       bigint,
    state       text    not null check (state in ('running', 'retrying', 'halted', 'stopped')),
    problem     text,
    read_to     bigint,
    reported_at timestamptz not null default now(),
    primary key (projection, generation, topic, partition)
) with (fillfactor = 50);

comment on table aqueduct.projection_status is
    'last report of each partition''s owner; topic '''' and partition -1: an instance that owns no partition and cannot work';
comment on column aqueduct.projection_status.read_to is
    'offset up to which everything is applied, including transaction markers; valid under this epoch';

-- Stores an instance's report about its partitions. A partition that has another owner now (its epoch has changed) is left
-- out. Without partitions the report is about the instance.
create function aqueduct.projection_report(
    in_projection text, in_generation integer, in_owner text, in_state text, in_problem text,
    in_topics text[], in_partitions integer[], in_epochs bigint[], in_read_to bigint[]
) returns void
language sql as $$
    insert into aqueduct.projection_status as s
        (projection, generation, topic, partition, owner, epoch, state, problem, read_to)
    select in_projection, in_generation, p.topic, p.partition, in_owner, p.epoch, in_state, in_problem, p.read_to
      from unnest(in_topics, in_partitions, in_epochs, in_read_to) as p (topic, partition, epoch, read_to)
      join aqueduct.offsets o
        on o.projection = in_projection and o.generation = in_generation
       and o.topic = p.topic and o.partition = p.partition and o.epoch = p.epoch
    union all
    select in_projection, in_generation, '', -1, in_owner, null, in_state, in_problem, null
     where cardinality(in_topics) = 0
        on conflict (projection, generation, topic, partition) do update
       set owner = excluded.owner, epoch = excluded.epoch, state = excluded.state, problem = excluded.problem,
           read_to = coalesce(excluded.read_to, s.read_to), reported_at = now()
$$;
