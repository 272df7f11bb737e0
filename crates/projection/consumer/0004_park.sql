-- Bytes as the stored headers have them: text, or hex where they are none.
create function aqueduct_consumer.header(in_name text, in_value bytea) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
    return jsonb_build_object('name', in_name, 'value', convert_from(in_value, 'UTF8'));
exception when character_not_in_repertoire or untranslatable_character then
    return jsonb_build_object('name', in_name, 'hex', encode(in_value, 'hex'));
end $$;

-- Headers as they are stored, from base64.
create function aqueduct_consumer.stored(in_headers jsonb) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
    -- Nearly always all are text.
    return (select coalesce(jsonb_agg(jsonb_build_object(
                       'name', h.header->>'name', 'value', convert_from(decode(h.header->>'value', 'base64'), 'UTF8'))
                       order by h.place), '[]')
              from jsonb_array_elements(in_headers) with ordinality as h (header, place));
exception when character_not_in_repertoire or untranslatable_character then
    return (select jsonb_agg(aqueduct_consumer.header(h.header->>'name', decode(h.header->>'value', 'base64'))
                             order by h.place)
              from jsonb_array_elements(in_headers) with ordinality as h (header, place));
end $$;

-- Stores records that receive did not let through, whole, so that they can be applied later. Returns how many are new:
-- one that is parked already is not stored twice. SQLSTATE AQ014: receive has not judged a record in this transaction, or
-- judged that it is not to be parked.
--
-- in_records  array of {topic, partition, offset, event_type, key, value, headers}: key, value and the headers' values in
--             base64 or null, headers an array of {name, value} in the record's order
create function aqueduct_consumer.park(in_projection text, in_generation integer, in_records jsonb)
returns bigint
-- The planner expects few records, and would compare each with each.
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_nestloop = off as $$
#variable_conflict use_column
declare
    unknown text;
    parked bigint;
begin
    perform aqueduct_consumer.authorize(in_projection, in_generation);
    select format('%s/%s@%s', r.topic, r.partition, r."offset") into unknown
      from jsonb_to_recordset(in_records) as r (topic text, partition integer, "offset" bigint)
      left join aqueduct_consumer.unparked u
        on u.projection = in_projection and u.generation = in_generation and u.xid = pg_current_xact_id()
       and u.topic = r.topic and u.partition = r.partition and u."offset" = r."offset"
     where u.topic is null
     limit 1;
    if found then
        raise exception 'record % is not one that receive wants parked in this transaction', unknown
            using errcode = 'AQ014';
    end if;

    with record as materialized (
        delete from aqueduct_consumer.unparked u
         using jsonb_to_recordset(in_records)
            as r (topic text, partition integer, "offset" bigint, event_type text, key text, value text, headers jsonb)
         where u.projection = in_projection and u.generation = in_generation and u.xid = pg_current_xact_id()
           and u.topic = r.topic and u.partition = r.partition and u."offset" = r."offset"
        returning u.*, r.event_type, r.key, r.value, coalesce(r.headers, '[]') as headers
    ), stored as (
        insert into aqueduct.parked (projection, generation, source, topic, stream, revision, verdict, code, reason,
                                     event_type, partition, "offset", key, payload, headers)
        select r.projection, r.generation, i.source, r.topic, r.stream, r.revision, r.result, r.code,
               format('%s/%s@%s: %s', r.topic, r.partition, r."offset", r.reason), r.event_type, r.partition, r."offset",
               decode(r.key, 'base64'), decode(r.value, 'base64'), aqueduct_consumer.stored(r.headers)
          from record r
          join aqueduct.inboxes i using (inbox)
         order by r.topic, r.partition, r."offset"
            on conflict do nothing
        returning 1
    ), repaired as materialized (
        -- A blocked event that follows the last applied one fills a gap: its stream can be replayed.
        select distinct on (r.inbox, r.stream) r.inbox, r.stream, r.previous, r.partition
          from record r
          join aqueduct.inbox_streams s
            on s.inbox = r.inbox and s.stream = r.stream collate "C" and s.revision = r.previous
         where r.result = 'blocked'
    )
    select (select count(*) from stored),
           count(aqueduct.parked_repair(r.inbox, r.stream, r.previous, r.partition))
      into parked
      from repaired r;
    return parked;
end $$;

-- Moves the offsets, as the last call of the transaction. in_offsets is an array of {topic, partition, epoch,
-- next_offset}. SQLSTATE AQ001: a partition has another owner; AQ015: a record that receive wants parked is not;
-- AQ016: an offset is missing or goes back.
create function aqueduct_consumer.advance(in_projection text, in_generation integer, in_offsets jsonb)
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    forgotten text;
begin
    perform aqueduct_consumer.authorize(in_projection, in_generation);
    perform aqueduct_consumer.hold(in_projection, in_generation, in_offsets);
    select format('%s/%s@%s (%s)', u.topic, u.partition, u."offset", u.reason) into forgotten
      from aqueduct_consumer.unparked u
     where u.projection = in_projection and u.generation = in_generation and u.xid = pg_current_xact_id()
     order by u.topic, u.partition, u."offset"
     limit 1;
    if found then
        raise exception 'record % must be parked before the offsets advance', forgotten using errcode = 'AQ015';
    end if;
    select format('%s/%s', o.topic, o.partition) into forgotten
      from jsonb_to_recordset(in_offsets) as n (topic text, partition integer, next_offset bigint)
      join aqueduct.offsets o
        on o.projection = in_projection and o.generation = in_generation
       and o.topic = n.topic and o.partition = n.partition
     where n.next_offset is null or n.next_offset < o.next_offset
     limit 1;
    if found then
        raise exception 'the next offset of % is missing, or before the one that is stored', forgotten
            using errcode = 'AQ016';
    end if;
    update aqueduct.offsets o
       set next_offset = n.next_offset, advanced_at = clock_timestamp()
      from jsonb_to_recordset(in_offsets) as n (topic text, partition integer, next_offset bigint)
     where o.projection = in_projection and o.generation = in_generation
       and o.topic = n.topic and o.partition = n.partition;
end $$;
