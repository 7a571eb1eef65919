//! An organization: where its API is and where its key is found, never the key.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::sync::Name;

/// All that is needed to talk to one organization of Polytomic. A copy is kept
/// with every hold, so that a resume needs no configuration file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Organization {
    /// What the configuration calls it.
    pub name: Name,
    /// Base URL of the deployment, without a trailing slash.
    pub url: String,
    /// Sent as `X-Polytomic-Version` on every request.
    pub api_version: String,
    /// With a partner or deployment key: the organization to act in. The key
    /// is then sent as `Basic <organization id>:<key>` instead of `Bearer`.
    pub organization_id: Option<Uuid>,
    /// Where the key is.
    pub key: KeySource,
    /// A PEM file of certificate authorities, in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// Which proxy the requests go through.
    pub proxy: Proxy,
}

impl Organization {
    /// Whether both are the same organization at the same URL, however they are
    /// reached. Only then may the one's key be sent on behalf of the other.
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.name == other.name && self.url == other.url && self.organization_id == other.organization_id
    }

    /// The organization of the tests.
    #[cfg(test)]
    pub(crate) fn example() -> Self {
        Self {
            name: "default".into(),
            url: "https://app.polytomic.com".into(),
            api_version: "2025-09-18".into(),
            organization_id: None,
            key: KeySource::Environment("KEY".into()),
            ca_file: None,
            proxy: Proxy::None,
        }
    }
}

/// Where an API key is read from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum KeySource {
    /// A file that holds one line.
    File(PathBuf),
    /// A systemd credential (`LoadCredential=`) of this name.
    Credential(String),
    /// An environment variable of this name.
    Environment(String),
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Credential(name) => write!(f, "credential:{name}"),
            Self::Environment(name) => write!(f, "env:{name}"),
        }
    }
}

/// The text is not `file:…`, `credential:…` or `env:…`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no key source: expected `file:PATH`, `credential:NAME` or `env:NAME`")]
pub struct UnknownKeySource(String);

impl FromStr for KeySource {
    type Err = UnknownKeySource;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("file", path)) => Ok(Self::File(path.into())),
            Some(("credential", name)) => Ok(Self::Credential(name.into())),
            Some(("env", name)) => Ok(Self::Environment(name.into())),
            _ => Err(UnknownKeySource(text.to_owned())),
        }
    }
}

impl TryFrom<String> for KeySource {
    type Error = UnknownKeySource;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<KeySource> for String {
    fn from(source: KeySource) -> Self {
        source.to_string()
    }
}

/// Which proxy requests go through. None unless it was written down: a
/// variable that some shell happened to export must not reroute a daemon.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proxy {
    /// Straight to the API.
    #[default]
    None,
    /// From the usual variables (`HTTPS_PROXY`, `NO_PROXY`, …).
    Environment,
    /// This one.
    Url(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_source_reads_back_as_it_was_written() {
        for text in ["file:/etc/intermission/key", "credential:polytomic-api-key", "env:POLYTOMIC_API_KEY"] {
            assert_eq!(text.parse::<KeySource>().unwrap().to_string(), text);
        }
        assert!("/etc/key".parse::<KeySource>().is_err());
    }

    #[test]
    fn a_key_source_is_kept_as_it_was_written() {
        let source = KeySource::Credential("polytomic-api-key".into());
        assert_eq!(String::from(source), "credential:polytomic-api-key");
    }
}
