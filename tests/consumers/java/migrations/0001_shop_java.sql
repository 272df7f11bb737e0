create schema shop_java;
create table shop_java.orders (
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
create table shop_java.revenue (
    day       date not null,
    country   text not null,
    ordered   numeric not null default 0,
    returned  numeric not null default 0,
    confirmed numeric not null default 0,
    primary key (day, country)
);
