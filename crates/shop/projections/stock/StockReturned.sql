insert into shop_sql.stock as s (sku, returned, on_hand, revision)
select e.data->>'sku', (e.data->>'quantity')::bigint, (e.data->>'quantity')::bigint, e.revision
  from $events e
    on conflict (sku) do update
   set returned = s.returned + excluded.returned, on_hand = s.on_hand + excluded.on_hand, revision = excluded.revision
