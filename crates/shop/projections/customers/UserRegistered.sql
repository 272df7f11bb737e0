insert into shop_sql.customers (user_id, country, registered_at)
select e.data->>'userId', e.data->>'country', (e.data->>'registeredAt')::timestamp from $events e
