-- A batch whose records are all next of their streams is written by one statement, which is a transaction of its own. Its
-- other parts are generated, because they write the table of a read model; these functions are what they have in common.

-- First part: moves the offsets, as aqueduct.offsets_advance does, and keeps the partitions from being claimed until the
-- end. All other parts read its result, so that they lock their rows after it. SQLSTATE AQ001: a partition has another
-- owner.
create function aqueduct.batch_fence(
    in_projection text,
    in_generation integer,
    in_topics text[],
    in_partitions integer[],
    in_epochs bigint[],
    in_next_offsets bigint[]
) returns boolean
language plpgsql as $$
begin
    if cardinality(aqueduct.offsets_advance(in_projection, in_generation, in_topics, in_partitions, in_epochs,
                                            in_next_offsets)) > 0 then
        raise exception using errcode = 'AQ001', message = 'a partition of the batch has another owner';
    end if;
    return true;
end $$;

-- Last part. SQLSTATE AQ002: a row was not as the caller expected, so nothing may be written.
create function aqueduct.batch_check(in_is_complete boolean) returns boolean
language plpgsql as $$
begin
    if in_is_complete is not true then
        raise exception using errcode = 'AQ002', message = 'a row of the batch is not as expected';
    end if;
    return true;
end $$;

-- Changes whenever the table, one of its columns or one of its triggers is changed.
create function aqueduct.table_version(in_table oid) returns text
language sql stable as $$
    select concat_ws(' ',
        (select c.xmin from pg_class c where c.oid = in_table),
        (select max(a.xmin::text::bigint) from pg_attribute a where a.attrelid = in_table),
        (select concat(count(*), ' ', max(t.xmin::text::bigint)) from pg_trigger t where t.tgrelid = in_table))
$$;
