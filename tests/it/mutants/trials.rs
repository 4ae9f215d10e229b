//! What a mutant has to stand: the check, runs without a fault in several accounts, the way back, and a proof.

use super::operators::Mutant;
use crate::stage::{Act, Left, Trouble};
use crate::support::{config, root};
use bgx::account::Memo;
use bgx::config::Config;
use bgx::prove::{Extent, Mode, Rights, Start, Subject, prove, testing};
use bgx::run::event::Outcome;
use bgx::sandbox::fault::Mishap;
use bgx::sandbox::world::{GroupUpdate, World};
use bgx::script::session::Playbook;
use bgx::script::{Sources, bare, check, harness, verbs};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// How a mutant was caught, or that it was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Check(String),
    /// The run ended otherwise than the shipped playbook: it was refused or failed, or it went on where that stops.
    Otherwise(String),
    Audit(String),
    /// The way back no longer works, or takes much longer.
    Rollback(String),
    Prove(String),
    /// A test of the playbook fails, and nothing else did.
    Test(String),
    /// Nothing that it does differs, and no step is weaker.
    Equivalent,
    Survived,
}

impl Verdict {
    pub fn kind(&self) -> &'static str {
        match self {
            Verdict::Check(_) => "check",
            Verdict::Otherwise(_) => "ended otherwise",
            Verdict::Audit(_) => "audit",
            Verdict::Rollback(_) => "way back",
            Verdict::Prove(_) => "prove",
            Verdict::Test(_) => "test",
            Verdict::Equivalent => "equivalent",
            Verdict::Survived => "survived",
        }
    }
}

/// The shipped playbook that is mutated, in the accounts in which it is played.
pub struct Bench {
    pub playbook: &'static str,
    texts: BTreeMap<String, String>,
    scenes: Vec<Scene>,
    /// The account in which it is proved.
    start: Start,
    /// Every n-th point of each fault.
    pub every: usize,
}

/// One account, and what the shipped playbook does in it.
struct Scene {
    act: Act,
    before: World,
    log: Vec<u8>,
    /// Seconds that the shipped rollback takes afterwards.
    back: Option<f64>,
    outcome: Outcome,
}

fn act(playbook: &str, env: &str, params: &[(&str, &str)], answers: &[(&str, &str)]) -> Act {
    let mut config = config();
    let env = config.env(env).expect("the environment is in bgx.toml").clone();
    // An account of one environment is moved in a fraction of the time.
    config.envs.retain(|name, _| *name == env.name);
    let playbook =
        Playbook::load(&root().join(playbook), &config, Some("team/compiler_explorer")).unwrap_or_else(|p| panic!("{}", p.render(false)));
    let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Act { config, env, playbook, params: map(params), answers: map(answers), seed: 7 }
}

fn log(left: &Left) -> Vec<u8> {
    serde_json::to_vec(&left.world.log).expect("a log is JSON")
}

fn scene(act: Act, before: World, way_back: bool) -> Scene {
    let left = act.play(&before, Trouble::default());
    let found = left.findings(&act.env);
    assert!(found.is_clean(), "the shipped playbook: {found}");
    let back = way_back.then(|| roll_back(&left, &act).expect("the shipped deploy can be rolled back"));
    Scene { log: log(&left), act, before, back, outcome: left.ended.outcome }
}

/// An account or an answer for which the shipped playbook ends without a switch.
fn refusal(act: &Act, before: World, params: &[(&str, &str)], answers: &[(&str, &str)]) -> Scene {
    let mut act = act.clone();
    act.params.extend(params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    act.answers.extend(answers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    let scene = scene(act, before, false);
    assert_ne!(scene.outcome, Outcome::Done, "the shipped playbook goes on");
    scene
}

/// Half an hour later the idle colour has shrunk as far as it may; how long does it take to go back?
fn roll_back(left: &Left, done: &Act) -> Result<f64, String> {
    let mut world = left.world.clone();
    world.advance(world.now.after_ms(1_800_000));
    let idle = done.env.colors.iter().find(|c| c.name != active(&world, done)).expect("there are two");
    world.fire_policy(&idle.asg, 1);
    world.advance(world.now.after_ms(600_000));
    let back = act("playbooks/rollback.rhai", &done.env.name, &[("why", "a test")], &[]);
    let went = back.play(&world, Trouble::default());
    let found = went.findings(&back.env);
    match went.ended.outcome {
        Outcome::Done if found.is_clean() => Ok(went.ended.seconds),
        Outcome::Done => Err(found.to_string()),
        _ => Err(went.ended.why.unwrap_or_default()),
    }
}

fn active(world: &World, act: &Act) -> String {
    world.parameters.get(&act.env.active_color_parameter()).map(|p| p.value.clone()).unwrap_or_default()
}

impl Bench {
    pub fn deploy(every: usize) -> Bench {
        let params = [("version", "latest"), ("bake", "1m")];
        let plain = act("playbooks/deploy.rhai", "beta", &params, &[]);
        let larger = act("playbooks/deploy.rhai", "beta", &[("version", "latest"), ("bake", "1m"), ("capacity", "3")], &[]);
        let prod = act("playbooks/deploy.rhai", "prod", &params, &[]);
        let fresh = act("playbooks/deploy.rhai", "beta", &params, &[("existing", "fresh")]);
        let mut occupied = fresh.world();
        let two = GroupUpdate { min: Some(1), max: None, desired: Some(2) };
        assert!(Mishap::Resize { group: "beta-green".to_owned(), update: two }.befall(&mut occupied));
        occupied.advance(occupied.now.after_ms(900_000));
        let mut drifted = plain.world();
        let green = Mishap::Parameter { name: plain.env.active_color_parameter(), value: "green".to_owned() };
        assert!(green.befall(&mut drifted));
        drifted.advance(drifted.now.after_ms(60_000));
        let scenes = vec![
            scene(plain.clone(), plain.world(), true),
            scene(larger.clone(), larger.world(), false),
            refusal(&plain, occupied.clone(), &[], &[("existing", "stop")]),
            refusal(&plain, plain.world(), &[("capacity", "11")], &[]),
            refusal(&plain, plain.world(), &[("capacity", "1")], &[]),
            refusal(&plain, drifted, &[], &[]),
            scene(fresh, occupied, false),
            scene(prod.clone(), prod.world(), true),
        ];
        Bench { playbook: "playbooks/deploy.rhai", texts: plain.playbook.sources.texts(), scenes, start: Start::Fresh, every }
    }

    pub fn rollback(every: usize) -> Bench {
        let params = [("why", "a test")];
        let back = act("playbooks/rollback.rhai", "beta", &params, &[]);
        let deployed = |env: &str| {
            let deploy = act("playbooks/deploy.rhai", env, &[("version", "latest"), ("bake", "1m")], &[]);
            let mut world = deploy.play(&deploy.world(), Trouble::default()).world;
            world.advance(world.now.after_ms(900_000));
            world
        };
        let mut shrunk = deployed("beta");
        let less = GroupUpdate { min: Some(0), max: None, desired: Some(1) };
        assert!(Mishap::Resize { group: "beta-blue".to_owned(), update: less }.befall(&mut shrunk));
        shrunk.advance(shrunk.now.after_ms(900_000));
        let prod = act("playbooks/rollback.rhai", "prod", &params, &[]);
        let scenes = vec![
            scene(back.clone(), deployed("beta"), false),
            scene(back.clone(), shrunk, false),
            scene(prod, deployed("prod"), false),
            refusal(&back, back.world(), &[], &[]),
            refusal(&back, deployed("beta"), &[], &[("rollback", "no")]),
        ];
        Bench { playbook: "playbooks/rollback.rhai", texts: back.playbook.sources.texts(), scenes, start: Start::Warm, every }
    }

    /// Texts by the name they have in an import.
    pub fn texts(&self) -> &BTreeMap<String, String> {
        &self.texts
    }

    pub fn name(&self) -> String {
        self.scenes[0].act.playbook.name()
    }

    /// Read, checked and played without a fault in each account.
    pub fn played(&self, mutant: &Mutant) -> Verdict {
        let playbook = match self.checked(mutant) {
            Ok(playbook) => playbook,
            Err(why) => return Verdict::Check(why),
        };
        let mut same = true;
        for scene in &self.scenes {
            let act = Act { playbook: playbook.clone(), ..scene.act.clone() };
            match scene.stands(&act, &mut same) {
                Verdict::Survived => {}
                caught => return caught,
            }
        }
        if same && !mutant.drops_safety() { Verdict::Equivalent } else { Verdict::Survived }
    }

    /// Played under faults, one at a time; what that leaves, by the tests that are shipped with the playbook.
    pub fn under_faults(&self, mutant: &Mutant) -> Verdict {
        match self.checked(mutant) {
            Err(why) => Verdict::Check(why),
            Ok(playbook) => match self.proved(&playbook) {
                Verdict::Survived => self.tested(mutant),
                caught => caught,
            },
        }
    }

    /// Every shipped test, with the mutant in place of its file.
    pub fn tested(&self, mutant: &Mutant) -> Verdict {
        let folder = tempfile::tempdir().expect("a temporary folder");
        project(folder.path(), mutant);
        let config = Config::read(&folder.path().join("bgx.toml")).expect("the copy is as valid as the original");
        for path in TESTS {
            let file = harness::load(&folder.path().join(path), &config).unwrap_or_else(|p| panic!("{}", p.render(false)));
            for test in &file.tests {
                let stage = Arc::new(testing::Bench::new(&config, false));
                if let Err(failure) = harness::run(&file, test, Arc::new(move |ask| stage.carry(ask))) {
                    return Verdict::Test(format!("{test}: {}", failure.diagnostic.message));
                }
            }
        }
        Verdict::Survived
    }

    fn checked(&self, mutant: &Mutant) -> Result<Playbook, String> {
        let mut texts = self.texts.clone();
        texts.insert(mutant.file.clone(), mutant.text.clone());
        let sources = Sources::from_texts(texts, &self.name()).map_err(|problem| problem.message.clone())?;
        let told = |p: bgx::script::session::Problems| p.diagnostics.iter().map(|d| d.message.clone()).collect::<Vec<_>>().join("; ");
        // As `bgx check --deny warnings` does.
        match check::warnings(&sources, &bare(verbs::all()), verbs::all()).first() {
            Some(warning) => Err(warning.message.clone()),
            None => Playbook::of(sources, "mutant".to_owned()).map_err(told),
        }
    }

    fn proved(&self, playbook: &Playbook) -> Verdict {
        let Act { config, env, params, answers, seed, .. } = self.scenes[0].act.clone();
        let subject = Subject {
            config,
            env,
            also: Vec::new(),
            playbook: playbook.clone(),
            path: "mutant".to_owned(),
            params,
            answers,
            seed,
            start: self.start,
            rights: Rights::default(),
            given: None,
            memo: Some(Memo::default()),
        };
        let extent = Extent { mode: Mode::Single, fault: None, every: self.every, limit: None, most: None, threads: 1 };
        match prove(&subject, &extent, &|_| true) {
            Ok(report) => report
                .stories
                .first()
                .map_or(Verdict::Survived, |s| Verdict::Prove(format!("{}: {}", s.told.join("; "), s.codes.join(" ")))),
            Err(error) => Verdict::Otherwise(error.to_string()),
        }
    }
}

/// The tests that are shipped, as paths in the repository.
const TESTS: [&str; 4] =
    ["playbooks/deploy_test.rhai", "playbooks/rollback_test.rhai", "playbooks/switch_test.rhai", "stdlib/blue_green_test.rhai"];

/// The repository's configuration, playbooks and modules in a folder, one of them mutated.
fn project(folder: &Path, mutant: &Mutant) {
    let copied = |from: &Path, to: &Path| {
        std::fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    };
    copied(&root().join("bgx.toml"), &folder.join("bgx.toml"));
    for part in ["playbooks", "stdlib"] {
        std::fs::create_dir(folder.join(part)).expect("a new folder");
        for entry in std::fs::read_dir(root().join(part)).expect("the repository has it").flatten() {
            copied(&entry.path(), &folder.join(part).join(entry.file_name()));
        }
    }
    let path = mutant.file.strip_prefix("std/").map_or_else(|| mutant.file.clone(), |module| format!("stdlib/{module}"));
    std::fs::write(folder.join(path), &mutant.text).expect("the mutant is written");
}

impl Scene {
    /// A run without a fault; clears `same` where the mutant changes the account otherwise than the shipped playbook.
    fn stands(&self, act: &Act, same: &mut bool) -> Verdict {
        let left = act.play(&self.before, Trouble::default());
        if left.ended.outcome != self.outcome {
            return Verdict::Otherwise(left.ended.why.unwrap_or_else(|| left.ended.outcome.word().to_owned()));
        }
        let found = left.findings(&act.env);
        if !found.is_clean() {
            return Verdict::Audit(found.to_string().lines().next().unwrap_or_default().to_owned());
        }
        if self.outcome == Outcome::Done && active(&left.world, act) == active(&self.before, act) {
            return Verdict::Audit("the run is done, and traffic is where it was".to_owned());
        }
        if log(&left) == self.log {
            return Verdict::Survived;
        }
        *same = false;
        match self.back.map(|shipped| (shipped, roll_back(&left, act))) {
            Some((_, Err(why))) => Verdict::Rollback(why),
            // A boot takes minutes.
            Some((shipped, Ok(seconds))) if seconds > shipped + 45.0 => Verdict::Rollback(format!("{seconds:.0} s, not {shipped:.0} s")),
            Some(_) | None => Verdict::Survived,
        }
    }
}
