//! The connector itself: time, saving, addresses, headers.

use super::{Account, START, spec};
use crate::sandbox::fault::Rule;
use crate::sandbox::world::World;
use crate::sandbox::{Reply, Request, Sandbox};
use aws_sdk_ssm::error::SdkError;
use aws_sdk_ssm::operation::RequestId;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const COLOR: &str = "/compiler-explorer/beta/active-color";

fn request(method: &str, host: &str, path: &str, body: &str) -> Request {
    let (method, host, path, body) = (method.into(), host.into(), path.into(), body.into());
    Request { method, host, port: 80, path, query: String::new(), headers: Vec::new(), body }
}

fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

#[tokio::test(start_paused = true)]
async fn a_call_takes_virtual_time_and_the_world_follows() {
    let account = Account::new();
    let start = Instant::now();
    account.ssm.get_parameter().name(COLOR).send().await.expect("read");
    assert!((20..=80).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    sleep(Duration::from_secs(86_400)).await;
    account.ssm.get_parameter().name(COLOR).send().await.expect("read");
    assert!(account.with(|sandbox| sandbox.world.now) >= START.after_ms(86_400_000));
}

#[tokio::test(start_paused = true)]
async fn every_reply_has_an_id_and_the_date_of_the_world() {
    let account = Account::new();
    let out = account.ssm.get_parameter().name(COLOR).send().await.expect("read");
    let first = out.request_id().expect("an id").to_owned();
    let again = account.ssm.get_parameter().name("/nobody").send().await.unwrap_err();
    assert_ne!(again.request_id(), Some(first.as_str()));
    sleep(Duration::from_secs(3600)).await;
    let reply = account.door.send(&request("POST", "autoscaling.us-east-1.amazonaws.com", "/", "Action=Nonsense&Version=2011-01-01")).await;
    let reply = reply.expect("answered");
    assert_eq!(header(&reply, "date"), Some("Sat, 21 Nov 2026 06:08:38 GMT"));
    let text = String::from_utf8(reply.body).expect("text");
    assert!(text.contains("<Code>InvalidAction</Code>"), "{text}");
    assert!(text.contains(header(&Reply { body: Vec::new(), ..reply }, "x-amzn-requestid").expect("an id")), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_request_for_no_service_is_a_clear_400() {
    let account = Account::new();
    for host in ["example.com", "sqs.us-east-1.amazonaws.com"] {
        let reply = account.door.send(&request("GET", host, "/", "")).await.expect("answered");
        assert_eq!(reply.status, 400);
        assert!(String::from_utf8_lossy(&reply.body).contains("UnknownService"));
    }
    let reply = account.door.send(&request("POST", "sts.amazonaws.com", "/", "Version=2011-06-15")).await.expect("answered");
    assert!(String::from_utf8_lossy(&reply.body).contains("MissingAction"));
}

#[tokio::test(start_paused = true)]
async fn a_change_is_saved_before_its_reply_and_a_read_is_not() {
    let saved: Arc<Mutex<Vec<u64>>> = Arc::default();
    let sink = saved.clone();
    let save = Arc::new(move |world: &World| {
        sink.lock().expect("not poisoned").push(world.parameters[COLOR].version);
        Ok(())
    });
    let account = Account::behind(Arc::new(Mutex::new(Sandbox::new(World::new(&spec())))), |door| door.saving(save));
    let put = || account.ssm.put_parameter().name(COLOR).value("x").overwrite(true).send();
    let versions = || saved.lock().expect("not poisoned").clone();
    account.ssm.get_parameter().name(COLOR).send().await.expect("read");
    account.ssm.put_parameter().name(COLOR).value("x").send().await.expect_err("it exists");
    let ip = account.with(|s| s.world.instances.values().find(|i| i.group == "beta-blue").expect("it runs").private_ip.clone());
    assert_eq!(account.door.send(&request("POST", &ip, "/nowhere", "")).await.expect("answered").status, 404);
    assert!(versions().is_empty());
    put().await.expect("written");
    account.with(|sandbox| sandbox.faults.add(Rule::lost_reply("ssm", "PutParameter")));
    put().await.expect_err("the reply is lost");
    assert_eq!(versions(), [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_cannot_be_saved_gets_no_reply() {
    let save = Arc::new(|_: &World| Err(io::Error::other("the disk is full")));
    let account = Account::behind(Arc::new(Mutex::new(Sandbox::new(World::new(&spec())))), |door| door.saving(save));
    account.ssm.get_parameter().name(COLOR).send().await.expect("reads need no saving");
    let error = account.ssm.put_parameter().name(COLOR).value("x").overwrite(true).send().await.unwrap_err();
    assert!(matches!(&error, SdkError::DispatchFailure(failure) if failure.is_io()), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn instances_answer_at_their_address_and_nobody_elsewhere() {
    let account = Account::new();
    let ip = account.with(|s| s.world.instances.values().find(|i| i.group == "beta-blue").expect("it runs").private_ip.clone());
    let reply = account.door.send(&request("GET", &ip, "/healthcheck", "")).await.expect("answered");
    assert_eq!((reply.status, reply.body.as_slice()), (200, b"Everything is awesome".as_slice()));
    let version = account.door.send(&request("GET", &ip, "/version", "")).await.expect("answered");
    assert_eq!(version.body, b"gh-100");
    let error = account.door.send(&request("GET", "10.255.255.254", "/healthcheck", "")).await.unwrap_err();
    assert!(error.is_io());
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(cause.contains("connection refused"), "{cause}");
    account.with(|sandbox| sandbox.faults.add(Rule::lost_request("instance", "GET /healthcheck")));
    account.door.send(&request("GET", &ip, "/healthcheck", "")).await.expect_err("reset");
}

#[tokio::test(start_paused = true)]
async fn calls_in_parallel_each_take_their_own_time() {
    let account = Account::new();
    let start = Instant::now();
    let calls = (0..8).map(|_| account.ssm.get_parameter().name(COLOR).send());
    let all = futures_util::future::join_all(calls).await;
    assert!(all.iter().all(Result::is_ok));
    assert!(start.elapsed() <= Duration::from_millis(100), "{:?}", start.elapsed());
}

/// A short life of an account; what it was told and what became of it.
async fn life() -> String {
    let account = Account::new();
    let update = account.asg.update_auto_scaling_group().auto_scaling_group_name("beta-green").min_size(2);
    let id = update.send().await.expect("updated").request_id().map(str::to_owned);
    sleep(Duration::from_secs(200)).await;
    account.ssm.put_parameter().name(COLOR).value("green").overwrite(true).send().await.expect("written");
    account.with(|sandbox| format!("{id:?} {:?} {:?}", sandbox.calls, sandbox.world))
}

#[tokio::test(start_paused = true)]
async fn the_same_calls_at_the_same_times_make_the_same_world() {
    // Each on its own runtime, so that both begin at the same moment of the clock.
    let run = || {
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
            runtime.block_on(life())
        })
        .join()
        .expect("no panic")
    };
    assert_eq!(run(), run());
}
