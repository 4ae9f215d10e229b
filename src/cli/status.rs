//! `bgx status`: where each environment stands, where the listener really points, and what does not agree.

use super::failure::Failure;
use super::style::{Paint, clean};
use crate::config::{Config, Environment};
use crate::host::{self, Host, Options};
use crate::run::survey::{self, ColorSurvey, Survey};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

pub fn command() -> Command {
    Command::new("status")
        .about("Show where an environment stands, or all of them")
        .arg(Arg::new("env").long("env").short('e').value_name("ENV").help("environment of bgx.toml; all when left away"))
        .arg(Arg::new("detailed").long("detailed").action(ArgAction::SetTrue).help("also each instance"))
        .arg(Arg::new("target").long("target").value_name("TARGET").help("sandbox, aws, or the URL of a server; wins over bgx.toml"))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("as JSON on standard output"))
}

pub fn run(matches: &ArgMatches, config: &Config) -> Result<i32, Failure> {
    let envs: Vec<&Environment> = match super::run::text(matches, "env") {
        Some(list) => config.env_list(list)?,
        None => config.envs.values().collect(),
    };
    let options = super::run::options(matches)?;
    let mut by_target: BTreeMap<String, Vec<&Environment>> = BTreeMap::new();
    for env in envs {
        by_target.entry(format!("{:?}", host::target_of(config, env, &options).0)).or_default().push(env);
    }
    let table = text_all(matches);
    let several = config.envs.values().any(|env| env.region != config.region);
    let name = |env: &str, region: &str| if several { format!("{env:15} {region:14}") } else { format!("{env:15}") };
    let mut header = table.then(|| row(&name("ENVIRONMENT", "REGION"), "ACTIVE", ["DESIRED", "HEALTHY"], "VERSION", "ROLLBACK"));
    let mut failed = false;
    let mut documents = Vec::new();
    for envs in by_target.values() {
        let host = Host::open(config, &host::target_of(config, envs[0], &options).0, &Options { seed: None, ..options.clone() })?;
        let surveys = host.driver.block_on(survey::survey_all(&host.accounts, envs));
        if let Some(header) = header.take() {
            print(&Paint::stdout().bold(&header));
        }
        for (env, survey) in envs.iter().zip(surveys) {
            failed |= survey.is_err();
            match (matches.get_flag("json"), survey) {
                (true, Ok(survey)) => documents.push(serde_json::json!(survey)),
                (true, Err(error)) => documents.push(serde_json::json!({ "env": env.name, "error": error.to_string() })),
                (false, Ok(survey)) if table => print(&line(&name(&env.name, &env.region), &survey, Paint::stdout())),
                (false, Ok(survey)) => {
                    let place = if several { format!(" in {}", env.region) } else { String::new() };
                    print(&page(&place, &survey, matches.get_flag("detailed"), Paint::stdout()));
                }
                (false, Err(error)) => {
                    print(&format!("{} {}\n", name(&env.name, &env.region), Paint::stdout().bad(&format!("could not be read: {error}"))))
                }
            }
        }
        if !matches.get_flag("json") {
            print(&format!("{}\n", host.words));
        }
    }
    if matches.get_flag("json") {
        let all = if documents.len() == 1 { documents.remove(0) } else { serde_json::json!(documents) };
        print(&format!("{all}\n"));
    }
    Ok(if failed { 3 } else { 0 })
}

/// All environments fit a screen as a table; `--detailed` or `--env` shows pages.
fn text_all(matches: &ArgMatches) -> bool {
    super::run::text(matches, "env").is_none() && !matches.get_flag("detailed") && !matches.get_flag("json")
}

fn row(name: &str, active: &str, [desired, healthy]: [&str; 2], version: &str, rollback: &str) -> String {
    format!("{name} {active:7} {desired:>7} {healthy:>7}  {version:26} {rollback}\n")
}

/// One environment as a line of the table, and below it what disagrees.
fn line(name: &str, survey: &Survey, paint: Paint) -> String {
    let Some(live) = survey.colors.iter().find(|c| c.live) else {
        return format!("{name} {}\n", paint.bad(&survey.traffic));
    };
    let healthy = live.targets.get("healthy").copied().unwrap_or(0);
    let numbers = [live.desired.to_string(), format!("{healthy}/{}", live.targets.values().sum::<usize>())];
    let version = live.version.as_deref().unwrap_or("not recorded");
    let mut out = row(name, &live.color, [&numbers[0], &numbers[1]], version, &survey.rollback);
    for disagreement in &survey.disagreements {
        let _ = writeln!(out, "{:15} {} {}", "", paint.bad("DISAGREES:"), disagreement.text);
    }
    out
}

fn print(text: &str) {
    let _ = std::io::stdout().write_all(clean(text).as_bytes());
}

/// One environment as text.
pub fn page(place: &str, survey: &Survey, detailed: bool, paint: Paint) -> String {
    let mut out = String::new();
    let idle = survey.colors.iter().find(|c| !c.live && survey.live.is_some());
    let _ = writeln!(out, "{}", paint.bold(&format!("Status of {}{place}", survey.env)));
    let _ = writeln!(out, "  Active color:   {}", survey.live.as_deref().unwrap_or(&survey.traffic));
    let _ = writeln!(out, "  Inactive color: {}", idle.map_or("unknown", |c| c.color.as_str()));
    for route in &survey.routes {
        let weights = route.weights.iter().map(|(name, weight)| format!("{name} {weight}")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(out, "  Listener:       {} → {weights}", route.route);
    }
    let _ = writeln!(out, "  SSM says:       {}", survey.recorded_color.as_deref().unwrap_or("nothing"));
    for color in &survey.colors {
        out.push_str(&color_text(color, detailed, paint));
    }
    let _ = writeln!(out, "  Rollback: {}", survey.rollback);
    if survey.disagreements.is_empty() {
        let _ = writeln!(out, "  Listener, SSM, version key and instances agree.");
    }
    for disagreement in &survey.disagreements {
        let _ = writeln!(out, "  {} {}", paint.bad("DISAGREES:"), disagreement.text);
    }
    out.push('\n');
    out
}

fn color_text(color: &ColorSurvey, detailed: bool, paint: Paint) -> String {
    let mut out = String::new();
    let name = if color.live { paint.bold(&format!("{} (ACTIVE)", color.color)) } else { color.color.clone() };
    let healthy = color.targets.get("healthy").copied().unwrap_or(0);
    let registered: usize = color.targets.values().sum();
    let others: Vec<String> =
        color.targets.iter().filter(|(state, _)| *state != "healthy").map(|(state, count)| format!("{count} {state}")).collect();
    let others = if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
    let http = match color.http {
        Some((ok, all)) => format!("{ok}/{all} healthy"),
        None => "instances cannot be reached from here".to_owned(),
    };
    let _ = writeln!(out, "  {name}:");
    let _ = writeln!(out, "    ASG Name:        {}", color.asg);
    let _ = writeln!(out, "    Desired/Min/Max: {}/{}/{}", color.desired, color.min, color.max);
    let _ = writeln!(out, "    ASG Health:      {}/{} healthy", color.asg_healthy, color.asg_total);
    let _ = writeln!(out, "    Target Group:    {healthy}/{registered} healthy{others} in {}", color.target_group);
    let _ = writeln!(out, "    HTTP Health:     {http}");
    let _ = writeln!(out, "    Version:         {}", color.version.as_deref().unwrap_or("not recorded"));
    let _ = writeln!(out, "    Next boot:       {}", color.next_boot.as_deref().unwrap_or("no version key"));
    if !color.suspended.is_empty() {
        let _ = writeln!(out, "    Suspended:       {}", color.suspended.join(", "));
    }
    for instance in color.instances.iter().filter(|_| detailed) {
        let version = instance.version.as_deref().unwrap_or("version unknown");
        let http = instance.http.map_or("no answer".to_owned(), |status| status.to_string());
        let address = instance.address.as_deref().unwrap_or("no address");
        let _ = writeln!(
            out,
            "      {}  {}  {}  {}  {address}  HTTP {http}  target {}  {version}",
            instance.id, instance.lifecycle, instance.instance_type, instance.zone, instance.target
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_that_nobody_can_reach_are_not_called_unhealthy() {
        let survey = |http| ColorSurvey {
            color: "blue".to_owned(),
            live: true,
            asg: "beta-blue".to_owned(),
            desired: 2,
            min: 0,
            max: 4,
            suspended: Vec::new(),
            asg_healthy: 2,
            asg_total: 2,
            target_group: "Beta-Blue".to_owned(),
            targets: std::collections::BTreeMap::from([("healthy".to_owned(), 2)]),
            http,
            version: None,
            next_boot: None,
            instances: Vec::new(),
        };
        let line = |http| color_text(&survey(http), false, Paint::stdout()).lines().find(|line| line.contains("HTTP")).unwrap().to_owned();
        assert_eq!(line(None), "    HTTP Health:     instances cannot be reached from here");
        assert_eq!(line(Some((1, 2))), "    HTTP Health:     1/2 healthy");
    }
}
