-- Each event is part of a sum, so that none can be without effect.
-- rows: any
insert into shop_sql.revenue as r (day, country, confirmed)
select (e.data->>'day')::date, e.data->>'country', sum((e.data->>'confirmed')::numeric)
  from $events e
 group by 1, 2
    on conflict (day, country) do update set confirmed = r.confirmed + excluded.confirmed
