//! GitHub is told once what went live: whatever dies or fails, over pages and over a real socket, and with a token that nothing shows.

use crate::process::Project;
use crate::prove::{proved, subject, told};
use crate::support::{Crash, Go, Lab, lab, root};
use bgx::config::Config;
use bgx::prove::Start;
use bgx::run::event::{Outcome as Ending, What};
use bgx::sandbox::world::{Repository, World};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
const ALL: [u64; 3] = [11, 12, 13];

/// What serves came after another build, as both are recorded.
fn notify() -> Lab {
    lab("prod", "playbooks/notify-live.rhai").param("send", "true").prepare(|world| {
        for (color, build) in [("blue", 41001), ("green", 41000)] {
            let (name, value) = (format!("/compiler-explorer/prod/{color}-version"), format!("dist/gh/main/{build}.tar.xz"));
            world.put_parameter(&name, &value, Some("String"), true).expect("a parameter can be put");
        }
    })
}

/// How often each was commented, and whether it has the label.
fn issues(world: &World) -> BTreeMap<u64, (usize, bool)> {
    let told = |(number, issue): (&u64, &bgx::sandbox::world::Issue)| (*number, (issue.comments.len(), issue.labels.contains("live")));
    world.repository.iter().flat_map(|repository| &repository.issues).map(told).filter(|(_, told)| *told != (0, false)).collect()
}

#[test]
fn a_run_that_dies_anywhere_makes_no_second_comment_and_the_next_one_tells_the_rest() {
    let whole = notify().snapshots().run();
    assert_eq!(whole.ended.outcome, Ending::Done, "{:?}", whole.error);
    let all: BTreeMap<u64, (usize, bool)> = ALL.map(|number| (number, (1, true))).into();
    assert_eq!(issues(&whole.after), all);
    let kept: Vec<_> = whole.events.iter().filter(|event| event.what.is_kept()).collect();
    let is_effect = |event: &&bgx::run::event::Event| matches!(event.what, What::Effect { .. });
    let first = kept.iter().position(is_effect).expect("it tells");
    let last = kept.iter().rposition(is_effect).expect("it tells");
    for seq in (first..=last + 1).step_by(2) {
        for (after, go) in [(false, Go::Run), (true, Go::Undo)] {
            let Crash { journal, world } = whole.crash(seq, after);
            let gone_on = notify().recover(&Crash { journal, world }, go);
            assert!(issues(&gone_on.after).values().all(|(comments, _)| *comments == 1), "event {seq}: {:?}", issues(&gone_on.after));
            let left = gone_on.after.clone();
            let next = notify().seed(8).prepare(move |world| *world = left.clone()).run();
            assert_eq!(issues(&next.after), all, "event {seq}, {go:?}: {:?}", next.error);
        }
    }
}

#[test]
fn a_sample_of_all_faults_finds_nothing_in_notify_live() {
    let mut subject = subject(&root().join("playbooks/notify-live.rhai"));
    subject.env = subject.config.env("prod").expect("prod is in bgx.toml").clone();
    (subject.start, subject.params) = (Start::Warm, BTreeMap::from([("send".to_owned(), "true".to_owned())]));
    let report = proved(&subject, None, 41).expect("it runs");
    assert!(report.cells > 10 && report.is_clean(), "{}", told(&report));
}

#[test]
fn pages_are_read_to_their_end() {
    let lab = lab("prod", "playbooks/notify-live.rhai").param("since", "41000").prepare(|world| {
        let text = |number: u32| String::from_utf8(world.buckets["compiler-explorer"][&format!("dist/gh/main/{number}.txt")].body.clone());
        let (old, new) = (text(41000).expect("text"), text(41001).expect("text"));
        let between = (0..40).map(|n| format!("{n:040x}"));
        let builds = std::iter::once(old).chain(between).chain([new]);
        world.repository = Some(Repository::of_builds("compiler-explorer/compiler-explorer", builds));
        world.put_parameter("/compiler-explorer/prod/blue-version", "dist/gh/main/41001.tar.xz", Some("String"), true).expect("it is put");
    });
    let outcome = lab.param("at-most", "1000").run();
    let said = outcome.events.iter().filter(|event| matches!(&event.what, What::Said { text, .. } if text.starts_with("would be told")));
    assert_eq!(said.count(), 3 * 41, "123 commits, 100 a page: {:?}", outcome.error);
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder).expect("the folder can be read").map(|entry| entry.expect("it can be read").path());
    all.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn over_a_socket_the_token_goes_to_the_host_and_stands_nowhere() {
    const TOKEN: &str = "hush-hush-4711";
    let server = Project::new();
    server.bgx(&["run", "deploy", "--env", "beta", "--version", "41001", "--bake", "5s"]).good(LIMIT);
    let mut serving = server.bgx(&["sandbox", "serve", "--port", "0", "--pace", "60x"]);
    let line = serving.line("SANDBOX on ", LIMIT);
    let url = line.split_whitespace().nth(2).expect("the line holds the address").to_owned();
    let runs = Project::new();
    let text = std::fs::read_to_string(runs.path().join("bgx.toml")).expect("it is there");
    let text =
        text.replace("https://api.github.com", &format!("{url}/api/v3")).replace("[env.beta]\n", "[env.beta]\nlive_label = \"live\"\n");
    runs.write("bgx.toml", &text);
    let args = ["run", "notify-live", "--env", "beta", "--target", &url, "--send", "true"];
    let without = runs.bgx_with(&[("GITHUB_TOKEN", "")], &args).good(LIMIT);
    assert!(without.contains("WARNING: GitHub was told nothing: the token of `github` is empty"), "{without}");
    let said = runs.bgx_with(&[("GITHUB_TOKEN", TOKEN)], &args).good(LIMIT);
    assert!(said.contains("told 3 of 3 at GitHub"), "{said}");
    let again = runs.bgx_with(&[("GITHUB_TOKEN", TOKEN)], &[&args[..], &["--json"]].concat()).good(LIMIT);
    assert!(again.contains("told 0 of 0 at GitHub"), "{again}");
    assert!(!said.contains(TOKEN) && !again.contains(TOKEN));
    let journals = files(&runs.path().join(".bgx"));
    let holds =
        |text: &str| journals.iter().any(|path| String::from_utf8_lossy(&std::fs::read(path).expect("it can be read")).contains(text));
    assert!(holds("/issues/12/comments") && !holds(TOKEN), "{journals:?}");
    serving.signal("TERM");
    serving.good(LIMIT);
    let shown = server.bgx(&["sandbox", "show"]).good(LIMIT);
    assert!(shown.contains("#12 Fix crash 11 [live], comment: This is now live\n"), "{shown}");
    assert!(
        !files(server.path()).iter().any(|path| String::from_utf8_lossy(&std::fs::read(path).expect("it can be read")).contains(TOKEN))
    );
}

#[test]
fn nothing_is_written_outside_while_the_account_is_a_servers() {
    let server = Project::new();
    let mut serving = server.bgx(&["sandbox", "serve", "--port", "0", "--pace", "60x"]);
    let line = serving.line("SANDBOX on ", LIMIT);
    let url = line.split_whitespace().nth(2).expect("the line holds the address").to_owned();
    let runs = Project::new();
    runs.write("posts.rhai", "//! Posts.\neffect(#{ post: \"/repos/o/r/issues/1/comments\", to: \"github\", json: #{ body: \"x\" } });\n");
    let said = runs.bgx_with(&[("GITHUB_TOKEN", "x")], &["run", "posts.rhai", "--env", "beta", "--target", &url]).end(LIMIT);
    assert!(said.text.contains("the account is a test server's, and `github` is not: nothing was sent"), "{}", said.text);
    serving.signal("TERM");
    serving.good(LIMIT);
}

#[test]
fn a_host_is_named_in_bgx_toml_and_its_token_never_written_there() {
    let text = std::fs::read_to_string(root().join("bgx.toml")).expect("it is there");
    let parse = |from: &str, to: &str| Config::parse(&text.replace(from, to), root()).map(drop).unwrap_err();
    let url = "https://api.github.com";
    for odd in
        ["http://api.github.com", "https://", "https://a b", "https://me@github.com", "http://127.0.0.1.evil.example", "api.github.com"]
    {
        assert!(parse(url, odd).contains("[outside.github]: `url = "), "{odd}");
    }
    let error = parse("{ env = \"GITHUB_TOKEN\" }", "\"ghp_secret\"");
    assert!(error.contains("[outside.github]: a token is a secret; name where it is") && !error.contains("ghp_secret"), "{error}");
    assert!(parse("compiler-explorer/compiler-explorer\"    #", "compiler-explorer\" #").contains("\"owner/name\""));
    assert!(parse("[outside.github]", "[outside.gitlab]").contains("`live_label` needs"));
}
