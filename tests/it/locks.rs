//! The lock of an environment: one run has it, one process leases it, and it is gone when the run is over.

use crate::process::{Project, Said};
use crate::support::{Crash, Go, config, lab};
use bgx::account::When;
use bgx::config::Target;
use bgx::host::{Host, Options};
use bgx::run::event::{Outcome as Ending, What};
use bgx::run::lock::{Claim, LEASE, Lock, LockError, Place, Record, Seen, acquire, clear, take_over};
use bgx::sandbox::fault::Rule;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// Far more than any of these programs needs.
const LIMIT: Duration = Duration::from_secs(60);

/// A sandbox, and whatever tries to get beta's lock in it.
struct Room {
    host: Host,
    place: Place,
}

fn room() -> Room {
    room_with(&[])
}

fn room_with(faults: &[Rule]) -> Room {
    let options = Options { seed: Some(3), in_memory: true, target: None };
    let host = Host::open(&config(), &Target::Sandbox, &options).expect("a sandbox opens");
    let place = Place::of(config().env("beta").expect("beta is in bgx.toml"), &host.account, &host.time);
    let room = Room { host, place };
    faults.iter().for_each(|rule| room.spoil(rule.clone()));
    room
}

fn claim(run: &str, nonce: &str) -> Claim {
    let text = str::to_owned;
    let (playbook, env) = (text("deploy.rhai"), text("beta"));
    Claim { run: text(run), playbook, env, nonce: text(nonce), host: text("h"), user: text("u"), pid: 1 }
}

impl Room {
    fn spoil(&self, rule: Rule) {
        self.host.sandbox.as_ref().expect("it is a sandbox").lock().unwrap().faults.add(rule);
    }

    async fn take(&self, run: &str, nonce: &str) -> Result<Lock, LockError> {
        self.take_within(run, nonce, Duration::ZERO).await
    }

    async fn take_within(&self, run: &str, nonce: &str, wait: Duration) -> Result<Lock, LockError> {
        let (_sender, mut stop) = watch::channel(String::new());
        acquire(self.place.clone(), &claim(run, nonce), wait, &mut stop, |_| {}).await
    }

    async fn over(&self, run: &str, nonce: &str) -> Result<Lock, LockError> {
        let (_sender, mut stop) = watch::channel(String::new());
        take_over(self.place.clone(), &claim(run, nonce), &mut stop, |_| {}).await
    }

    async fn seen(&self) -> Option<Seen> {
        self.place.read().await.expect("the lock can be read")
    }

    async fn record(&self) -> Record {
        self.seen().await.expect("somebody has the lock").record
    }

    async fn delete(&self) {
        self.host.account.delete_object(&self.place.bucket, &self.place.key, When::Always).await.expect("it can be deleted");
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.host.driver.block_on(future)
    }
}

#[test]
fn the_first_run_gets_it_and_the_second_is_told_who_has_it() {
    let room = room();
    room.block_on(async {
        let first = room.take("one", "a").await.expect("nobody has it");
        match room.take("two", "b").await {
            Err(LockError::Held { seen, .. }) => assert_eq!((seen.run.as_str(), seen.nonce.as_str(), seen.epoch), ("one", "a", 1)),
            other => panic!("{other:?}"),
        }
        first.release().await.expect("it can be released");
        assert_eq!(room.seen().await, None);
        room.take("two", "b").await.expect("nobody has it any more");
    });
}

#[test]
fn a_lock_whose_reply_was_lost_is_ours_and_not_another_runs() {
    for rule in [Rule::lost_reply("s3", "PutObject"), Rule::hang_after("s3", "PutObject"), Rule::garbage("s3", "PutObject")] {
        let room = room_with(std::slice::from_ref(&rule));
        room.block_on(async {
            let lock = room.take("one", "a").await.unwrap_or_else(|e| panic!("{rule:?}: {e}"));
            lock.check().await.expect("the lease lives");
            lock.release().await.expect("its ETag was read");
            assert_eq!(room.seen().await, None, "{rule:?}");
        });
    }
}

#[test]
fn a_request_that_was_lost_or_met_a_race_or_was_throttled_is_sent_again() {
    let race = Rule::error("s3", "PutObject", 409, "ConditionalRequestConflict", "a conflicting conditional operation is in progress");
    for rule in
        [Rule::lost_request("s3", "PutObject"), race, Rule::throttle("s3", "PutObject").times(2), Rule::server_error("s3", "PutObject")]
    {
        let room = room_with(std::slice::from_ref(&rule));
        room.block_on(async {
            room.take("one", "a").await.unwrap_or_else(|e| panic!("{rule:?}: {e}"));
            assert_eq!(room.record().await.nonce, "a");
        });
    }
}

#[test]
fn a_refused_lock_is_an_error_that_says_so() {
    let room = room_with(&[Rule::denied("s3", "PutObject").always()]);
    let error = room.block_on(room.take("one", "a")).expect_err("it may not be written");
    assert!(matches!(&error, LockError::Account(e) if e.operation == "PutObject"), "{error:?}");
}

#[test]
fn heartbeats_keep_the_lease_of_a_run_of_many_hours_and_cost_two_calls_a_minute() {
    let room = room();
    room.block_on(async {
        let lock = room.take("one", "a").await.expect("nobody has it");
        sleep(Duration::from_secs(6 * 3600)).await;
        room.host.account.take_calls();
        lock.check().await.expect("the lease lives");
        assert!(room.host.account.take_calls().is_empty(), "the holder knows without a call");
        let beats = room.record().await.beat;
        assert!((700..=720).contains(&beats), "{beats} heartbeats in 6 hours");
        assert!(matches!(room.over("one", "b").await, Err(LockError::Alive { .. })), "another process sees that it lives");
    });
}

#[test]
fn heartbeats_that_are_lost_throttled_or_hang_do_not_cost_the_lock() {
    for rule in [
        Rule::lost_reply("s3", "PutObject"),
        Rule::hang("s3", "PutObject"),
        Rule::hang_after("s3", "PutObject"),
        Rule::throttle("s3", "PutObject").times(5),
        Rule::server_error("s3", "PutObject").times(3),
        Rule::lost_reply("s3", "PutObject").times(2),
    ] {
        let room = room();
        room.block_on(async {
            let lock = room.take("one", "a").await.expect("nobody has it");
            room.spoil(rule.clone());
            for _ in 0..60 {
                sleep(Duration::from_secs(10)).await;
                lock.check().await.unwrap_or_else(|e| panic!("{rule:?}: {e}"));
            }
            lock.release().await.unwrap_or_else(|e| panic!("{rule:?}: {e}"));
            assert_eq!(room.seen().await, None);
        });
    }
}

#[test]
fn a_holder_whose_heartbeats_fail_too_long_writes_nothing_more() {
    let room = room();
    room.block_on(async {
        let lock = room.take("one", "a").await.expect("nobody has it");
        room.spoil(Rule::server_error("s3", "PutObject").always());
        sleep(Duration::from_secs(60)).await;
        lock.check().await.expect("it was renewed 60 s ago at most");
        sleep(Duration::from_secs(60)).await;
        let why = lock.check().await.expect_err("nobody knows whose it is");
        assert!(why.contains("could not be renewed"), "{why}");
    });
}

#[test]
fn a_dead_processs_run_is_taken_over_when_its_lease_was_seen_to_run_out_and_not_before() {
    let room = room();
    room.block_on(async {
        drop(room.take("one", "a").await.expect("nobody has it"));
        assert!(matches!(room.over("two", "b").await, Err(LockError::Held { .. })), "another run never takes it over");
        sleep(Duration::from_secs(3600)).await;
        let asked = Instant::now();
        room.over("one", "b").await.expect("its process is gone");
        let waited = asked.elapsed();
        assert!(waited >= LEASE && waited < LEASE + Duration::from_secs(5), "watched for {waited:?}, whatever the clocks said before");
        let record = room.record().await;
        assert_eq!((record.nonce.as_str(), record.epoch), ("b", 2));
    });
}

#[test]
fn a_process_that_was_taken_over_learns_it_before_its_next_write() {
    let room = room();
    room.block_on(async {
        let old = room.take("one", "a").await.expect("nobody has it");
        // As while the process was suspended: none of its heartbeats arrives.
        room.spoil(Rule::lost_request("s3", "PutObject").times(1));
        let seen = room.seen().await.expect("somebody has it");
        let record = Record { nonce: "b".into(), epoch: 2, ..seen.record };
        let body = serde_json::to_vec(&record).unwrap();
        room.host.account.delete_object(&room.place.bucket, &room.place.key, When::Always).await.unwrap();
        while room.host.account.put_object(&room.place.bucket, &room.place.key, &body, When::Absent).await.is_err() {}
        sleep(Duration::from_secs(45)).await;
        let why = old.check().await.expect_err("another process has it");
        assert!(why.contains("another process has the lock: run one of deploy.rhai"), "{why}");
        old.release().await.ok();
        assert_eq!(room.record().await.nonce, "b", "the old process leaves the new one's lock alone");
    });
}

#[test]
fn a_lock_that_somebody_deleted_stops_its_run() {
    let room = room();
    room.block_on(async {
        let lock = room.take("one", "a").await.expect("nobody has it");
        room.delete().await;
        sleep(Duration::from_secs(40)).await;
        assert!(lock.check().await.expect_err("it is gone").contains("was deleted"));
    });
}

#[test]
fn a_lock_that_was_given_up_is_taken_over_at_once() {
    let room = room();
    room.block_on(async {
        room.take("one", "a").await.expect("nobody has it").give_up().await;
        assert_eq!(room.record().await.lease_seconds, 0);
        let asked = Instant::now();
        room.over("one", "b").await.expect("it was given up");
        assert!(asked.elapsed() < Duration::from_secs(2));
        assert_eq!(room.record().await.epoch, 2);
    });
}

#[test]
fn a_takeover_whose_reply_was_lost_is_ours() {
    let room = room();
    room.block_on(async {
        room.take("one", "a").await.expect("nobody has it").give_up().await;
        room.spoil(Rule::lost_reply("s3", "PutObject"));
        let lock = room.over("one", "b").await.expect("it was given up");
        lock.check().await.expect("the lease lives");
        assert_eq!((room.record().await.nonce.as_str(), room.record().await.epoch), ("b", 2));
    });
}

#[test]
fn a_release_whose_reply_was_lost_or_that_meets_a_lost_heartbeat_still_releases() {
    for rule in [Rule::lost_reply("s3", "DeleteObject"), Rule::lost_request("s3", "DeleteObject"), Rule::throttle("s3", "DeleteObject")] {
        let room = room();
        room.block_on(async {
            let lock = room.take("one", "a").await.expect("nobody has it");
            room.spoil(rule.clone());
            lock.release().await.unwrap_or_else(|e| panic!("{rule:?}: {e}"));
            assert_eq!(room.seen().await, None, "{rule:?}");
        });
    }
}

#[test]
fn waiting_for_the_lock_ends_when_it_is_free_and_when_the_time_is_over() {
    let room = room();
    room.block_on(async {
        let first = room.take("one", "a").await.expect("nobody has it");
        let asked = Instant::now();
        let second = room.take_within("two", "b", Duration::from_secs(60)).await;
        assert!(matches!(second, Err(LockError::Held { .. })) && asked.elapsed() >= Duration::from_secs(60));
        let (_, second) = tokio::join!(
            async {
                sleep(Duration::from_secs(100)).await;
                first.release().await
            },
            room.take_within("two", "b", Duration::from_secs(600)),
        );
        second.expect("the first one ended");
        assert_eq!(room.record().await.run, "two");
    });
}

#[test]
fn a_signal_ends_the_wait() {
    let room = room();
    room.block_on(async {
        let _first = room.take("one", "a").await.expect("nobody has it");
        let (sender, mut stop) = watch::channel(String::new());
        let second = claim("two", "b");
        let asking = acquire(room.place.clone(), &second, Duration::from_secs(600), &mut stop, |what| {
            assert!(matches!(what, What::Waiting { .. }));
            sender.send_replace("SIGTERM".to_owned());
        });
        assert!(matches!(asking.await, Err(LockError::Signal { signal }) if signal == "SIGTERM"));
    });
}

#[test]
fn the_lock_of_a_run_that_is_over_is_cleared_when_its_lease_ran_out() {
    let room = room();
    room.block_on(async {
        drop(room.take("one", "a").await.expect("nobody has it"));
        let (_sender, mut stop) = watch::channel(String::new());
        assert!(!clear(&room.place, "two", &mut stop, |_| {}).await.expect("it can be read"), "it is another run's");
        assert!(clear(&room.place, "one", &mut stop, |_| {}).await.expect("it can be deleted"));
        assert_eq!(room.seen().await, None);
    });
}

fn locks(world: &bgx::sandbox::world::World) -> Vec<Record> {
    let found = world.buckets["compiler-explorer"].iter().filter(|(key, _)| key.starts_with("bgx/locks/"));
    found.map(|(_, object)| serde_json::from_slice(&object.body).expect("a lock is a record")).collect()
}

#[test]
fn while_a_run_is_open_no_other_one_begins_whenever_it_tries() {
    let whole = lab("beta", "playbooks/deploy.rhai").param("version", "latest").param("bake", "1m").snapshots().run();
    assert_eq!(locks(&whole.after), [], "a run that is over lets go");
    let mut met = 0;
    for world in whole.worlds.iter().filter(|world| !locks(world).is_empty()) {
        let crash = Crash { journal: Vec::new(), world: world.clone() };
        let second = lab("beta", "playbooks/deploy.rhai").param("version", "latest").seed(8).recover(&crash, Go::Run);
        assert_eq!(second.ended.outcome, Ending::Refused, "{:?}", second.ended);
        assert!(second.ended.why.as_deref().is_some_and(|why| why.starts_with("run lab7 of playbooks/deploy.rhai has had beta for")));
        assert_eq!(locks(&second.after), locks(world), "the lock stays as it was");
        met += 1;
    }
    assert!(met > 20, "{met}");
}

#[test]
fn a_run_that_is_paused_keeps_the_lock_without_a_process_and_another_process_ends_it() {
    let paused = lab("beta", "playbooks/deploy.rhai").param("version", "latest").signal(20, "SIGHUP").run();
    assert_eq!(paused.ended.outcome, Ending::Paused);
    let left = locks(&paused.after);
    assert_eq!(left.iter().map(|lock| (lock.run.as_str(), lock.lease_seconds)).collect::<Vec<_>>(), [("lab7", 0)]);
    let crash = Crash { journal: paused.journal, world: paused.after };
    let undone = lab("beta", "playbooks/deploy.rhai").param("version", "latest").recover(&crash, Go::Undo);
    assert_eq!(undone.ended.outcome, Ending::Undone);
    assert_eq!(locks(&undone.after), []);
}

#[test]
fn a_run_that_cannot_renew_its_lease_stops_as_it_is_before_its_next_write() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let text = "let c = colors();\nsleep(\"10m\");\nscale(c.idle, #{ desired: 1 });\n";
    let cut_off = Rule::server_error("s3", "PutObject").after(1).always();
    let outcome = lab("beta", "playbooks/deploy.rhai").text(folder.path(), text).fault(cut_off).run();
    assert_eq!(outcome.ended.outcome, Ending::Paused, "{:?}", outcome.ended);
    assert!(outcome.ended.why.as_deref().is_some_and(|why| why.contains("could not be renewed")), "{:?}", outcome.ended.why);
    assert!(!outcome.events.iter().any(|event| matches!(event.what, What::Started { .. })), "nothing was begun");
}

#[test]
fn two_binaries_that_start_together_against_one_server_are_one_run() {
    let server = Project::new();
    for round in 0..10 {
        let mut serving = server.bgx(&["sandbox", "serve", "--pace", "60x"]);
        let line = serving.line("SANDBOX on ", LIMIT);
        let url = line.split_whitespace().nth(2).expect("the line holds the address").to_owned();
        let projects = [Project::new(), Project::new()];
        projects.iter().for_each(|project| project.write("hold.rhai", "//! Holds the lock for a while.\nsleep(\"2s\");\n"));
        let started: Vec<_> =
            projects.iter().map(|project| project.bgx(&["run", "hold.rhai", "--env", "beta", "--target", &url])).collect();
        let mut ended: Vec<_> = started.into_iter().map(|program| program.end(LIMIT)).collect();
        ended.sort_by_key(|said| said.code);
        assert_eq!(ended.iter().map(|said| said.code).collect::<Vec<_>>(), [Some(0), Some(7)], "round {round}: {ended:#?}");
        let run = ended[0].text.split_once("run ").and_then(|(_, rest)| rest.split_whitespace().next()).expect("it names its run");
        assert!(ended[1].text.contains(&format!("bgx resume {run}")), "round {round}: {ended:#?}");
        let free = server_lock(&projects[0], &url);
        assert_eq!(free.code, Some(0), "{}", free.text);
        serving.signal("TERM");
        serving.good(LIMIT);
    }
}

fn server_lock(project: &Project, url: &str) -> Said {
    project.bgx(&["lock", "--env", "beta", "--target", url]).end(LIMIT)
}

#[test]
fn a_deploy_needs_few_calls_for_its_lock() {
    let whole = lab("beta", "playbooks/deploy.rhai").param("version", "latest").run();
    let lock_calls = whole.after.log.iter().filter(|entry| format!("{:?}", entry.what).contains("bgx/locks/beta.json")).count();
    let beats = (whole.ended.seconds / 30.0).ceil() as usize;
    assert!(lock_calls > 2 && lock_calls <= beats + 10, "{lock_calls} writes of the lock, {beats} heartbeats due");
}

#[test]
fn lock_and_recover_tell_of_a_paused_run_until_somebody_ends_it() {
    let project = Project::new();
    let bgx = |args: &[&str]| project.bgx(args).end(LIMIT);
    assert_eq!(bgx(&["lock", "--env", "beta"]).code, Some(0));
    let nothing = bgx(&["recover", "--env", "beta"]);
    assert_eq!((nothing.code, nothing.text.contains("beta: there is nothing to recover")), (Some(0), true), "{}", nothing.text);
    project.write("half.rhai", "//! Fails after its commit.\n//! recover: page\ncommit();\nfail(\"half-way\");\n");
    let paused = bgx(&["run", "half.rhai", "--env", "beta"]);
    assert_eq!(paused.code, Some(4), "{}", paused.text);
    let run = paused.text.split_once("bgx resume ").and_then(|(_, rest)| rest.split([',', ' ']).next()).expect("it names its run");
    let held = bgx(&["lock", "--env", "beta"]);
    assert_eq!(held.code, Some(7), "{}", held.text);
    assert!(held.text.contains(&format!("run {run} of half.rhai has had beta for")) && held.text.contains("given up"), "{}", held.text);
    assert_eq!(bgx(&["lock", "--env", "prod"]).code, Some(0), "each environment has its own");
    let paged = bgx(&["recover", "--env", "beta"]);
    assert_eq!(paged.code, Some(4), "{}", paged.text);
    assert!(paged.text.contains("a human must decide") && paged.text.contains(&format!("bgx why {run}")), "{}", paged.text);
    assert_eq!(bgx(&["abandon", run, "--reason", "a test"]).code, Some(0));
    assert_eq!(bgx(&["lock", "--env", "beta"]).code, Some(0));
    assert_eq!(bgx(&["recover", "--env", "beta"]).code, Some(0));
}
