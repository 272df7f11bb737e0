create schema if not exists shop_sql;
create table shop_sql.stock (
    sku       text primary key,
    received  bigint not null default 0,
    reserved  bigint not null default 0,
    returned  bigint not null default 0,
    corrected bigint not null default 0,
    refused   bigint not null default 0,
    on_hand   bigint not null default 0 check (on_hand >= 0),
    revision  bigint not null,
    check (on_hand = received - reserved + returned + corrected)
);
