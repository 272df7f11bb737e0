-- What is reserved was received: the row exists.
update shop_sql.stock s
   set reserved = s.reserved + (e.data->>'quantity')::bigint, on_hand = s.on_hand - (e.data->>'quantity')::bigint,
       revision = e.revision
  from $events e
 where s.sku = e.data->>'sku'
