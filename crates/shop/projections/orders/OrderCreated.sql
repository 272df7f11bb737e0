insert into shop_sql.orders (order_id, customer_id, placed_at, day, country, state, lines, total, revision, position)
select e.data->>'orderId', e.data->>'customerId', (e.data->>'placedAt')::timestamp, (e.data->>'placedAt')::date,
       e.data->>'country', 'created', jsonb_array_length(e.data->'lines'), (e.data->>'total')::numeric,
       e.revision, e.position
  from $events e
