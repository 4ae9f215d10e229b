//! What `bgx.toml` says of the world outside of AWS: the webhook, other hosts, GitHub, and where their secrets are.

use serde::Deserialize;
use std::collections::BTreeMap;

/// Where a secret is; never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Secret {
    /// Name of an environment variable.
    Env(String),
    /// Name of an SSM parameter, a SecureString.
    Parameter(String),
}

/// A host outside of AWS. Its token goes to it alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// In front of every path, without a `/` at its end.
    pub url: String,
    /// Sent as `Authorization: Bearer …`.
    pub token: Option<Secret>,
}

impl Outside {
    /// `https://api.github.com` of it.
    pub fn origin(&self) -> &str {
        let from = self.url.find("://").map_or(0, |at| at + 3);
        self.url[from..].find('/').map_or(&self.url, |end| &self.url[..from + end])
    }

    /// It is on this machine: a test's.
    pub fn is_loopback(&self) -> bool {
        ["http://127.0.0.1", "http://localhost"].into_iter().any(|own| self.origin().strip_prefix(own).is_some_and(is_port))
    }
}

fn is_port(rest: &str) -> bool {
    rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

/// Who is told how runs go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NotifyFile {
    webhook: SecretFile,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a secret is { env = \"NAME\" } or { parameter = \"/name\" }")]
enum SecretFile {
    At(Secret),
    /// Told apart so that no error shows it.
    Plain(serde::de::IgnoredAny),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricsFile {
    namespace: String,
}

/// `[outside.github]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutsideFile {
    url: String,
    token: Option<SecretFile>,
}

impl SecretFile {
    fn place(self) -> Option<Secret> {
        match self {
            SecretFile::At(secret) => Some(secret),
            SecretFile::Plain(_) => None,
        }
    }
}

const WHERE: &str = "is a secret; name where it is: { env = \"NAME\" } or { parameter = \"/name\" }";

pub(super) fn webhook(file: Option<NotifyFile>) -> Result<Option<Secret>, String> {
    let Some(file) = file else { return Ok(None) };
    let secret = file.webhook.place().ok_or_else(|| format!("[notify]: the address of a webhook {WHERE}"))?;
    Ok(Some(secret))
}

pub(super) fn hosts(files: BTreeMap<String, OutsideFile>) -> Result<BTreeMap<String, Outside>, String> {
    let host = |(name, file): (String, OutsideFile)| {
        let token = match file.token {
            Some(token) => Some(token.place().ok_or_else(|| format!("[outside.{name}]: a token {WHERE}"))?),
            None => None,
        };
        let found = Outside { url: file.url.trim_end_matches('/').to_owned(), token };
        let named = found.origin().split_once("://").is_some_and(|(_, host)| !host.is_empty());
        let plain = named && found.url.chars().all(|c| c.is_ascii_graphic() && !"?#@\"<>\\".contains(c));
        if !plain || !(found.url.starts_with("https://") || found.is_loopback()) {
            return Err(format!("[outside.{name}]: `url = {:?}` must be such as \"https://api.github.com\"", file.url));
        }
        Ok((name, found))
    };
    files.into_iter().map(host).collect()
}

/// AWS page "MetricDatum" and PutMetricData: 1 to 255 characters, and `AWS/` is not ours.
pub(super) fn namespace(file: Option<MetricsFile>) -> Result<Option<String>, String> {
    let Some(MetricsFile { namespace }) = file else { return Ok(None) };
    let fits = (1..=255).contains(&namespace.len()) && namespace.chars().all(|c| c.is_ascii_alphanumeric() || ".-_/#".contains(c));
    match fits && !namespace.starts_with("AWS/") && !namespace.starts_with(':') {
        true => Ok(Some(namespace)),
        false => Err(format!("[metrics]: `namespace = {namespace:?}` must be such as \"bgx\": letters, digits and `.-_/#`, not `AWS/…`")),
    }
}

pub(super) fn repository(text: &str) -> Result<String, String> {
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    match text.split_once('/') {
        Some((owner, name)) if plain(owner) && plain(name) => Ok(text.to_owned()),
        _ => Err(format!("`repository = {text:?}` must be such as \"owner/name\"")),
    }
}

/// GitHub takes no longer one.
const LABEL_CHARS_MAX: usize = 50;

pub(super) fn label(text: &str) -> Result<String, String> {
    match text.trim() == text && (1..=LABEL_CHARS_MAX).contains(&text.chars().count()) {
        true => Ok(text.to_owned()),
        false => Err(format!("`live_label = {text:?}` must have 1 to {LABEL_CHARS_MAX} characters")),
    }
}
