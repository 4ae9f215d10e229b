//! The door to the sandbox for the SDK: an HTTP connector inside the process, in virtual time.

use super::world::Time;
use super::{Answer, Outcome, Reply, Request, Sandbox, Save};
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// The time of the sandbox: a first moment, and what went by on the runtime's clock since. Give it to the SDK as its time source too.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Time,
    base: Instant,
}

impl Clock {
    /// To be called inside the runtime whose clock, paused or not, is to be followed.
    pub fn starting_at(start: Time) -> Clock {
        Clock { start, base: Instant::now() }
    }

    /// To be called inside the same runtime.
    pub fn now(&self) -> Time {
        let elapsed = u64::try_from(self.base.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.start.after_ms(elapsed)
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(Clock::now(self).0)
    }
}

/// An HTTP client for the SDK behind which the sandbox answers.
#[derive(Clone)]
pub struct Door {
    sandbox: Arc<Mutex<Sandbox>>,
    clock: Clock,
    save: Option<Save>,
    read_timeout: Option<Duration>,
}

impl Door {
    pub fn new(sandbox: Arc<Mutex<Sandbox>>, clock: Clock) -> Door {
        Door { sandbox, clock, save: None, read_timeout: None }
    }

    /// Saves the world after each call that changed it; a call whose change could not be saved fails.
    #[must_use]
    pub fn saving(mut self, save: Save) -> Door {
        self.save = Some(save);
        self
    }

    /// One request, answered when its delay is over.
    pub async fn send(&self, request: &Request) -> Result<Reply, ConnectorError> {
        self.stall().await;
        let answer = self.handle(request)?;
        let Some(limit) = self.read_timeout else { return arrive(answer).await };
        let late = || ConnectorError::timeout(format!("no reply within {limit:?}").into());
        tokio::time::timeout(limit, arrive(answer)).await.unwrap_or_else(|_| Err(late()))
    }

    /// Lets the time pass in which the caller's machine stands still: all of its timers are late at once. Virtual time only.
    async fn stall(&self) {
        let stall = {
            let mut sandbox = self.sandbox.lock().expect("a call that panicked ended the process");
            let next = sandbox.trace.len();
            sandbox.stall.take_if(|(call, _)| *call == next)
        };
        if let Some((_, time)) = stall {
            tokio::time::advance(time).await;
        }
    }

    /// Carries out the call and saves what it changed, both at this moment.
    fn handle(&self, request: &Request) -> Result<Answer, ConnectorError> {
        let mut sandbox = self.sandbox.lock().expect("a call that panicked ended the process");
        let answer = sandbox.handle(self.clock.now(), request);
        match &self.save {
            Some(save) if answer.changed => save(&sandbox.world).map_err(|e| ConnectorError::io(e.into()))?,
            Some(_) | None => {}
        }
        Ok(answer)
    }
}

/// Waits until the answer is there.
async fn arrive(answer: Answer) -> Result<Reply, ConnectorError> {
    tokio::time::sleep(answer.delay).await;
    match answer.outcome {
        Outcome::Reply(reply) => Ok(reply),
        Outcome::Refused => Err(broken(io::ErrorKind::ConnectionRefused, "connection refused")),
        Outcome::Reset => Err(broken(io::ErrorKind::ConnectionReset, "connection reset by peer")),
        // Whoever called gives up some day; if not, neither would AWS answer.
        Outcome::Hang => std::future::pending().await,
    }
}

fn broken(kind: io::ErrorKind, text: &str) -> ConnectorError {
    ConnectorError::io(io::Error::new(kind, text).into())
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("clock", &self.clock).field("read_timeout", &self.read_timeout).finish_non_exhaustive()
    }
}

impl HttpClient for Door {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Door { read_timeout: settings.read_timeout(), ..self.clone() })
    }
}

impl HttpConnector for Door {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let door = self.clone();
        HttpConnectorFuture::new(async move {
            let request = received(request).await?;
            sent(door.send(&request).await?)
        })
    }
}

/// The SDK's request as the sandbox reads it.
async fn received(mut request: HttpRequest) -> Result<Request, ConnectorError> {
    let uri: http::Uri = request.uri().parse().map_err(|e: http::uri::InvalidUri| ConnectorError::user(e.into()))?;
    // Taken and read to its end: a body that nobody reads is a stalled upload to the SDK.
    let body = ByteStream::new(request.take_body()).collect().await.map_err(|e| ConnectorError::user(e.into()))?;
    Ok(Request {
        method: request.method().to_owned(),
        host: uri.host().unwrap_or_default().to_owned(),
        port: uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 }),
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        // The SDK keeps names in lower case.
        headers: request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: body.to_vec(),
    })
}

/// The sandbox's reply as the SDK reads it.
fn sent(reply: Reply) -> Result<HttpResponse, ConnectorError> {
    let mut builder = http::Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        builder = builder.header(name, value);
    }
    let response = builder.body(SdkBody::from(reply.body)).map_err(|e| ConnectorError::other(e.into(), None))?;
    HttpResponse::try_from(response).map_err(|e| ConnectorError::other(e.into(), None))
}
