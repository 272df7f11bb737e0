//! The aggregate behind `user-<id>`.

use aqueduct::{Aggregate, Command, domain_event};
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::events::UserRegistered;
use crate::refusal::{InvalidField, Refusal, RefusalKind, check_id, check_text, check_time};

domain_event! {
    /// What happens to a customer.
    pub enum UserEvent { UserRegistered }
}

/// A customer with an account.
#[derive(Debug, Default)]
pub struct User {
    registered: bool,
}

/// Opens an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegisterUser {
    /// Number of the customer.
    pub user_id: String,
    /// Where the customer lives, as the shop writes it.
    pub country: String,
    /// The shop's local time.
    pub registered_at: DateTime,
}

impl Command for RegisterUser {
    fn name(&self) -> &'static str {
        "RegisterUser"
    }
}

/// Why a user refuses a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// A field cannot be accepted.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// Registered before, by another command.
    #[error("user {0} is registered already")]
    UserExists(String),
}

impl Refusal for UserError {
    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid-command",
            Self::UserExists(_) => "user-exists",
        }
    }

    fn kind(&self) -> RefusalKind {
        match self {
            Self::Invalid(_) => RefusalKind::Invalid,
            Self::UserExists(_) => RefusalKind::Conflict,
        }
    }
}

impl Aggregate for User {
    const TYPE: &'static str = "user";
    type Command = RegisterUser;
    type Event = UserEvent;
    type Error = UserError;

    fn handle(&self, command: &RegisterUser) -> Result<Vec<UserEvent>, UserError> {
        check_id("userId", &command.user_id)?;
        check_text("country", &command.country)?;
        check_time("registeredAt", command.registered_at)?;
        if self.registered {
            return Err(UserError::UserExists(command.user_id.clone()));
        }
        let RegisterUser { user_id, country, registered_at } = command.clone();
        Ok(vec![UserRegistered { user_id, country, registered_at }.into()])
    }

    fn apply(&mut self, UserEvent::UserRegistered(_): &UserEvent) {
        self.registered = true;
    }
}

#[cfg(test)]
mod tests {
    use aqueduct::testing::given;
    use jiff::civil::date;

    use super::*;

    fn register(user_id: &str) -> RegisterUser {
        RegisterUser {
            user_id: user_id.into(),
            country: "United Kingdom".into(),
            registered_at: date(2010, 12, 1).at(8, 26, 0, 0),
        }
    }

    fn registered() -> UserEvent {
        UserRegistered {
            user_id: "17850".into(),
            country: "United Kingdom".into(),
            registered_at: date(2010, 12, 1).at(8, 26, 0, 0),
        }
        .into()
    }

    #[test]
    fn a_customer_registers_once() {
        let first = given::<User>([]).when(register("17850")).then([registered()]);
        insta::assert_debug_snapshot!(first.state(), @r"
        User {
            registered: true,
        }
        ");
        given::<User>([registered()])
            .when(register("17850"))
            .then_error(&UserError::UserExists("17850".into()));
    }

    #[test]
    fn an_account_needs_a_number() {
        given::<User>([])
            .when(register(""))
            .then_error(&InvalidField::new("userId", "must not be empty").into());
    }
}
