//! Two folders are two machines: a journal in the bucket of a served sandbox is gone on with, and taken back, on the other one.

use crate::process::{Program, Project};
use crate::support::{config, root};
use bgx::account::When;
use bgx::config::Target;
use bgx::host::{Host, Options};
use bgx::run::lock::{Place, Record};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
const SLOW: &str = "//! bgx: 1\n//! Changes sizes, slowly.\n//! recover: undo\nlet c = colors();\nscale(c.idle, #{ max: 5 });\nsay(\"half\");\n\
                    sleep(\"4s\");\nscale(c.idle, #{ max: 6 });\n";

/// A server, and two machines that keep their journals in its bucket.
struct Pair {
    server: Project,
    serving: Program,
    url: String,
    a: Project,
    b: Project,
}

fn pair() -> Pair {
    let server = Project::new();
    let mut serving = server.bgx(&["sandbox", "serve", "--port", "0"]);
    let url = serving.line("SANDBOX on ", LIMIT).split_whitespace().nth(2).expect("the line holds the address").to_owned();
    let [a, b] = [(), ()].map(|()| {
        let text = std::fs::read_to_string(root().join("bgx.toml")).expect("the repository has a bgx.toml");
        let project = Project::new();
        let text = text.replace("target = \"sandbox\"", &format!("target = \"{url}\""));
        project.write("bgx.toml", &text.replace("[state] ", "[state]\njournal = \"s3\" "));
        project.write("slow.rhai", SLOW);
        project
    });
    Pair { server, serving, url, a, b }
}

impl Pair {
    /// A run on A, and its id, once it has done its first action.
    fn begun(&self) -> (Program, String) {
        let mut run = self.a.bgx(&["run", "slow.rhai", "--env", "beta"]);
        let first = run.line(" run ", LIMIT);
        let id = first.split(" run ").nth(1).and_then(|rest| rest.split(' ').next()).expect("the line names the run").to_owned();
        run.line("half", LIMIT);
        (run, id)
    }

    /// As if the lease of the process that carries the run on had run out.
    fn lease_runs_out(&self) {
        let (config, host) = (config(), self.host());
        let place = Place::of(config.env("beta").expect("beta is in bgx.toml"), &host.account, &host.time);
        host.driver.block_on(async {
            for _ in 0..20 {
                let seen = place.read().await.expect("it can be read").expect("somebody has the lock");
                let record = Record { lease_seconds: 0, beat: seen.record.beat + 1, ..seen.record };
                let body = serde_json::to_vec(&record).expect("a record is text");
                if host.account.put_object(&place.bucket, &place.key, &body, When::Unchanged(&seen.etag)).await.is_ok() {
                    return;
                }
            }
            panic!("the lock could not be changed");
        });
    }

    fn host(&self) -> Host {
        Host::open(&config(), &Target::Endpoint(self.url.clone()), &Options::default()).expect("the server answers")
    }

    /// Greatest size of the idle group.
    fn max(&self) -> u32 {
        let host = self.host();
        let groups = host.driver.block_on(host.account.groups(&["beta-green"])).expect("the server answers");
        groups["beta-green"].max
    }

    fn says(&self, project: &Project, args: &[&str], code: i32) -> String {
        let said = project.bgx(args).end(LIMIT);
        assert_eq!(said.code, Some(code), "{args:?}: {}", said.text);
        said.text
    }

    fn close(self) {
        self.serving.signal("TERM");
        self.serving.good(LIMIT);
        drop(self.server);
    }
}

#[test]
fn a_run_killed_on_one_machine_is_listed_shown_and_resumed_on_another() {
    let pair = pair();
    let (run, id) = pair.begun();
    run.signal("KILL");
    assert_eq!(run.end(LIMIT).code, None);
    pair.lease_runs_out();
    let listed = pair.says(&pair.b, &["runs", "--env", "beta"], 0);
    assert!(listed.contains(&id) && listed.contains("it runs now, or its process died"), "{listed}");
    let shown = pair.says(&pair.b, &["show", &id], 0);
    assert!(shown.contains("beta-green: max 5"), "{shown}");
    pair.says(&pair.b, &["resume", &id], 0);
    assert_eq!(pair.max(), 6);
    // What A has is older now, and A learns it.
    let why = pair.says(&pair.a, &["show", &id], 0);
    assert!(why.contains("resume on") && why.contains("committed"), "{why}");
    let over = pair.says(&pair.a, &["resume", &id], 7);
    assert!(over.contains("is over: done"), "{over}");
    pair.says(&pair.a, &["run", "slow.rhai", "--env", "beta"], 0);
    pair.close();
}

#[test]
fn a_run_killed_on_one_machine_is_recovered_on_another_that_has_never_heard_of_it() {
    let pair = pair();
    let before = pair.max();
    let (run, id) = pair.begun();
    assert_ne!(pair.max(), before);
    run.signal("KILL");
    run.end(LIMIT);
    pair.lease_runs_out();
    let said = pair.says(&pair.b, &["recover", "--env", "beta"], 0);
    assert!(said.contains("taken back, as asked"), "{said}");
    assert_eq!(pair.max(), before);
    assert!(pair.says(&pair.a, &["why", &id], 0).contains("undone"), "A learns it");
    let strange = pair.says(&pair.b, &["undo", "zzzzzz"], 2);
    assert!(strange.contains("there is no run `zzzzzz`"), "{strange}");
    pair.close();
}

#[test]
fn a_process_that_wakes_up_after_its_run_was_taken_back_elsewhere_changes_nothing() {
    let pair = pair();
    let before = pair.max();
    let (run, id) = pair.begun();
    run.signal("STOP");
    pair.lease_runs_out();
    pair.says(&pair.b, &["undo", &id], 0);
    assert_eq!(pair.max(), before);
    run.signal("CONT");
    let woken = run.end(LIMIT);
    assert_eq!(woken.code, Some(4), "{}", woken.text);
    assert!(woken.text.contains("another process"), "{}", woken.text);
    assert_eq!(pair.max(), before, "it changed nothing");
    // Its own copy is set aside, and the journal wins.
    assert!(pair.says(&pair.a, &["show", &id], 0).contains("undone"));
    assert!(pair.a.path().join(format!(".bgx/runs/{id}.jsonl.stale")).exists());
    pair.close();
}

#[test]
fn calls_name_the_run_in_their_user_agent() {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it has an address"));
    let (sender, agents) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(stream.try_clone().expect("a stream has two ends")).lines().map_while(Result::ok);
            let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
            drop(sender.send(head.into_iter().find(|line| line.to_lowercase().starts_with("user-agent:")).unwrap_or_default()));
            let identity = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                            <Arn>arn:aws:iam::1:user/a</Arn><UserId>u</UserId><Account>1</Account></GetCallerIdentityResult>\
                            <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>";
            let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{identity}", identity.len());
            drop((&stream).write_all(reply.as_bytes()));
        }
    });
    let project = Project::new();
    project.write("one.rhai", "//! Looks.\ncolors();\n");
    let mut run = project.bgx(&["run", "one.rhai", "--env", "beta", "--target", &url]);
    let first = run.line(" run ", LIMIT);
    let id = first.split(" run ").nth(1).and_then(|rest| rest.split(' ').next()).expect("the line names the run").to_owned();
    let wanted = format!("app/bgx-{id}");
    let named = std::iter::from_fn(|| agents.recv_timeout(Duration::from_secs(20)).ok()).any(|agent| agent.contains(&wanted));
    assert!(named, "no call named run {id}");
}

#[test]
fn no_credential_reaches_a_journal_or_the_terminal() {
    let pair = pair();
    let canaries = ["AKIACANARYCANARY1234", "canary/secret/key", "canary-session-token"];
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_bgx"));
    command.current_dir(pair.a.path()).args(["run", "slow.rhai", "--env", "beta", "--json"]);
    command.envs(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].into_iter().zip(canaries));
    let said = Program::start(command).good(LIMIT);
    let host = pair.host();
    let journal = host.driver.block_on(async {
        let listed = host.account.list_objects("compiler-explorer", "bgx/").await.expect("the server answers");
        let mut all = Vec::new();
        for object in listed {
            all.extend(host.account.object("compiler-explorer", &object.key).await.expect("the server answers").expect("it is there").body);
        }
        String::from_utf8(all).expect("it is text")
    });
    assert!(journal.contains("half"), "it is the run's journal");
    for canary in canaries {
        assert!(!journal.contains(canary) && !said.contains(canary), "{canary}");
    }
    pair.close();
}

#[test]
fn a_run_whose_bucket_cannot_be_written_does_not_begin_and_stands_in_nobodys_way() {
    let pair = pair();
    let text = std::fs::read_to_string(pair.a.path().join("bgx.toml")).expect("it can be read");
    let own = "bucket        = \"compiler-explorer\"\nprefix";
    assert!(text.contains(own), "it names a bucket of its own for the state");
    pair.a.write("bgx.toml", &text.replace(own, "bucket = \"nowhere\"\nprefix"));
    let said = pair.says(&pair.a, &["run", "slow.rhai", "--env", "beta"], 2);
    assert!(said.contains("the run could not begin") && said.contains("nowhere"), "{said}");
    pair.a.write("bgx.toml", &text);
    pair.says(&pair.a, &["run", "slow.rhai", "--env", "beta"], 0);
    pair.close();
}
