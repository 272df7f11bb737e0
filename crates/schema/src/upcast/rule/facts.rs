//! What conditions show about fields: in `old.x != null ? a : b`, `x` is not null in `a`.

use super::types::Type;

/// A variable, or a field of a record that is reached from one: the variable, then the fields' positions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    pub(super) variable: usize,
    pub(super) fields: Vec<usize>,
}

/// The types that places are known to have where an expression is evaluated.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts(Vec<(Place, Type)>);

impl Facts {
    /// The latest that was shown.
    pub(super) fn of(&self, place: &Place) -> Option<&Type> {
        self.0.iter().rev().find(|(known, _)| known == place).map(|(_, of)| of)
    }

    pub(super) fn with(&self, more: &Self) -> Self {
        Self(self.0.iter().chain(&more.0).cloned().collect())
    }

    pub(super) fn one(place: Place, of: Type) -> Self {
        Self(vec![(place, of)])
    }
}

/// What a condition shows if it is true, and if it is false.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) if_true: Facts,
    pub(super) if_false: Facts,
}

impl Shown {
    pub(super) fn negated(self) -> Self {
        Self { if_true: self.if_false, if_false: self.if_true }
    }
}
