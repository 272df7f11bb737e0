create schema if not exists shop_sql;
create table shop_sql.orders (
    order_id    text primary key,
    customer_id text,
    placed_at   timestamp(3) not null,
    day         date not null,
    country     text not null,
    state       text not null check (state in ('created', 'confirmed', 'rejected', 'cancelled')),
    lines       integer not null,
    total       numeric(18, 3) not null,
    confirmed   numeric(18, 3),
    revision    bigint not null,
    position    bigint not null
);
