create schema if not exists shop_sql;
create table shop_sql.revenue (
    day       date not null,
    country   text not null,
    ordered   numeric not null default 0,
    returned  numeric not null default 0,
    confirmed numeric not null default 0,
    primary key (day, country)
);
