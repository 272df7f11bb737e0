-- Each event is part of a sum, so that none can be without effect.
-- rows: any
insert into shop_sql.revenue as r (day, country, returned)
select (e.data->>'receivedAt')::date, e.data->>'country', sum((e.data->>'total')::numeric)
  from $events e
 group by 1, 2
    on conflict (day, country) do update set returned = r.returned + excluded.returned
