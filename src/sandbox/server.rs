//! The sandbox on a loopback port, for boto3, the AWS CLI and whatever else speaks to AWS over HTTP.

use super::world::Time;
use super::{Answer, Outcome, Reply, Request, Sandbox, Save};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long calls in flight may take to end once the server was told to stop.
const STOP_SECONDS_MAX: u64 = 5;

/// A bound port, not yet answering.
pub struct Server {
    listener: TcpListener,
    desk: Desk,
}

/// What every connection needs.
#[derive(Clone)]
struct Desk {
    sandbox: Arc<Mutex<Sandbox>>,
    start: Time,
    base: Instant,
    pace: f64,
    save: Option<Save>,
}

impl Server {
    /// Binds 127.0.0.1; port 0 takes a free one. The world goes on from its own present, `pace` times as fast as real time.
    pub async fn bind(port: u16, sandbox: Arc<Mutex<Sandbox>>, pace: f64) -> io::Result<Server> {
        if !(pace.is_finite() && pace > 0.0) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the pace must be a number above 0"));
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let start = lock(&sandbox).world.now;
        Ok(Server { listener, desk: Desk { sandbox, start, base: Instant::now(), pace, save: None } })
    }

    /// Saves the world after each call that changed it; a call whose change could not be saved gets no reply.
    #[must_use]
    pub fn saving(mut self, save: Save) -> Server {
        self.desk.save = Some(save);
        self
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `stop` is done; then takes no more calls and lets those in flight end.
    pub async fn run(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let (stopping, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => {
                    connections.spawn(attend(accepted?.0, self.desk.clone(), stopped.clone()));
                }
            }
        }
        drop(self.listener);
        let _ = stopping.send(true);
        let all = async { while connections.join_next().await.is_some() {} };
        // What still hangs then is cut off when the set is dropped.
        let _ = tokio::time::timeout(Duration::from_secs(STOP_SECONDS_MAX), all).await;
        Ok(())
    }
}

/// One connection, until the client leaves, a fault breaks it, or the server stops.
async fn attend(stream: TcpStream, desk: Desk, mut stopped: watch::Receiver<bool>) {
    let service = service_fn(move |request| {
        let desk = desk.clone();
        async move { desk.answer(request).await }
    });
    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // How a connection ends concerns the client only.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = told(&mut stopped) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// Ends when the server was told to stop, or is gone.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

impl Desk {
    async fn answer(&self, request: hyper::Request<Incoming>) -> Result<hyper::Response<Full<Bytes>>, io::Error> {
        let request = received(request).await?;
        let answer = self.handle(&request)?;
        tokio::time::sleep(answer.delay.div_f64(self.pace)).await;
        match answer.outcome {
            Outcome::Reply(reply) => response(reply),
            // Seen through this port as through a proxy.
            Outcome::Refused => response(Reply { status: 502, headers: Vec::new(), body: b"connection refused\n".to_vec() }),
            Outcome::Reset => Err(io::ErrorKind::ConnectionReset.into()),
            Outcome::Hang => match std::future::pending::<Infallible>().await {},
        }
    }

    fn handle(&self, request: &Request) -> io::Result<Answer> {
        let mut sandbox = lock(&self.sandbox);
        let elapsed = self.base.elapsed().as_secs_f64() * self.pace;
        let answer = sandbox.handle(self.start.after_ms((elapsed * 1000.0) as u64), request);
        match &self.save {
            Some(save) if answer.changed => save(&sandbox.world)?,
            Some(_) | None => {}
        }
        Ok(answer)
    }
}

fn lock(sandbox: &Mutex<Sandbox>) -> std::sync::MutexGuard<'_, Sandbox> {
    sandbox.lock().expect("a call that panicked ended the process")
}

/// The request as the sandbox reads it. A client that takes this port for its proxy names the host in the address.
async fn received(request: hyper::Request<Incoming>) -> io::Result<Request> {
    let (head, body) = request.into_parts();
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let named = headers.iter().find(|(name, _)| name == "host").and_then(|(_, host)| host.parse::<http::uri::Authority>().ok());
    let authority = head.uri.authority().cloned().or(named);
    let host = authority.as_ref().map(|authority| authority.host().to_owned()).unwrap_or_default();
    let port = authority.and_then(|authority| authority.port_u16()).unwrap_or(80);
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes().to_vec();
    let (path, query) = (head.uri.path().to_owned(), head.uri.query().unwrap_or_default().to_owned());
    Ok(Request { method: head.method.to_string(), host, port, path, query, headers, body })
}

fn response(reply: Reply) -> io::Result<hyper::Response<Full<Bytes>>> {
    let mut builder = hyper::Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        builder = builder.header(name, value);
    }
    builder.body(Full::new(Bytes::from(reply.body))).map_err(io::Error::other)
}
