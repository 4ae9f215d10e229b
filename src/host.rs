//! Opens a target: the SDK's configuration, the clock, the runtime that drives it, and for the sandbox a world made from `bgx.toml`.
//!
//! Nothing above this file knows whether AWS, a server or the simulated AWS answers.

pub mod clone;
pub mod world;

use crate::account::{Account, AccountError, Accounts, Connection, Identity, Kind, Memo};
use crate::config::{Config, Environment, Target};
use crate::sandbox::Sandbox;
use crate::sandbox::door::{Clock, Door};
use crate::sandbox::world::{Time, Users};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource, TimeSource};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::{Handle, Runtime};
use world::Stored;

const IDENTITY_TRIES: u32 = 3;
const IDENTITY_PAUSE: Duration = Duration::from_secs(1);

/// A target that could not be opened; nothing was touched.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("{0}")]
    Refused(String),
    #[error("{target} did not say who we are")]
    Identity { target: String, source: AccountError },
    #[error("{what}")]
    Io { what: String, source: std::io::Error },
}

/// A target that is open.
pub struct Host {
    /// The account in the app's region, where its bookkeeping is.
    pub account: Arc<Account>,
    /// The same account in every region.
    pub accounts: Arc<Accounts>,
    pub time: SharedTimeSource,
    pub driver: Driver,
    pub identity: Identity,
    pub target: Target,
    /// Which target this is, in words, for the first and last line.
    pub words: String,
    /// Draws run ids and jitter.
    pub seed: u64,
    pub sandbox: Option<Arc<Mutex<Sandbox>>>,
    stored: Option<Arc<Stored>>,
    connection: Connection,
}

/// Runs async code for the script's thread, in real or in virtual time.
#[derive(Clone)]
pub struct Driver(Arc<Runtime>);

impl Driver {
    /// Many threads, the machine's clock: heartbeats go on while the script computes.
    fn real() -> std::io::Result<Driver> {
        Ok(Driver(Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)))
    }

    /// One thread and a clock that jumps to the next timer whenever nothing else is to do. No sockets: each jump would ask the kernel about them.
    fn virtual_time() -> std::io::Result<Driver> {
        Ok(Driver(Arc::new(tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?)))
    }

    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    pub fn handle(&self) -> &Handle {
        self.0.handle()
    }
}

/// The sandbox's clock, to be read from anywhere: it enters the runtime whose paused time it follows.
#[derive(Clone, Debug)]
struct VirtualClock {
    clock: Clock,
    handle: Handle,
}

impl TimeSource for VirtualClock {
    fn now(&self) -> SystemTime {
        let _entered = self.handle.enter();
        TimeSource::now(&self.clock)
    }
}

/// What the command line may say about opening.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--target`; wins over `bgx.toml`.
    pub target: Option<Target>,
    pub seed: Option<u64>,
    /// No file is read or written: a new world for this run alone.
    pub in_memory: bool,
}

/// Which target an environment lives on, and whether that was said for it by name (guarded environments ask for that).
pub fn target_of(config: &Config, env: &Environment, options: &Options) -> (Target, bool) {
    match (&options.target, &env.target) {
        (Some(given), _) => (given.clone(), true),
        (None, Some(own)) => (own.clone(), true),
        (None, None) => (config.target.clone(), false),
    }
}

impl Host {
    pub fn open(config: &Config, target: &Target, options: &Options) -> Result<Host, HostError> {
        match target {
            Target::Sandbox => Host::sandbox(config, options),
            Target::Aws => Host::aws(config, options),
            Target::Endpoint(url) => Host::endpoint(config, url, options),
        }
    }

    fn sandbox(config: &Config, options: &Options) -> Result<Host, HostError> {
        let stored = if options.in_memory { None } else { Some(Arc::new(Stored::open(&config.root)?)) };
        let loaded = stored.as_ref().map(|stored| stored.load()).transpose()?.flatten();
        let mut world = match loaded {
            Some(world) => world,
            None => world::new_world(config, options.seed.unwrap_or(config.sandbox_seed)).map_err(HostError::Refused)?,
        };
        if let Some(seed) = options.seed {
            // Not the seed itself: a world that was made from it has drawn those numbers already.
            world.rng = crate::sandbox::world::Rng(!seed);
        }
        let seed = options.seed.unwrap_or(world.rng.0);
        Host::over(Sandbox::new(world), seed, stored)
    }

    /// A host over a sandbox that is already there; the world is saved through `stored` where given.
    pub fn over(sandbox: Sandbox, seed: u64, stored: Option<Arc<Stored>>) -> Result<Host, HostError> {
        Host::in_front_of(sandbox, seed, stored, None)
    }

    /// A host over a sandbox in memory, which need not read again what others with this memory have read.
    pub fn with_memo(sandbox: Sandbox, seed: u64, memo: Option<Memo>) -> Result<Host, HostError> {
        Host::in_front_of(sandbox, seed, None, memo)
    }

    fn in_front_of(sandbox: Sandbox, seed: u64, stored: Option<Arc<Stored>>, memo: Option<Memo>) -> Result<Host, HostError> {
        let driver = Driver::virtual_time().map_err(|source| HostError::Io { what: "no runtime could be made".to_owned(), source })?;
        let account_id = sandbox.world.account.clone();
        let region = sandbox.world.region.clone();
        let lies = |bucket: &String| (bucket.clone(), sandbox.world.region_of_bucket(bucket).to_owned());
        let buckets = sandbox.world.buckets.keys().map(lies).collect();
        let start = sandbox.world.now;
        let clock = driver.block_on(async { Clock::starting_at(start) });
        let time = SharedTimeSource::new(VirtualClock { clock, handle: driver.handle().clone() });
        let sandbox = Arc::new(Mutex::new(sandbox));
        let mut door = Door::new(sandbox.clone(), clock);
        if let Some(stored) = stored.clone() {
            door = door.saving(Arc::new(move |world| stored.save(world)));
        }
        let connection = Connection {
            http_client: SharedHttpClient::new(door),
            sleep: SharedAsyncSleep::new(TokioSleep::new()),
            time: time.clone(),
            credentials: SharedCredentialsProvider::new(Credentials::new("AKIASANDBOX", "sandbox", None, None, "sandbox")),
            region,
            buckets,
            endpoint: None,
            app_name: None,
            seed,
            memo,
        };
        let identity = Identity { account: account_id.clone(), arn: format!("arn:aws:sts::{account_id}:assumed-role/deployer/bgx") };
        let accounts = Arc::new(Accounts::new(&connection));
        Ok(Host {
            account: accounts.in_region(&connection.region),
            accounts,
            time,
            driver,
            identity,
            target: Target::Sandbox,
            words: "SANDBOX: nothing real is touched".to_owned(),
            seed,
            sandbox: Some(sandbox),
            stored,
            connection,
        })
    }

    fn aws(config: &Config, options: &Options) -> Result<Host, HostError> {
        if let Some((name, _)) = std::env::vars().find(|(name, value)| name.starts_with("AWS_ENDPOINT_URL") && !value.is_empty()) {
            return Err(HostError::Refused(format!("`{name}` is set, so calls would not go to AWS; unset it, or use --target URL")));
        }
        let (region, account) = (&config.region, one_account(config)?);
        let driver = real_driver()?;
        let connection = driver.block_on(Connection::real(Some(region), None)).map_err(unknown_identity("AWS"))?;
        let host = Host::connect("AWS", connection, driver, (config, options))?;
        let account =
            account.ok_or_else(|| HostError::Refused("target `aws` needs `account = \"…\"` under [app] in bgx.toml".to_owned()))?;
        if host.identity.account != account {
            return Err(HostError::Refused(format!(
                "these credentials belong to account {}, bgx.toml names {account}",
                host.identity.account
            )));
        }
        let who = host.identity.arn.rsplit_once(':').map_or(host.identity.arn.as_str(), |(_, who)| who).to_owned();
        Ok(Host { words: format!("AWS {account}, {}, as {who}", regions(config).join(" and ")), ..host })
    }

    fn endpoint(config: &Config, url: &str, options: &Options) -> Result<Host, HostError> {
        one_account(config)?;
        let driver = real_driver()?;
        let connection = Connection::endpoint(url, &config.region);
        let host = Host::connect(&format!("`{url}`"), connection, driver, (config, options))?;
        Ok(Host { words: format!("SERVER {url}: not AWS"), target: Target::Endpoint(url.to_owned()), ..host })
    }

    fn connect(
        target: &str,
        mut connection: Connection,
        driver: Driver,
        (config, options): (&Config, &Options),
    ) -> Result<Host, HostError> {
        let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
        connection.seed = seed;
        connection.buckets.clone_from(&config.buckets);
        let accounts = Arc::new(Accounts::new(&connection));
        let account = accounts.in_region(&connection.region);
        let identity = driver.block_on(who_anywhere(&accounts, config)).map_err(unknown_identity(target))?;
        Ok(Host {
            account,
            accounts,
            time: SharedTimeSource::new(SystemTimeSource::new()),
            driver,
            identity,
            target: Target::Aws,
            words: String::new(),
            seed,
            sandbox: None,
            stored: None,
            connection,
        })
    }

    /// From now on every call names this run in its user agent, which CloudTrail keeps.
    pub fn for_run(self, run: &str) -> Host {
        let connection = Connection { app_name: Some(format!("bgx-{run}")), ..self.connection };
        let accounts = Arc::new(Accounts::new(&connection));
        Host { account: accounts.in_region(&connection.region), accounts, connection, ..self }
    }

    /// The account in the environment's region.
    pub fn account_of(&self, env: &Environment) -> Arc<Account> {
        self.accounts.in_region(&env.region)
    }

    pub fn is_sandbox(&self) -> bool {
        self.sandbox.is_some()
    }

    /// What the users of an environment saw since a moment; only a sandbox knows.
    pub fn users(&self, env: &str, since: jiff::Timestamp) -> Option<Users> {
        let mut sandbox = self.sandbox.as_ref()?.lock().expect("no panic while the sandbox was held");
        sandbox.world.advance(now(&self.time));
        Some(sandbox.world.users(env, Time(since.as_millisecond().unsigned_abs())))
    }

    /// Keeps the sandbox's world as it stands, its clock too, for the next command.
    pub fn save(&self) -> Result<(), HostError> {
        let (Some(stored), Some(sandbox)) = (&self.stored, &self.sandbox) else { return Ok(()) };
        let mut sandbox = sandbox.lock().expect("no panic while the sandbox was held");
        sandbox.world.advance(now(&self.time));
        stored.save(&sandbox.world).map_err(|source| HostError::Io { what: "could not save the sandbox".to_owned(), source })
    }
}

fn now(time: &SharedTimeSource) -> Time {
    let since = time.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Asked a few times within seconds: a hiccup passes, a wrong address does not.
async fn who_we_are(account: &Account) -> Result<Identity, AccountError> {
    for _ in 1..IDENTITY_TRIES {
        match account.identity_once().await {
            Err(error) if matches!(error.kind, Kind::Unavailable | Kind::Unreachable | Kind::Lost | Kind::Throttled) => {
                tokio::time::sleep(IDENTITY_PAUSE).await;
            }
            answer => return answer,
        }
    }
    account.identity_once().await
}

/// One set of credentials is one account everywhere, so one region is asked: the app's, and the others only where that one is down, so that
/// it stands in nobody's way.
async fn who_anywhere(accounts: &Accounts, config: &Config) -> Result<Identity, AccountError> {
    let mut answer = who_we_are(&accounts.in_region(&config.region)).await;
    for region in regions(config).into_iter().filter(|region| *region != config.region) {
        match &answer {
            Err(error) if matches!(error.kind, Kind::Unavailable | Kind::Unreachable | Kind::Lost) => {
                answer = who_we_are(&accounts.in_region(region)).await;
            }
            Ok(_) | Err(_) => break,
        }
    }
    answer
}

fn unknown_identity(target: &str) -> impl Fn(AccountError) -> HostError {
    let target = target.to_owned();
    move |source| HostError::Identity { target: target.clone(), source }
}

fn real_driver() -> Result<Driver, HostError> {
    Driver::real().map_err(|source| HostError::Io { what: "no runtime could be made".to_owned(), source })
}

/// The account of the file; environments share it.
fn one_account(config: &Config) -> Result<Option<String>, HostError> {
    let env = config.envs.values().next().ok_or_else(|| HostError::Refused("bgx.toml has no environment".to_owned()))?;
    Ok(env.account.clone())
}

/// Where the environments are, each region once.
fn regions(config: &Config) -> Vec<&str> {
    config.envs.values().map(|env| env.region.as_str()).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}
