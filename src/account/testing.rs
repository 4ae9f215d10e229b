//! For tests: an account whose HTTP client answers from a closure, and remembers what it was sent.

use super::{Account, Connection};
use aws_credential_types::Credentials;
use aws_sdk_s3::config::http::{HttpRequest, HttpResponse};
use aws_sdk_s3::config::{SharedAsyncSleep, SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_s3::error::ConnectorError;
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::{SharedTimeSource, StaticTimeSource};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

/// What a request meets.
#[derive(Clone, Debug)]
pub enum Canned {
    Reply {
        status: u16,
        headers: Vec<(&'static str, &'static str)>,
        body: String,
    },
    Bytes {
        status: u16,
        headers: Vec<(&'static str, &'static str)>,
        body: Vec<u8>,
    },
    /// The connection broke after the request was sent.
    Reset,
    /// Nobody listens there.
    Refused,
    /// The connector would not send it.
    Unsent,
    /// No reply, ever.
    Silence,
}

pub fn reply(status: u16, body: impl Into<String>) -> Canned {
    Canned::Reply { status, headers: vec![("x-amzn-requestid", "req-1")], body: body.into() }
}

pub fn html() -> Canned {
    Canned::Reply { status: 200, headers: vec![("content-type", "text/html")], body: "<html><body>Please sign in</body></html>".into() }
}

/// An error of a query service.
pub fn error(status: u16, code: &str, message: &str) -> Canned {
    reply(
        status,
        format!("<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"),
    )
}

/// An error of SSM.
pub fn json_error(status: u16, code: &str) -> Canned {
    reply(status, format!(r#"{{"__type":"{code}","message":"m"}}"#))
}

/// An error of S3.
pub fn s3_error(status: u16, code: &str) -> Canned {
    reply(status, format!("<Error><Code>{code}</Code><Message>m</Message></Error>"))
}

/// A success of a query service.
pub fn success(operation: &str, result: &str) -> Canned {
    let result = format!("<{operation}Result>{result}</{operation}Result>");
    let metadata = "<ResponseMetadata><RequestId>req-1</RequestId></ResponseMetadata>";
    reply(200, format!("<{operation}Response xmlns=\"http://x/\">{result}{metadata}</{operation}Response>"))
}

/// One request as it was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub method: String,
    pub uri: String,
    pub headers: String,
    pub body: String,
}

pub type Log = Arc<Mutex<Vec<Sent>>>;

type Answering = dyn Fn(usize, &Sent) -> Canned + Send + Sync;

struct Connector {
    answer: Box<Answering>,
    log: Log,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let sent = Sent {
            method: request.method().into(),
            uri: request.uri().into(),
            headers: request.headers().iter().map(|(name, value)| format!("{name}: {value}\n")).collect(),
            body: String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned(),
        };
        let mut log = self.log.lock().unwrap();
        let canned = (self.answer)(log.len(), &sent);
        log.push(sent);
        HttpConnectorFuture::new(async move {
            match canned {
                Canned::Reply { status, headers, body } => Ok(response(status, &headers, body.into_bytes())),
                Canned::Bytes { status, headers, body } => Ok(response(status, &headers, body)),
                Canned::Reset => Err(ConnectorError::io(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into())),
                Canned::Refused => Err(ConnectorError::io(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into())),
                Canned::Unsent => Err(ConnectorError::user("the process is dead".into())),
                Canned::Silence => std::future::pending().await,
            }
        })
    }
}

fn response(status: u16, headers: &[(&'static str, &'static str)], body: Vec<u8>) -> HttpResponse {
    let length = body.len().to_string();
    let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
    response.headers_mut().insert("content-length", length);
    for (name, value) in headers {
        response.headers_mut().insert(*name, *value);
    }
    response
}

/// A connection that is answered by `answer(how many requests came before, request)`.
pub fn connection(answer: impl Fn(usize, &Sent) -> Canned + Send + Sync + 'static) -> (Connection, Log) {
    let log = Log::default();
    let connector = SharedHttpConnector::new(Connector { answer: Box::new(answer), log: log.clone() });
    let connection = Connection {
        http_client: SharedHttpClient::new(http_client_fn(move |_, _| connector.clone())),
        sleep: SharedAsyncSleep::new(TokioSleep::new()),
        time: SharedTimeSource::new(StaticTimeSource::from_secs(1_767_225_600)),
        credentials: SharedCredentialsProvider::new(Credentials::new("id", "secret", None, None, "test")),
        region: "us-east-1".into(),
        buckets: BTreeMap::new(),
        endpoint: None,
        app_name: Some("bgx test".into()),
        seed: 7,
        memo: None,
    };
    (connection, log)
}

/// An account over such a connection.
pub fn account(answer: impl Fn(usize, &Sent) -> Canned + Send + Sync + 'static) -> (Account, Log) {
    let (connection, log) = connection(answer);
    (Account::new(&connection), log)
}
