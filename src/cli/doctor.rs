//! `bgx doctor`: whether bgx can work here: who we are, what may be read, and what of each environment is not as it must be.

use super::failure::Failure;
use super::style::{Paint, clean};
use crate::config::{Config, Environment};
use crate::host::{self, Host, Options};
use crate::run::doctor::{self, Finding, Level};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

/// Something must be corrected.
const FAILED: i32 = 3;

pub fn command() -> Command {
    Command::new("doctor")
        .about("Look, by reads alone, whether environments are set up as bgx needs them; exit 3 if not")
        .arg(
            Arg::new("env")
                .long("env")
                .short('e')
                .value_name("ENV")
                .help("environment of bgx.toml; all when left away, and of them what is wrong"),
        )
        .arg(Arg::new("target").long("target").value_name("TARGET").help("sandbox, aws, or the URL of a server; wins over bgx.toml"))
        .args(super::conformance::args())
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("as JSON on standard output"))
}

pub fn run(matches: &ArgMatches, config: &Config) -> Result<i32, Failure> {
    if matches.contains_id("run") {
        return super::conformance::run(matches, config);
    }
    let one = super::run::text(matches, "env");
    let envs: Vec<&Environment> = match one {
        Some(name) => vec![config.env(name)?],
        None => config.envs.values().collect(),
    };
    let options = super::run::options(matches)?;
    let mut by_target: BTreeMap<String, Vec<&Environment>> = BTreeMap::new();
    for env in envs {
        by_target.entry(host::target_of(config, env, &options).0.to_string()).or_default().push(env);
    }
    let (mut failed, mut documents) = (false, Vec::new());
    for envs in by_target.values() {
        let host = Host::open(config, &host::target_of(config, envs[0], &options).0, &Options { seed: None, ..options.clone() })?;
        for env in envs {
            let mut findings = vec![identity(&host, env, &config.region)];
            findings.extend(host.driver.block_on(doctor::examine(&host.account_of(env), env)));
            failed |= findings.iter().any(|finding| finding.level == Level::Fail);
            match matches.get_flag("json") {
                true => documents.push(document(env, &findings)),
                false => print(&page(env, &findings, one.is_some(), Paint::stdout())),
            }
        }
        if !matches.get_flag("json") {
            print(&format!("{}\n", host.words));
        }
    }
    if matches.get_flag("json") {
        print(&format!("{}\n", serde_json::json!(documents)));
    }
    Ok(if failed { FAILED } else { 0 })
}

/// Credentials of another account were refused when the target was opened; another region than the app's may not accept them at all.
fn identity(host: &Host, env: &Environment, home: &str) -> Finding {
    if env.region != home {
        let identity = match host.driver.block_on(host.account_of(env).identity()) {
            Ok(identity) => identity,
            Err(error) => {
                let text = format!("{} did not say who we are: {error}", env.region);
                return Finding::fail("identity", text, "enable the region for the account, or correct `region` in bgx.toml");
            }
        };
        if identity.account != host.identity.account {
            let text = format!("account {} in {}, {} in {home}", identity.account, env.region, host.identity.account);
            return Finding::fail("identity", text, "use credentials that are of one account in all regions");
        }
    }
    let who = host.identity.arn.rsplit_once(':').map_or(host.identity.arn.as_str(), |(_, who)| who);
    Finding::ok("identity", format!("account {}, region {}, as {who}", host.identity.account, env.region))
}

fn document(env: &Environment, findings: &[Finding]) -> serde_json::Value {
    let terraform: BTreeMap<&str, &str> = doctor::ignore_changes(env).into_iter().collect();
    serde_json::json!({ "env": env.name, "findings": findings, "ignore_changes": terraform })
}

fn page(env: &Environment, findings: &[Finding], whole: bool, paint: Paint) -> String {
    let count = |level: Level| findings.iter().filter(|finding| finding.level == level).count();
    let (ok, warn, fail) = (count(Level::Ok), count(Level::Warn), count(Level::Fail));
    let mut out = format!("{}: {ok} ok, {warn} warn, {fail} fail\n", paint.bold(&env.name));
    for finding in findings.iter().filter(|finding| whole || finding.level != Level::Ok) {
        let word = match finding.level {
            Level::Ok => paint.good("ok  "),
            Level::Warn => paint.bold("warn"),
            Level::Fail => paint.bad("FAIL"),
        };
        let _ = writeln!(out, "  {word} {:14} {}", finding.about, finding.text);
        if let Some(act) = &finding.act {
            let _ = writeln!(out, "       {:14} do: {act}", "");
        }
    }
    if whole {
        let _ = writeln!(out, "  Writes are not tried: docs/adopting.md, \"Permissions\", lists them.");
        let _ = writeln!(out, "  Terraform must leave alone, with lifecycle {{ ignore_changes = … }}:");
        for (resource, fields) in doctor::ignore_changes(env) {
            let _ = writeln!(out, "    {resource:22} {fields}");
        }
    }
    out
}

fn print(text: &str) {
    let _ = std::io::stdout().write_all(clean(text).as_bytes());
}
