//! The one product binary, `aqueduct`.
