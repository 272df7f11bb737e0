//! The aggregate behind `return-<invoice>`.

use aqueduct::{Aggregate, Command, domain_event};
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use super::goods::check_goods;
use crate::events::{Charge, Currency, ReturnLine, ReturnReceived};
use crate::refusal::{InvalidField, Refusal, RefusalKind, check_id, check_text, check_time};

domain_event! {
    /// What happens to a return.
    pub enum ReturnEvent { ReturnReceived }
}

/// Goods, or money, that a customer gets taken back.
#[derive(Debug, Default)]
pub struct Return {
    received: bool,
}

/// Books a credit invoice: what comes back, of which orders, and what the customer is paid for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegisterReturn {
    /// The number of the credit invoice, with its `C`.
    pub return_id: String,
    /// None for a guest.
    pub customer_id: Option<String>,
    /// The shop's local time.
    pub received_at: DateTime,
    /// Where it came from.
    pub country: String,
    /// Of all prices.
    pub currency: Currency,
    /// Products; they go back to stock. Quantities are positive.
    pub lines: Vec<ReturnLine>,
    /// Postage, discounts and other money given back.
    pub credits: Vec<Charge>,
    /// The order that this return undoes wholly, if there is one: it will be cancelled.
    pub undoes: Option<String>,
}

impl Command for RegisterReturn {
    fn name(&self) -> &'static str {
        "RegisterReturn"
    }
}

/// Why a return refuses a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReturnError {
    /// A field cannot be accepted.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// Received before, by another command.
    #[error("return {0} exists already")]
    ReturnExists(String),
}

impl Refusal for ReturnError {
    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid-command",
            Self::ReturnExists(_) => "return-exists",
        }
    }

    fn kind(&self) -> RefusalKind {
        match self {
            Self::Invalid(_) => RefusalKind::Invalid,
            Self::ReturnExists(_) => RefusalKind::Conflict,
        }
    }
}

impl Aggregate for Return {
    const TYPE: &'static str = "return";
    type Command = RegisterReturn;
    type Event = ReturnEvent;
    type Error = ReturnError;

    fn handle(&self, command: &RegisterReturn) -> Result<Vec<ReturnEvent>, ReturnError> {
        if self.received {
            return Err(ReturnError::ReturnExists(command.return_id.clone()));
        }
        Ok(vec![command.check()?.into()])
    }

    fn apply(&mut self, ReturnEvent::ReturnReceived(_): &ReturnEvent) {
        self.received = true;
    }
}

impl RegisterReturn {
    /// The event, if every field can be accepted.
    fn check(&self) -> Result<ReturnReceived, InvalidField> {
        check_id("returnId", &self.return_id)?;
        check_text("customerId", self.customer_id.as_deref().unwrap_or_default())?;
        check_text("country", &self.country)?;
        check_time("receivedAt", self.received_at)?;
        if let Some(order_id) = &self.undoes {
            check_id("undoes", order_id)?;
        }
        let (mut lines, mut credits) = (self.lines.clone(), self.credits.clone());
        let of_products = lines
            .iter_mut()
            .map(|line| (&*line.sku, &*line.description, line.quantity, &mut line.unit_price));
        let total = check_goods(of_products, "credits", &mut credits)?;
        Ok(ReturnReceived {
            return_id: self.return_id.clone(),
            customer_id: self.customer_id.clone(),
            received_at: self.received_at,
            country: self.country.clone(),
            currency: self.currency,
            lines,
            credits,
            total,
            undoes: self.undoes.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use aqueduct::testing::given;
    use jiff::civil::date;
    use rust_decimal::Decimal;

    use super::*;

    fn register() -> RegisterReturn {
        RegisterReturn {
            return_id: "C536379".into(),
            customer_id: Some("14527".into()),
            received_at: date(2010, 12, 1).at(9, 41, 0, 0),
            country: "United Kingdom".into(),
            currency: Currency::Gbp,
            lines: vec![ReturnLine {
                sku: "35004c".into(),
                description: "SET OF 3 COLOURED FLYING DUCKS".into(),
                quantity: 2,
                unit_price: Decimal::from(465),
                order_id: Some("536370".into()),
            }],
            credits: vec![Charge {
                code: "D".into(),
                description: "Discount".into(),
                quantity: 1,
                unit_price: "2750.000".parse().unwrap(),
            }],
            undoes: None,
        }
    }

    #[test]
    fn a_return_is_booked_once_with_what_is_paid_back() {
        let RegisterReturn { return_id, customer_id, received_at, country, currency, lines, credits, undoes } =
            register();
        let event: ReturnEvent = ReturnReceived {
            return_id,
            customer_id,
            received_at,
            country,
            currency,
            lines,
            credits,
            total: Decimal::from(3680),
            undoes,
        }
        .into();
        let first = given::<Return>([]).when(register()).then([event.clone()]);
        insta::assert_debug_snapshot!(first.state(), @r"
        Return {
            received: true,
        }
        ");
        given::<Return>([event]).when(register()).then_error(&ReturnError::ReturnExists("C536379".into()));
    }

    #[test]
    fn a_field_that_can_not_be_accepted_is_named() {
        let mut command = register();
        command.credits[0].quantity = -1;
        given::<Return>([])
            .when(command)
            .then_error(&InvalidField::new("credits[0].quantity", "must be positive").into());
        let nothing = RegisterReturn { lines: vec![], credits: vec![], ..register() };
        given::<Return>([]).when(nothing).then_error(
            &InvalidField::new("lines", "must not be empty where nothing is charged or credited").into(),
        );
    }
}
