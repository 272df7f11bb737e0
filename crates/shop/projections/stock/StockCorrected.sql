merge into shop_sql.stock s
using (select data->>'sku' as sku, (data->>'applied')::bigint as applied, revision from $events e) e on s.sku = e.sku
 when matched then update
  set corrected = s.corrected + e.applied, on_hand = s.on_hand + e.applied, revision = e.revision
 when not matched then insert (sku, corrected, on_hand, revision) values (e.sku, e.applied, e.applied, e.revision)
