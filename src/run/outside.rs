//! Requests to hosts outside of AWS that `bgx.toml` names: with a token that nothing shows, to that host alone, and with bounded patience.

mod reply;

use super::{EffectRequest, Run, RunError};
use crate::account::{HttpReply, HttpRequest, Token};
use crate::config::{Outside, Secret};
use reply::{Then, next_page, only, then};
use std::time::Duration;

/// Longer than any page that is asked for; what is kept of it is a small part.
const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// As much as is kept whole, and all that an error is read for.
const KEPT_BYTES_MAX: usize = 64 * 1024;
/// A host may move a resource once or twice; more is a circle.
const REDIRECTS_MAX: u32 = 3;
/// Of a host's own words, so many characters go into an error.
const WORDS_CHARS_MAX: usize = 200;

/// What is asked of a host outside.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// Name under `[outside]`.
    pub host: String,
    /// With its query, starting with `/`.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// JSON of a GraphQL query, to be POSTed.
    pub query: Option<String>,
    /// Paths of keys, such as `commits.sha`: all else of a JSON reply is dropped. Empty: the reply is kept whole.
    pub only: Vec<String>,
    pub timeout_seconds: u32,
}

impl Run {
    /// Asks a host something that changes nothing there.
    pub async fn ask_outside(&mut self, ask: &Ask) -> Result<HttpReply, RunError> {
        let host = self.host(&ask.host)?;
        let request = HttpRequest {
            method: if ask.query.is_some() { "POST" } else { "GET" }.to_owned(),
            url: format!("{}{}", host.url, ask.path),
            headers: ask.headers.clone(),
            body: ask.query.clone(),
            timeout_seconds: ask.timeout_seconds,
            reply_bytes_max: if ask.only.is_empty() { KEPT_BYTES_MAX } else { REPLY_BYTES_MAX },
            ..HttpRequest::default()
        };
        let reply = self.exchange((&ask.host, &host), request, true).await?;
        if reply.is_cut {
            let hint = "keep a part of it: `only: [\"key\", \"list.key\"]`";
            let text = format!("the reply of `{}` to {} has more than {} KiB", ask.host, ask.path, KEPT_BYTES_MAX / 1024);
            return Err(RunError::Failed { text, hint: ask.only.is_empty().then(|| hint.to_owned()) });
        }
        let next = next_page(&reply, &host.url).map_err(|why| RunError::failed(format!("`{}` {why}", ask.host)))?;
        let body = if ask.only.is_empty() { reply.body } else { only(reply.status, &reply.body, &ask.only) };
        if body.len() > KEPT_BYTES_MAX * 4 {
            return Err(RunError::failed(format!("what `only` keeps of {} is too much for a journal: ask for smaller pages", ask.path)));
        }
        Ok(HttpReply { body, next, ..reply })
    }

    /// Sends JSON for its effect, once: after a lost reply whoever sent it must look what became of it. Says what came of it.
    pub(super) async fn post_outside(&mut self, request: &EffectRequest, json: &str) -> Result<String, RunError> {
        let host = self.host(&request.to)?;
        if self.tale.is_server && !host.is_loopback() {
            let text = format!("the account is a test server's, and `{}` is not: nothing was sent", request.to);
            return Err(RunError::refused(text, "use the target `sandbox`, or `aws`"));
        }
        let sent = HttpRequest {
            method: request.method.clone(),
            url: format!("{}{}", host.url, request.path),
            headers: vec![("accept".to_owned(), "application/json".to_owned())],
            body: Some(json.to_owned()),
            timeout_seconds: 10,
            ..HttpRequest::default()
        };
        let reply = self.exchange((&request.to, &host), sent, false).await?;
        let shown: String = json.chars().take(WORDS_CHARS_MAX).collect();
        match reply.status {
            200..=299 => Ok(format!("{shown}: answered {}", reply.status)),
            status => {
                let words: String = words(&reply.body).chars().filter(|c| !c.is_control()).take(WORDS_CHARS_MAX).collect();
                Err(RunError::failed(format!("`{}` answers {status} to {} {}{words}", request.to, request.method, request.path)))
            }
        }
    }

    fn host(&self, name: &str) -> Result<Outside, RunError> {
        self.env.outside.get(name).cloned().ok_or_else(|| {
            let hint = format!("add [outside.{name}] with its `url` to bgx.toml, and where its `token` is");
            RunError::refused(format!("`{name}` is no host of bgx.toml"), hint)
        })
    }

    /// One request with all that its host asks for: to wait a little, or to go elsewhere within it.
    async fn exchange(&mut self, (name, host): (&str, &Outside), mut request: HttpRequest, reads: bool) -> Result<HttpReply, RunError> {
        request.token = self.token_of(name, host).await?;
        let (mut waited, mut hops) = (Duration::ZERO, 0);
        loop {
            let called = format!("{name} {}", request.url.strip_prefix(host.origin()).unwrap_or_default());
            let mut reply = match reads {
                true => self.account.http_read(&called, &request).await?,
                false => self.account.http_to(&called, &request).await?,
            };
            // Some hosts say back what they were sent.
            if let Some(Token(token)) = &request.token {
                reply.body = reply.body.replace(token.as_str(), "…");
            }
            let can_follow = reads && request.body.is_none();
            let after = then(&reply, host.origin(), can_follow, self.now().as_second(), waited);
            match after.map_err(|why| RunError::failed(format!("`{name}` {why}")))? {
                Then::Take => return Ok(reply),
                Then::Wait(length) => {
                    self.pause(length).await?;
                    waited += length;
                }
                Then::Follow(url) if hops < REDIRECTS_MAX => {
                    request.url = url;
                    hops += 1;
                }
                Then::Follow(_) => return Err(RunError::failed(format!("`{name}` redirects {hops} times and more"))),
            }
        }
    }

    /// In the sandbox no secret is read: the sandbox itself answers.
    async fn token_of(&self, name: &str, host: &Outside) -> Result<Option<Token>, RunError> {
        let token = match &host.token {
            None => return Ok(None),
            Some(_) if self.tale.is_sandbox => "sandbox".to_owned(),
            Some(Secret::Env(variable)) => std::env::var(variable)
                .map_err(|_| RunError::failed(format!("`{variable}`, which holds the token of `{name}`, is not in the environment")))?,
            Some(Secret::Parameter(parameter)) => {
                let missing = || RunError::failed(format!("there is no parameter `{parameter}`, which holds the token of `{name}`"));
                self.account.secret(parameter).await?.ok_or_else(missing)?
            }
        };
        match token.trim() {
            "" => Err(RunError::failed(format!("the token of `{name}` is empty"))),
            token => Ok(Some(Token(token.to_owned()))),
        }
    }
}

/// What a host says of an error, to follow the status.
fn words(body: &str) -> String {
    let json = serde_json::from_str::<serde_json::Value>(body).unwrap_or_default();
    json["message"].as_str().map(|text| format!(": {text}")).unwrap_or_default()
}
