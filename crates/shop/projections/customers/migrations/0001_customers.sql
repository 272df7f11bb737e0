create schema if not exists shop_sql;
create table shop_sql.customers (
    user_id       text primary key,
    country       text not null,
    registered_at timestamp(3) not null
);
