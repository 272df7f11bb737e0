insert into shop_sql.stock as s (sku, refused, revision)
select e.data->>'sku', (e.data->>'quantity')::bigint, e.revision
  from $events e
    on conflict (sku) do update set refused = s.refused + excluded.refused, revision = excluded.revision
