//! What bgx costs: `cargo bench`. One line each for calls through the SDK, a whole deploy, the engine, parsing, a verb, status.

use bgx::account::Memo;
use bgx::config::{Config, Environment};
use bgx::host::{Host, world};
use bgx::prove::plan;
use bgx::run::journal::Journal;
use bgx::run::{Answers, survey};
use bgx::sandbox::Sandbox;
use bgx::sandbox::world::World;
use bgx::script::session::{self, Playbook, Request};
use bgx::script::{bare, params, verbs};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use mimalloc::MiMalloc;
use std::path::{Path, PathBuf};
use tokio::sync::watch;

/// The program's own.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    divan::main();
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The repository's configuration with six instances serving in beta.
fn config() -> Config {
    let mut config = Config::read(&root().join("bgx.toml")).expect("the repository's bgx.toml is valid");
    if let Some(beta) = config.envs.get_mut("beta") {
        beta.sandbox.size = 6;
    }
    config
}

fn beta(config: &Config) -> Environment {
    config.env("beta").expect("beta is in bgx.toml").clone()
}

fn host(world: &World) -> Host {
    Host::over(Sandbox::new(world.clone()), 7, None).expect("a sandbox opens")
}

fn deploy() -> Playbook {
    load(&root().join("playbooks/deploy.rhai"))
}

fn load(path: &Path) -> Playbook {
    Playbook::load(path, &config(), Some("team/compiler_explorer")).unwrap_or_else(|p| panic!("{}", p.render(false)))
}

fn play(playbook: &Playbook, host: &Host, env: Environment, journal: Journal) -> i32 {
    let (_sender, interrupt) = watch::channel(String::new());
    let given = playbook.params.iter().filter(|p| p.name == "version").map(|p| (p.name.clone(), "latest".to_owned())).collect();
    let request = Request {
        plan: None,
        also: Vec::new(),
        params: params::parse(&playbook.params, &given).unwrap_or_default(),
        answers: Answers::default(),
        observer: Box::new(|_| {}),
        interrupt,
        journal,
        run_id: "bench".to_owned(),
        reason: None,
        actor: None,
        commit: None,
        host_name: "bench".to_owned(),
        user: "bench".to_owned(),
        who: "bench".to_owned(),
        approved: false,
        lock_wait: std::time::Duration::ZERO,
        events: Vec::new(),
        on_failure: bgx::run::event::OnFailure::Undo,
        resumes: bgx::run::Resumes::default(),
        env,
    };
    session::run(playbook, host, request).expect("the run begins").ended.outcome.code()
}

/// A deploy of six instances, journal in memory, world and engine new each time.
#[divan::bench(sample_count = 50)]
fn whole_deploy_in_memory(bencher: Bencher) {
    let config = config();
    let (world, playbook, env) = (world::new_world(&config, 7).expect("a world is made"), deploy(), beta(&config));
    bencher.bench_local(|| assert_eq!(play(&playbook, &host(&world), env.clone(), Journal::in_memory()), 0));
}

/// The same in a process that plays many, as `bgx prove` does: all but the first find their replies read before.
#[divan::bench(sample_count = 50)]
fn whole_deploy_in_memory_among_others(bencher: Bencher) {
    let config = config();
    let (world, playbook, env) = (world::new_world(&config, 7).expect("a world is made"), deploy(), beta(&config));
    let memo = Memo::default();
    bencher.bench_local(|| {
        let host = Host::with_memo(Sandbox::new(world.clone()), 7, Some(memo.clone())).expect("a sandbox opens");
        assert_eq!(play(&playbook, &host, env.clone(), Journal::in_memory()), 0);
    });
}

/// The same with the journal in a file and its fsyncs.
#[divan::bench(sample_count = 20)]
fn whole_deploy_with_fsync(bencher: Bencher) {
    let config = config();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (world, playbook, env) = (world::new_world(&config, 7).expect("a world is made"), deploy(), beta(&config));
    let mut number = 0;
    bencher.bench_local(|| {
        number += 1;
        let journal = Journal::create(&folder.path().join(format!("{number}.jsonl"))).expect("a new journal");
        assert_eq!(play(&playbook, &host(&world), env.clone(), journal), 0);
    });
}

/// Calls a second through serialising, signing, the door, the world and parsing.
#[divan::bench(sample_count = 50)]
fn calls_describe_target_health(bencher: Bencher) {
    let config = config();
    let world = world::new_world(&config, 7).expect("a world is made");
    let host = host(&world);
    let arn = world.target_groups.values().find(|g| g.name == "Beta-Blue").expect("beta has a target group").arn.clone();
    bencher.counter(ItemsCount::new(20usize)).bench_local(|| {
        for _ in 0..20 {
            // The published throttle refills 10 a second: let virtual time pass, as a poll would.
            host.driver.block_on(tokio_sleep());
            black_box(host.driver.block_on(host.account.target_health(&arn)).expect("the sandbox answers"));
        }
    });
}

async fn tokio_sleep() {
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
}

#[divan::bench(sample_count = 50)]
fn calls_describe_group(bencher: Bencher) {
    let config = config();
    let host = host(&world::new_world(&config, 7).expect("a world is made"));
    bencher.counter(ItemsCount::new(20usize)).bench_local(|| {
        for _ in 0..20 {
            host.driver.block_on(tokio_sleep());
            black_box(host.driver.block_on(host.account.groups(&["beta-blue"])).expect("the sandbox answers"));
        }
    });
}

/// An engine with all verbs.
#[divan::bench]
fn engine_start(bencher: Bencher) {
    bencher.bench_local(|| black_box(bare(verbs::all())));
}

/// Reading, parsing and checking deploy.rhai and what it imports.
#[divan::bench]
fn load_and_check_playbook(bencher: Bencher) {
    let path = root().join("playbooks/deploy.rhai");
    let config = config();
    bencher.bench_local(|| black_box(Playbook::load(&path, &config, Some("team/compiler_explorer")).is_ok()));
}

/// Opening a new sandbox: world, clients, runtime.
#[divan::bench(sample_count = 50)]
fn open_sandbox(bencher: Bencher) {
    let world = world::new_world(&config(), 7).expect("a world is made");
    bencher.bench_local(|| black_box(host(&world)));
}

/// 1000 calls of a verb that asks nobody, from a script.
#[divan::bench(sample_count = 20)]
fn a_thousand_verb_calls(bencher: Bencher) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("calls.rhai");
    std::fs::write(&path, "for i in 0..1000 { env().name; }").expect("a temporary folder can be written");
    let config = config();
    let (world, playbook, env) = (world::new_world(&config, 7).expect("a world is made"), load(&path), beta(&config));
    bencher.counter(ItemsCount::new(1000usize)).bench_local(|| {
        assert_eq!(play(&playbook, &host(&world), env.clone(), Journal::in_memory()), 0);
    });
}

/// `bgx status --env beta` without the printing.
#[divan::bench(sample_count = 50)]
fn status(bencher: Bencher) {
    let config = config();
    let (world, env) = (world::new_world(&config, 7).expect("a world is made"), beta(&config));
    let host = host(&world);
    bencher.bench_local(|| {
        host.driver.block_on(tokio_sleep());
        black_box(host.driver.block_on(survey::survey(&host.account, &env)).expect("the sandbox answers"))
    });
}

/// `bgx plan deploy --env prod` with 40 instances, from the first read to the last rehearsal, beside the account's own latency.
#[divan::bench(sample_count = 3)]
fn plan_of_prod_with_40_instances(bencher: Bencher) {
    let mut config = config();
    if let Some(prod) = config.envs.get_mut("prod") {
        prod.sandbox.size = 40;
    }
    let world = world::new_world(&config, 7).expect("a world is made");
    let (env, playbook) = (config.env("prod").expect("prod is in bgx.toml").clone(), deploy());
    bencher.bench_local(|| {
        let cloned = host(&world).clone_of(&[&env]).expect("the sandbox answers");
        let request = plan::Request {
            config: config.clone(),
            envs: vec![env.clone()],
            playbook: playbook.clone(),
            path: "deploy".to_owned(),
            params: [("version".to_owned(), "latest".to_owned())].into(),
            seed: 7,
            good_for: jiff::SignedDuration::from_mins(30),
            target: "sandbox".to_owned(),
            account: world.account.clone(),
            identity: String::new(),
        };
        let made = plan::make(request, &cloned, Answers { yes: true, ..Answers::default() }).expect("it is rehearsed");
        assert!(made.plan.is_safe(), "{:?}", made.plan.why);
    });
}
