//! The loopback server, spoken to in plain HTTP/1.1 over a socket.

use super::spec;
use crate::sandbox::Sandbox;
use crate::sandbox::fault::Rule;
use crate::sandbox::server::Server;
use crate::sandbox::world::{Time, World};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

struct Running {
    sandbox: Arc<Mutex<Sandbox>>,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<io::Result<()>>,
}

/// A server on a free port whose world goes a thousand times as fast as the clock.
async fn serve(rules: Vec<Rule>) -> Running {
    let mut sandbox = Sandbox::new(World::new(&spec()));
    sandbox.faults.rules = rules;
    let sandbox = Arc::new(Mutex::new(sandbox));
    let server = Server::bind(0, sandbox.clone(), 1000.0).await.expect("a free port");
    let address = server.address().expect("bound");
    let (stop, stopped) = oneshot::channel();
    let done = tokio::spawn(server.run(async move { drop(stopped.await) }));
    Running { sandbox, address, stop, done }
}

impl Running {
    /// One request on its own connection; all that came back until it was closed.
    async fn ask(&self, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        let text = format!("{head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(text.as_bytes()).await.expect("sent");
        let mut reply = Vec::new();
        let ended = stream.read_to_end(&mut reply).await;
        let text = String::from_utf8(reply).expect("text");
        if ended.is_err() { format!("broken after {text:?}") } else { text }
    }

    fn world_time(&self) -> Time {
        self.sandbox.lock().expect("not poisoned").world.now
    }
}

#[tokio::test]
async fn all_services_share_one_port() {
    let server = serve(Vec::new()).await;
    let post = "POST / HTTP/1.1\r\nHost: 127.0.0.1:1";
    let identity = server.ask(post, "Action=GetCallerIdentity&Version=2011-06-15").await;
    assert!(identity.starts_with("HTTP/1.1 200 OK"), "{identity}");
    assert!(identity.contains("assumed-role/deployer/bgx"), "{identity}");
    let parameter = server.ask(&format!("{post}\r\nX-Amz-Target: AmazonSSM.GetParameter"), r#"{"Name":"/nobody"}"#).await;
    assert!(parameter.starts_with("HTTP/1.1 400") && parameter.contains("ParameterNotFound"), "{parameter}");
    let scope = "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/s3/aws4_request";
    let object = server.ask(&format!("GET /compiler-explorer/version/beta HTTP/1.1\r\nHost: 127.0.0.1\r\n{scope}"), "").await;
    assert!(object.ends_with("\r\n\r\ngh-100"), "{object}");
    let head = server.ask(&format!("HEAD /compiler-explorer/version/beta HTTP/1.1\r\nHost: 127.0.0.1\r\n{scope}"), "").await;
    assert!(head.to_lowercase().contains("content-length: 6") && head.ends_with("\r\n\r\n"), "{head}");
    let nothing = server.ask("GET / HTTP/1.1\r\nHost: 127.0.0.1", "").await;
    assert!(nothing.starts_with("HTTP/1.1 400") && nothing.contains("UnknownService"), "{nothing}");
}

#[tokio::test]
async fn a_client_that_uses_it_as_a_proxy_reaches_the_instances() {
    let server = serve(Vec::new()).await;
    let ip = server.sandbox.lock().expect("not poisoned").world.instances.values().next().expect("one runs").private_ip.clone();
    let reply = server.ask(&format!("GET http://{ip}/healthcheck HTTP/1.1\r\nHost: {ip}"), "").await;
    assert!(reply.starts_with("HTTP/1.1 200") && reply.ends_with("Everything is awesome"), "{reply}");
    let nobody = server.ask("GET http://10.255.255.254/ HTTP/1.1\r\nHost: 10.255.255.254", "").await;
    assert!(nobody.starts_with("HTTP/1.1 502"), "{nobody}");
}

#[tokio::test]
async fn the_worlds_time_goes_at_the_pace_asked_for() {
    let server = serve(Vec::new()).await;
    let begin = server.world_time();
    let ask = || server.ask("GET / HTTP/1.1\r\nHost: 127.0.0.1", "");
    ask().await;
    let first = server.world_time();
    // A thousand seconds of the world are one of ours: a burst of requests moves it by seconds at least.
    for _ in 0..20 {
        ask().await;
    }
    assert!(first >= begin);
    assert!(server.world_time().since(first) >= 20, "{} ms", server.world_time().since(first));
}

#[tokio::test]
async fn a_reset_closes_the_connection_without_a_reply() {
    let server = serve(vec![Rule::lost_reply("sts", "GetCallerIdentity")]).await;
    let post = "POST / HTTP/1.1\r\nHost: 127.0.0.1";
    let reply = server.ask(post, "Action=GetCallerIdentity&Version=2011-06-15").await;
    assert!(!reply.contains("HTTP/1.1"), "{reply}");
    let again = server.ask(post, "Action=GetCallerIdentity&Version=2011-06-15").await;
    assert!(again.starts_with("HTTP/1.1 200"), "{again}");
}

#[tokio::test]
async fn a_hang_lasts_until_the_client_leaves_and_others_are_served() {
    let server = serve(vec![Rule::hang("sts", "GetCallerIdentity")]).await;
    let post = "POST / HTTP/1.1\r\nHost: 127.0.0.1";
    let hung = tokio::time::timeout(Duration::from_millis(100), server.ask(post, "Action=GetCallerIdentity&Version=2011-06-15")).await;
    assert!(hung.is_err(), "{hung:?}");
    let other = server.ask(post, "Action=GetCallerIdentity&Version=2011-06-15").await;
    assert!(other.starts_with("HTTP/1.1 200"), "{other}");
}

#[tokio::test]
async fn it_stops_when_told_and_gives_the_port_back() {
    let server = serve(Vec::new()).await;
    server.ask("GET / HTTP/1.1\r\nHost: 127.0.0.1", "").await;
    server.stop.send(()).expect("it runs");
    server.done.await.expect("no panic").expect("no error");
    TcpStream::connect(server.address).await.expect_err("nobody listens");
}

#[tokio::test]
async fn a_pace_that_is_no_pace_is_refused() {
    for pace in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let sandbox = Arc::new(Mutex::new(Sandbox::new(World::new(&spec()))));
        assert!(Server::bind(0, sandbox, pace).await.is_err(), "{pace}");
    }
}
