update shop_sql.orders o
   set state = 'cancelled', revision = e.revision, position = e.position
  from $events e
 where o.order_id = e.data->>'orderId'
