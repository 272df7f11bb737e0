//! Where the registry is and how to talk to it.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

/// Where the registry is.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryOptions {
    /// Base of the Confluent-compatible API: `http://localhost:8081`, or with Apicurio
    /// `http://localhost:8080/apis/ccompat/v7`. A registry that redirects to `https` must be given by its `https` address.
    pub url: String,
    /// For basic authentication.
    #[serde(default)]
    pub username: Option<String>,
    /// For basic authentication. A secret: not shown by `Debug`.
    #[serde(default)]
    pub password: Option<String>,
    /// PEM file of a certificate authority to trust in addition to the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How long one request may take.
    #[serde(default = "RegistryOptions::default_timeout_seconds")]
    pub timeout_seconds: u64,
}

impl RegistryOptions {
    /// Without authentication, with the system's authorities.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            username: None,
            password: None,
            ca_file: None,
            timeout_seconds: Self::default_timeout_seconds(),
        }
    }

    fn default_timeout_seconds() -> u64 {
        10
    }
}

impl fmt::Debug for RegistryOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryOptions")
            .field("url", &self.url)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("ca_file", &self.ca_file)
            .field("timeout_seconds", &self.timeout_seconds)
            .finish()
    }
}
