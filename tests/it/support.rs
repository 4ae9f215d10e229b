//! What the tests share: a laboratory that plays a playbook in memory and keeps everything that happened.

use bgx::config::{Config, Environment};
use bgx::host::{Host, Options};
use bgx::run::event::{Ended, Event, OnFailure};
use bgx::run::journal::{Disk, Journal, Store};
use bgx::run::{Answers, Halt};
use bgx::sandbox::fault::Rule;
use bgx::sandbox::world::{Users, World};
use bgx::script::params;
use bgx::script::session::{self, Playbook, Request};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// The project's own folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn config() -> Config {
    Config::read(&root().join("bgx.toml")).expect("the repository's bgx.toml is valid")
}

/// A change of the world before a run.
type Prepare = Box<dyn Fn(&mut World)>;

/// One run to do in a new, unsaved sandbox.
pub struct Lab {
    pub config: Config,
    pub env: &'static str,
    pub playbook: PathBuf,
    pub params: BTreeMap<String, String>,
    pub answers: BTreeMap<String, String>,
    pub seed: u64,
    /// Sends this signal when the kept event of that number was seen.
    pub signal: Option<(u64, &'static str)>,
    pub snapshots: bool,
    /// Changes the world before the run.
    pub prepare: Option<Prepare>,
    /// Spoils calls of the run.
    pub faults: Vec<Rule>,
    pub on_failure: OnFailure,
    /// What is typed at the terminal, in this order; `None`: there is no terminal.
    pub typed: Option<Vec<&'static str>>,
    /// Approvals are given at once.
    pub approved: bool,
    /// The journal is in the sandbox's bucket.
    pub in_s3: bool,
    /// Where the journal is.
    pub disk: Disk,
}

/// What is left of a run.
pub struct Outcome {
    pub ended: Ended,
    pub events: Vec<Event>,
    /// The account when each kept event was recorded, of a lab that takes snapshots.
    pub worlds: Vec<World>,
    pub journal: Vec<u8>,
    pub before: World,
    pub after: World,
    pub users: Users,
    pub error: Option<String>,
}

pub fn lab(env: &'static str, playbook: &str) -> Lab {
    Lab {
        config: config(),
        env,
        playbook: root().join(playbook),
        params: BTreeMap::new(),
        answers: BTreeMap::new(),
        seed: 7,
        signal: None,
        snapshots: false,
        prepare: None,
        faults: Vec::new(),
        on_failure: OnFailure::Undo,
        typed: None,
        approved: false,
        in_s3: false,
        disk: Disk::ENDLESS,
    }
}

impl Lab {
    /// In another project than the repository's own: the folder of its `bgx.toml`.
    pub fn project(mut self, folder: &str) -> Lab {
        self.config = Config::read(&root().join(folder).join("bgx.toml")).expect("the example's bgx.toml is valid");
        self
    }

    pub fn param(mut self, name: &str, value: &str) -> Lab {
        self.params.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn answer(mut self, id: &str, key: &str) -> Lab {
        self.answers.insert(id.to_owned(), key.to_owned());
        self
    }

    pub fn seed(mut self, seed: u64) -> Lab {
        self.seed = seed;
        self
    }

    pub fn signal(mut self, after: u64, signal: &'static str) -> Lab {
        self.signal = Some((after, signal));
        self
    }

    pub fn snapshots(mut self) -> Lab {
        self.snapshots = true;
        self
    }

    pub fn prepare(mut self, change: impl Fn(&mut World) + 'static) -> Lab {
        self.prepare = Some(Box::new(change));
        self
    }

    pub fn typed(mut self, lines: &[&'static str]) -> Lab {
        self.typed = Some(lines.to_vec());
        self
    }

    pub fn approved(mut self) -> Lab {
        self.approved = true;
        self
    }

    pub fn on_failure(mut self, then: OnFailure) -> Lab {
        self.on_failure = then;
        self
    }

    pub fn fault(mut self, rule: Rule) -> Lab {
        self.faults.push(rule);
        self
    }

    pub fn in_s3(mut self) -> Lab {
        self.in_s3 = true;
        self
    }

    pub fn disk(mut self, disk: Disk) -> Lab {
        self.disk = disk;
        self
    }

    /// A playbook given as text, in a folder of its own.
    pub fn text(mut self, folder: &Path, text: &str) -> Lab {
        self.playbook = folder.join("given.rhai");
        std::fs::write(&self.playbook, text).expect("a temporary folder can be written");
        self
    }

    pub fn run(self) -> Outcome {
        self.tried().expect("the run begins")
    }

    /// The same where it may not even begin.
    pub fn tried(self) -> Result<Outcome, Halt> {
        let options = Options { seed: Some(self.seed), in_memory: true, target: None };
        let host = Host::open(&self.config, &bgx::config::Target::Sandbox, &options).expect("a sandbox opens");
        let sandbox = host.sandbox.clone().expect("the target is the sandbox");
        if let Some(prepare) = &self.prepare {
            prepare(&mut sandbox.lock().unwrap().world);
        }
        self.faults.iter().for_each(|rule| sandbox.lock().unwrap().faults.add(rule.clone()));
        let journal = Journal::on(self.disk);
        self.play(&host, journal, Vec::new(), Go::Run)
    }

    /// What another process does with the journal and the account that a dead one left.
    pub fn recover(self, crash: &Crash, go: Go) -> Outcome {
        let host = Host::over(bgx::sandbox::Sandbox::new(crash.world.clone()), self.seed + 1, None).expect("a sandbox opens");
        let (journal, events) = Journal::reopen_bytes(&crash.journal);
        self.play(&host, journal, events, go).expect("the run begins")
    }

    fn play(self, host: &Host, journal: Journal, known: Vec<Event>, go: Go) -> Result<Outcome, Halt> {
        let env = self.config.env(self.env).expect("the environment is in bgx.toml").clone();
        let playbook = Playbook::load(&self.playbook, &self.config, env.hooks.as_deref()).unwrap_or_else(|p| panic!("{}", p.render(false)));
        let sandbox = host.sandbox.clone().expect("the target is the sandbox");
        let before = sandbox.lock().unwrap().world.clone();
        let events = Arc::new(Mutex::new(Vec::new()));
        let worlds = Arc::new(Mutex::new(Vec::new()));
        let journal = if self.in_s3 { in_bucket(journal, host, &env, self.seed) } else { journal };
        let (sender, interrupt) = watch::channel(String::new());
        let (seen, signal, snapshots, clones) = (events.clone(), self.signal, self.snapshots.then(|| sandbox.clone()), worlds.clone());
        let request = Request {
            also: Vec::new(),
            plan: None,
            params: params::parse(&playbook.params, &self.params).unwrap_or_else(|p| panic!("{p:?}")),
            answers: Answers { given: self.answers, terminal: self.typed.map(typing), ..Answers::default() },
            observer: Box::new(move |event: &Event| {
                if signal.is_some_and(|(after, _)| event.what.is_kept() && event.seq == after) {
                    sender.send_replace(signal.map(|(_, name)| name.to_owned()).unwrap_or_default());
                }
                if let Some(sandbox) = snapshots.as_ref().filter(|_| event.what.is_kept()) {
                    clones.lock().unwrap().push(sandbox.lock().unwrap().world.clone());
                }
                seen.lock().unwrap().push(event.clone());
            }),
            interrupt,
            journal,
            run_id: format!("lab{}", self.seed),
            reason: None,
            actor: None,
            commit: None,
            host_name: "lab".to_owned(),
            user: "tester".to_owned(),
            who: "tester".to_owned(),
            approved: self.approved,
            lock_wait: std::time::Duration::ZERO,
            events: known,
            on_failure: self.on_failure,
            resumes: bgx::run::Resumes { on_failure: None, sources: None },
            env: env.clone(),
        };
        let played = match go {
            Go::Run => session::run(&playbook, host, request),
            Go::Undo => session::undo(&playbook, host, request),
        }?;
        let users = host.users(&env.name, played.began).expect("a sandbox has users");
        let after = sandbox.lock().unwrap().world.clone();
        let (events, worlds) = (events.lock().unwrap().clone(), worlds.lock().unwrap().clone());
        let error = played.error.map(|e| e.render(&playbook.sources, false));
        Ok(Outcome { error, ended: played.ended, journal: played.journal, events, worlds, before, after, users })
    }
}

/// A person who types these lines and then leaves.
fn typing(lines: Vec<&'static str>) -> bgx::run::Asker {
    let mut lines = lines.into_iter();
    Box::new(move |_| lines.next().map(str::to_owned))
}

/// A journal that goes on where the one in the bucket ends.
fn in_bucket(journal: Journal, host: &Host, env: &Environment, seed: u64) -> Journal {
    let store = Store::new(host.account.clone(), &env.state.bucket, &format!("{}lab{seed}/", env.runs_key()));
    let fetched = host.driver.block_on(store.fetch()).expect("the bucket can be read");
    journal.stored(store, &fetched).expect("it is the same journal")
}

/// What a process does with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    /// Begins it, or goes on with it.
    Run,
    Undo,
}

/// What is left when a process dies: the bytes that were on disk, and the account.
pub struct Crash {
    pub journal: Vec<u8>,
    pub world: World,
}

impl Outcome {
    /// As if the process had died when the kept event `seq` was just recorded (`after`), or just before that.
    pub fn crash(&self, seq: usize, after: bool) -> Crash {
        let kept: Vec<&Event> = self.events.iter().filter(|e| e.what.is_kept()).collect();
        let recorded = if after { seq + 1 } else { seq };
        // Lines that ride along with the next durable event were not on disk.
        let durable = kept[..recorded].iter().rposition(|e| e.what.is_durable()).map_or(0, |last| last + 1);
        let lines: Vec<&[u8]> = self.journal.split_inclusive(|byte| *byte == b'\n').collect();
        Crash { journal: lines[..durable].concat(), world: self.worlds[seq].clone() }
    }
}

/// The journal that a world's bucket holds of the lab's run.
pub fn bucket_journal(world: &World, env: &str, run: &str) -> Vec<u8> {
    let folder = format!("bgx/runs/{env}/{run}/");
    let objects = world.buckets["compiler-explorer"].iter().filter(|(key, _)| key.starts_with(&folder));
    objects.flat_map(|(_, object)| object.body.iter().copied()).collect()
}

/// The part of a world that a run may change and an undo must put back: sizes, suspensions, rules, parameters, objects.
pub fn owned(world: &World, env: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for group in world.groups.values().filter(|group| group.name.starts_with(&format!("{env}-"))) {
        let sizes = format!("{}/{}/{} {:?}", group.desired, group.min, group.max, group.suspended);
        all.insert(format!("group {}", group.name), sizes);
    }
    let weights = |actions: &bgx::sandbox::world::Actions| format!("{:?}", actions.api);
    all.extend(world.rules.values().map(|rule| (format!("rule {}", rule.arn), weights(&rule.actions))));
    all.extend(world.listeners.values().map(|listener| (format!("listener {}", listener.arn), weights(&listener.actions))));
    all.extend(world.parameters.iter().map(|(name, parameter)| (format!("parameter {name}"), parameter.value.clone())));
    for (bucket, objects) in &world.buckets {
        // A journal grows and is never taken back.
        let objects = objects.iter().filter(|(key, _)| !key.starts_with("bgx/runs/"));
        all.extend(objects.map(|(key, object)| (format!("object {bucket}/{key}"), String::from_utf8_lossy(&object.body).into_owned())));
    }
    all
}
