//! The real binary ends itself at a chosen call or record; what the next process makes of it is as if nothing had happened.
//!
//! `BGX_KILLS=all` tries every point; the suite tries one of twenty-three, always the same ones.

use crate::process::{Project, Said};
use crate::signals::beta;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
const DEPLOY: &[&str] = &["run", "deploy", "--env", "beta", "--version", "latest", "--bake", "5s"];
/// More points than any deploy of this test has.
const POINTS_MAX: usize = 2_000;
/// The sample of the suite: one point of so many.
const STRIDE: usize = 23;

/// Where the process ends itself: `call:17:before`.
struct Moment {
    kind: &'static str,
    number: usize,
    when: &'static str,
}

impl Moment {
    /// The points in an order in which neighbours are neighbours in time.
    fn nth(kind: &'static str, index: usize) -> Moment {
        Moment { kind, number: index / 2 + 1, when: if index.is_multiple_of(2) { "before" } else { "after" } }
    }

    fn failpoint(&self, signal: &str) -> String {
        format!("{}:{}:{}:{signal}", self.kind, self.number, self.when)
    }
}

/// The state of a project after an unbroken deploy, and before.
struct Ends {
    start: Vec<String>,
    end: Vec<String>,
}

fn ends() -> Ends {
    let project = Project::new();
    let start = beta(&project);
    project.bgx(DEPLOY).good(LIMIT);
    Ends { start, end: beta(&project) }
}

/// Tries the points of one kind on two threads until a deploy ends before it reaches its point; how many there were.
fn campaign(kind: &'static str, signal: &str, stride: usize, check: &(dyn Fn(&Project, &Said, &str) + Sync)) -> usize {
    let next = AtomicUsize::new(0);
    let tried = AtomicUsize::new(0);
    let worker = || {
        loop {
            let index = next.fetch_add(stride, Ordering::SeqCst);
            assert!(index < POINTS_MAX, "a deploy has fewer points than that");
            let failpoint = Moment::nth(kind, index).failpoint(signal);
            let project = Project::new();
            let said = project.bgx_with(&[("BGX_FAILPOINT", &failpoint)], DEPLOY).end(LIMIT);
            if said.code == Some(0) && !said.text.contains("received") {
                return;
            }
            check(&project, &said, &failpoint);
            tried.fetch_add(1, Ordering::SeqCst);
        }
    };
    std::thread::scope(|scope| {
        let handles = [scope.spawn(worker), scope.spawn(worker)];
        handles.into_iter().for_each(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    });
    tried.into_inner()
}

fn stride() -> usize {
    if std::env::var("BGX_KILLS").is_ok_and(|value| value == "all") { 1 } else { STRIDE }
}

/// The run that a project remembers, where the process lived long enough to begin one.
fn run_of(project: &Project) -> Option<String> {
    let text = project.bgx(&["runs"]).good(LIMIT);
    let line = text.lines().next().filter(|line| line.contains("deploy.rhai"))?;
    line.split_whitespace().next().map(str::to_owned)
}

/// Goes on with whatever is left until the deploy is done.
fn done(project: &Project, run: Option<&str>, at: &str) {
    let Some(run) = run else {
        project.bgx(DEPLOY).good(LIMIT);
        return;
    };
    let said = project.bgx(&["resume", run]).end(LIMIT);
    let over = said.code == Some(7) && said.text.contains("is over: done");
    assert!(said.code == Some(0) || over, "resume after {at}: {}", said.text);
}

fn free(project: &Project, at: &str) {
    let lock = project.bgx(&["lock", "--env", "beta"]).good(LIMIT);
    assert!(lock.contains("free"), "{at}: {lock}");
}

fn killed(kind: &'static str) {
    let ends = ends();
    let resumed = |project: &Project, said: &Said, at: &str| {
        assert_eq!(said.code, None, "{at}: {}", said.text);
        done(project, run_of(project).as_deref(), at);
        assert_eq!(beta(project), ends.end, "resumed after {at}");
        free(project, at);
    };
    let undone = |project: &Project, said: &Said, at: &str| {
        assert_eq!(said.code, None, "{at}: {}", said.text);
        let Some(run) = run_of(project) else {
            assert_eq!(beta(project), ends.start, "{at}");
            return;
        };
        let undo = project.bgx(&["undo", &run]).end(LIMIT);
        match undo.code {
            Some(0) => assert_eq!(beta(project), ends.start, "undone after {at}: {}", undo.text),
            // What was committed is not undone.
            Some(7) => {
                assert!(undo.text.contains("bgx run rollback"), "{at}: {}", undo.text);
                done(project, Some(&run), at);
                assert_eq!(beta(project), ends.end, "{at}");
            }
            code => panic!("undo after {at} ended with {code:?}: {}", undo.text),
        }
        free(project, at);
    };
    let counts = [&resumed as &(dyn Fn(&Project, &Said, &str) + Sync), &undone].map(|check| campaign(kind, "KILL", stride(), check));
    assert!(counts.iter().all(|count| *count >= 100 / stride()), "{counts:?}");
    println!("SIGKILL at each {kind}, before and after: {} resumed, {} undone, every one as it must be", counts[0], counts[1]);
}

#[test]
fn killed_at_a_call_it_is_resumed_to_the_same_end_or_undone_to_the_start() {
    killed("call");
}

#[test]
fn killed_at_a_record_of_the_journal_it_is_resumed_to_the_same_end_or_undone_to_the_start() {
    killed("record");
}

#[test]
fn terminated_at_a_call_it_is_taken_back_or_committed_and_never_between() {
    let ends = ends();
    let check = |project: &Project, said: &Said, at: &str| {
        let now = beta(project);
        match said.code {
            Some(3) => assert_eq!(now, ends.start, "{at}: {}", said.text),
            Some(0) => assert_eq!(now, ends.end, "{at}: {}", said.text),
            Some(4) if said.text.contains("committed") => {
                done(project, run_of(project).as_deref(), at);
                assert_eq!(beta(project), ends.end, "{at}");
            }
            Some(7) => assert_eq!(now, ends.start, "{at}: {}", said.text),
            code => panic!("SIGTERM at {at} ended with {code:?}: {}", said.text),
        }
        free(project, at);
    };
    let count = campaign("call", "TERM", stride(), &check);
    assert!(count >= 100 / stride(), "{count}");
    println!("SIGTERM at each call, before and after: {count}, every one taken back or committed");
}

#[test]
fn a_bug_takes_back_what_was_done_and_exits_1() {
    let ends = ends();
    for at in ["call:40:before:PANIC", "call:40:after:PANIC"] {
        let project = Project::new();
        let said = project.bgx_with(&[("BGX_FAILPOINT", at)], DEPLOY).end(LIMIT);
        assert_eq!(said.code, Some(1), "{at}: {}", said.text);
        assert!(said.text.contains("a bug in bgx") && said.text.contains("bgx show "), "{}", said.text);
        assert_eq!(beta(&project), ends.start, "{at}");
        free(&project, at);
    }
}
