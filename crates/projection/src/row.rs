//! Rows of queries.

/// Implements [`sqlx::FromRow`] for a struct: each of the fields is read from the column of its name.
///
/// It does what the derive of sqlx does, whose feature `derive` builds sqlx a second time for the compiler.
///
/// ```
/// struct Balance {
///     account: String,
///     pence: i64,
/// }
/// aqueduct_projection::from_row!(Balance { account, pence });
/// ```
#[macro_export]
macro_rules! from_row {
    ($row:ident { $($field:ident),+ $(,)? }) => {
        impl<'r> ::sqlx::FromRow<'r, ::sqlx::postgres::PgRow> for $row {
            fn from_row(row: &'r ::sqlx::postgres::PgRow) -> ::std::result::Result<Self, ::sqlx::Error> {
                $(let $field = ::sqlx::Row::try_get(row, ::std::stringify!($field))?;)+
                ::std::result::Result::Ok(Self { $($field),+ })
            }
        }
    };
}
