-- The shop's read models. Each is kept by the projection of its name; amounts count minor units (pence).

create table shop.customers (
    user_id       text primary key,
    country       text not null,
    registered_at timestamp(3) not null
);
comment on column shop.customers.registered_at is 'the shop''s local time';

create table shop.orders (
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
comment on column shop.orders.customer_id is 'null for a guest';
comment on column shop.orders.lines is 'lines of products, without charges';
comment on column shop.orders.confirmed is 'what was reserved and the charges; null unless the order was confirmed once';
comment on column shop.orders.revision is 'of the last event in the row, within its stream';
comment on column shop.orders.position is 'of the last event in the row, in $all';

create table shop.stock (
    sku       text primary key,
    received  bigint not null,
    reserved  bigint not null,
    returned  bigint not null,
    corrected bigint not null,
    refused   bigint not null,
    on_hand   bigint not null check (on_hand >= 0),
    revision  bigint not null,
    check (on_hand = received - reserved + returned + corrected)
);
comment on table shop.stock is 'pieces per product code';
comment on column shop.stock.refused is 'what orders asked for in vain';

create table shop.revenue (
    day       date not null,
    country   text not null,
    ordered   numeric not null default 0,
    returned  numeric not null default 0,
    confirmed numeric not null default 0,
    primary key (day, country)
);
comment on column shop.revenue.returned is 'what was paid back, positive, under the day of the return';
