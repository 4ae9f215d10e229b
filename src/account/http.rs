//! Plain HTTP requests, to an instance or a host named in `bgx.toml`, through the same HTTP client as AWS's.

use super::classify::{Answer, Failure, answer, chain, undelivered};
use super::connect::CONNECT_LIMIT;
use super::retry::{ATTEMPT_LIMIT, Call, Class};
use super::{Account, AccountError, HttpReply, HttpRequest, Kind, Token};
use aws_sdk_s3::config::interceptors::BeforeSerializationInterceptorContextMut as Context;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorSettings};
use http_body_util::BodyExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Statuses with which a front door says that its host is not there just now.
const OUTAGES: [u16; 4] = [500, 502, 503, 504];

impl Account {
    /// Sends one request once: who polls, asks again. Any status is a reply. No request has more time than a call to AWS has.
    pub async fn http(&self, request: &HttpRequest) -> Result<HttpReply, AccountError> {
        self.http_to(&request.url, request).await
    }

    /// The same to an address that is a secret: records and errors have a name in its place.
    pub async fn http_to(&self, name: &str, request: &HttpRequest) -> Result<HttpReply, AccountError> {
        let call = Call { service: "http", operation: "Request", resource: name, class: Class::Probe, says: None };
        self.call(call, || self.send_within(request)).await
    }

    /// Sends a request that changes nothing until it is answered, by something else than an outage, or the one retry layer gives up.
    pub async fn http_read(&self, name: &str, request: &HttpRequest) -> Result<HttpReply, AccountError> {
        let call = Call { service: "http", operation: "Request", resource: name, class: Class::Read, says: None };
        self.call(call, || async {
            match self.send_within(request).await {
                Ok(answer) if OUTAGES.contains(&answer.value.status) => {
                    Err(Failure::new(Kind::Unavailable, format!("it answers {}", answer.value.status)))
                }
                other => other,
            }
        })
        .await
    }

    async fn send_within(&self, request: &HttpRequest) -> Result<Answer<HttpReply>, Failure> {
        let limit = Duration::from_secs(request.timeout_seconds.into()).min(ATTEMPT_LIMIT);
        match tokio::time::timeout(limit, self.send_http(request)).await {
            Ok(reply) => reply,
            Err(_) => Err(Failure::lost(format!("no reply within {} s", limit.as_secs()))),
        }
    }

    async fn send_http(&self, request: &HttpRequest) -> Result<Answer<HttpReply>, Failure> {
        let invalid = |e: BoxError| Failure::new(Kind::Invalid, chain(e.as_ref()));
        let components = self.runtime_components().await?;
        let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_LIMIT).build();
        let connector = self.http_client.http_connector(&settings, &components);
        let reply = connector.call(wire_request(request).map_err(invalid)?).await.map_err(|e| undelivered(&e))?;
        let status = reply.status().as_u16();
        let headers = reply.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut body = reply.into_body();
        let (mut bytes, mut is_cut) = (Vec::new(), false);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| Failure::lost(format!("the body broke off: {e}")))?;
            bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data.as_ref()));
            if bytes.len() > request.reply_bytes_max {
                bytes.truncate(request.reply_bytes_max);
                is_cut = true;
                break;
            }
        }
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Answer { value: HttpReply { status, body, next: None, headers, is_cut }, request_id: None })
    }

    /// The clock and sleep that an HTTP client wants to be built with. Only an SDK call has them in this form: the first time, one is begun
    /// and stopped before it becomes a request.
    async fn runtime_components(&self) -> Result<RuntimeComponents, Failure> {
        if let Some(known) = self.shared.components.get() {
            return Ok(known.clone());
        }
        let caught = Catch::default();
        let stopped = self.sts.get_caller_identity().customize().interceptor(caught.clone()).send().await;
        let components = caught.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (components, answer(stopped)) {
            (Some(components), _) => Ok(self.shared.components.get_or_init(|| components).clone()),
            (None, Err(failure)) => Err(failure),
            (None, Ok(_)) => Err(Failure::new(Kind::Invalid, "the SDK did not show its parts")),
        }
    }
}

fn wire_request(request: &HttpRequest) -> Result<aws_sdk_s3::config::http::HttpRequest, BoxError> {
    let body = request.body.clone().unwrap_or_default();
    let is_json = serde_json::from_str::<serde_json::Value>(&body).is_ok();
    let mut wire = ::http::Request::builder().method(request.method.as_str()).uri(request.url.as_str()).header("user-agent", "bgx");
    for (name, value) in &request.headers {
        wire = wire.header(name, value);
    }
    if let Some(Token(token)) = &request.token {
        wire = wire.header("authorization", format!("Bearer {token}"));
    }
    if request.body.is_some() {
        wire = wire.header("content-type", if is_json { "application/json" } else { "text/plain; charset=utf-8" });
        wire = wire.header("content-length", body.len());
    }
    Ok(wire.body(SdkBody::from(body))?.try_into()?)
}

/// Keeps the parts of an SDK call and stops it.
#[derive(Clone, Debug, Default)]
struct Catch(Arc<Mutex<Option<RuntimeComponents>>>);

impl Intercept for Catch {
    fn name(&self) -> &'static str {
        "Catch"
    }

    fn modify_before_serialization(&self, _: &mut Context<'_>, components: &RuntimeComponents, _: &mut ConfigBag) -> Result<(), BoxError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(components.clone());
        Err("stopped: only its parts were wanted".into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{connection, reply};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_that_is_a_secret_stands_in_no_record_and_no_error() {
        let (connection, log) = connection(|_, _| reply(200, "ok"));
        let account = Account::new(&connection);
        let request = |url: &str| HttpRequest {
            method: "POST".into(),
            url: url.into(),
            body: Some("{}".into()),
            timeout_seconds: 1,
            ..HttpRequest::default()
        };
        account.http_to("the webhook", &request("https://hooks.example/secret")).await.unwrap();
        assert_eq!(log.lock().unwrap()[0].uri, "https://hooks.example/secret");
        let error = account.http_to("the webhook", &request("no address: secret")).await.unwrap_err();
        let shown = format!("{error:?} {:?}", account.take_calls());
        assert!(shown.contains("the webhook") && !shown.contains("secret"), "{shown}");
    }
    #[tokio::test(start_paused = true)]
    async fn a_token_goes_to_the_host_and_into_no_record_and_no_error() {
        let (connection, log) = connection(|_, _| reply(200, "ok"));
        let account = Account::new(&connection);
        let request = |token: &str| HttpRequest {
            url: "https://api.example/".into(),
            headers: vec![("accept".into(), "application/json".into())],
            token: Some(Token(token.into())),
            ..HttpRequest::default()
        };
        account.http_read("example /", &request("hush")).await.unwrap();
        let headers = log.lock().unwrap()[0].headers.clone();
        assert!(headers.contains("authorization: Bearer hush") && headers.contains("accept: application/json"), "{headers}");
        // No header can hold a line's end.
        let error = account.http_read("example /", &request("hush\n")).await.unwrap_err();
        let shown = format!("{error:?} {:?} {:?}", account.take_calls(), request("hush"));
        assert!(error.kind == Kind::Invalid && !shown.contains("hush"), "{shown}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_asked_again_and_any_other_status_is_an_answer() {
        let (connection, log) = connection(|before, _| reply(if before < 2 { 503 } else { 403 }, "no"));
        let account = Account::new(&connection);
        let request = HttpRequest { url: "https://api.example/".into(), ..HttpRequest::default() };
        assert_eq!(account.http_read("example /", &request).await.unwrap().status, 403);
        assert_eq!(log.lock().unwrap().len(), 3);
        let (connection, log) = super::super::testing::connection(|_, _| reply(502, "no"));
        let error = Account::new(&connection).http_read("example /", &request).await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (Kind::Unavailable, "it answers 502"));
        assert!((2..=8).contains(&log.lock().unwrap().len()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_that_is_too_long_is_cut_and_says_so() {
        let (connection, _) = connection(|_, _| reply(200, "abcdef"));
        let account = Account::new(&connection);
        let ask = async |most: usize| {
            let request = HttpRequest { url: "https://api.example/".into(), reply_bytes_max: most, ..HttpRequest::default() };
            account.http_read("example /", &request).await.map(|reply| (reply.body, reply.is_cut)).unwrap()
        };
        assert_eq!(ask(6).await, ("abcdef".to_owned(), false));
        assert_eq!(ask(5).await, ("abcde".to_owned(), true));
    }
}
