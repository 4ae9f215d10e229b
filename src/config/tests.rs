//! Tests of what `bgx.toml` may say.

use super::*;

const SMALL: &str = r#"
    [app]
    load_balancer = "lb"
    bucket = "b"
    parameters = "/app/{env}"
    asg = "{env}-{color}"
    target_group = "{Env}-{Color}"
    version_key = "version/{env}"
    [env.beta]
    route = { path = "/beta*" }
"#;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, PathBuf::from("/p"))
}

#[test]
fn names_are_rendered_for_each_color() {
    let config = parse(SMALL).unwrap();
    let beta = config.env("beta").unwrap();
    assert_eq!(beta.colors[1].asg, "beta-green");
    assert_eq!(beta.colors[0].target_group, "Beta-Blue");
    assert_eq!(beta.active_color_parameter(), "/app/beta/active-color");
    assert!(beta.shares_version_key());
    assert_eq!(beta.routes, vec![Route { listener: 443, matches: Match::Path("/beta*".to_owned()), service: 0 }]);
}

#[test]
fn locks_lie_in_the_apps_bucket_unless_state_says_otherwise() {
    let beta = parse(SMALL).unwrap().envs["beta"].clone();
    assert_eq!((beta.state.bucket.as_str(), beta.lock_key().as_str()), ("b", "bgx/locks/beta.json"));
    let text = format!("{SMALL}\n[state]\nbucket = \"ops\"\nprefix = \"deploys/\"\n");
    let beta = parse(&text).unwrap().envs["beta"].clone();
    assert_eq!((beta.state.bucket.as_str(), beta.lock_key().as_str()), ("ops", "deploys/locks/beta.json"));
    assert_eq!(beta.runs_key(), "deploys/runs/beta/");
    let error = parse(&format!("{SMALL}\n[state]\nprefix = \"/x\"\n")).unwrap_err();
    assert!(error.contains("prefix"), "{error}");
}

#[test]
fn journals_are_in_s3_on_aws_and_in_files_elsewhere_unless_state_says_otherwise() {
    let server = Target::Endpoint("http://127.0.0.1:5000".to_owned());
    let wheres = |text: &str| {
        let beta = parse(text).unwrap().envs["beta"].clone();
        [Target::Aws, Target::Sandbox, server.clone()].map(|target| beta.journal_in(&target))
    };
    assert_eq!(wheres(SMALL), [JournalIn::S3, JournalIn::File, JournalIn::File]);
    assert_eq!(wheres(&format!("{SMALL}\n[state]\njournal = \"s3\"\n")), [JournalIn::S3; 3]);
    assert_eq!(wheres(&format!("{SMALL}\n[state]\njournal = \"file\"\n")), [JournalIn::File; 3]);
    assert!(parse(&format!("{SMALL}\n[state]\njournal = \"disk\"\n")).is_err());
}

#[test]
fn an_unknown_key_is_an_error_with_its_place() {
    let text = SMALL.replace("bucket", "buckett");
    let error = parse(&text).unwrap_err();
    assert!(error.contains("buckett") && error.contains("line 4"), "{error}");
}

#[test]
fn an_unknown_environment_is_met_with_a_suggestion() {
    let config = parse(SMALL).unwrap();
    assert_eq!(config.env("bata").unwrap_err().to_string(), "there is no environment `bata` in bgx.toml; did you mean `beta`?");
}

#[test]
fn an_environment_may_restart_its_application_in_its_own_way() {
    let text = SMALL.replace("[env.beta]", "restart = { shell = \"sudo r\" }\n[env.beta]");
    assert_eq!(parse(&text).unwrap().envs["beta"].restart, Some(Restart::Shell("sudo r".to_owned())));
    let own = format!("{text}\nrestart = {{ powershell = \"Restart-Service r\" }}\n");
    let restart = parse(&own).unwrap().envs["beta"].restart.clone().unwrap();
    assert_eq!((restart.document(), restart.command()), ("AWS-RunPowerShellScript", "Restart-Service r"));
    assert!(parse(&format!("{text}\nrestart = {{ bash = \"r\" }}\n")).unwrap_err().contains("bash"));
}

#[test]
fn objects_are_written_with_a_canned_acl_or_with_none() {
    assert_eq!(parse(SMALL).unwrap().envs["beta"].object_acl, None);
    let acl = |word: &str| SMALL.replace("[env.beta]", &format!("object_acl = \"{word}\"\n[env.beta]"));
    assert_eq!(parse(&acl("public-read")).unwrap().envs["beta"].object_acl.as_deref(), Some("public-read"));
    assert!(parse(&acl("public")).unwrap_err().contains("is not one of private, public-read"));
}

#[test]
fn two_environments_may_not_share_a_route() {
    let text = format!("{SMALL}\n[env.gamma]\nroute = {{ path = \"/beta*\" }}\n");
    assert!(parse(&text).unwrap_err().contains("same route: https:443 /beta*"));
}

#[test]
fn services_have_a_target_group_each_and_routes_name_theirs() {
    let text = SMALL.replace("\"{Env}-{Color}\"", "{ web = \"{Env}-{Color}\", api = \"{env}-api-{color}\" }");
    let shop = |routes: &str| parse(&format!("{}\n[env.shop]\n{routes}\n", text.split("[env.beta]").next().unwrap_or_default()));
    let routes = "routes = [{ host = \"a.example\", service = \"web\" }, { host = \"b.example\", service = \"api\" }]";
    let env = shop(routes).unwrap().envs["shop"].clone();
    assert_eq!(env.services, ["web", "api"], "the first route names the main service");
    assert_eq!(env.colors[1].target_groups().collect::<Vec<_>>(), ["Shop-Green", "shop-api-green"]);
    assert_eq!(env.routes.iter().map(|route| route.service).collect::<Vec<_>>(), [0, 1]);
    for (odd, part) in [
        ("route = { host = \"a.example\" }", "names no service; there are api, web"),
        ("route = { host = \"a.example\", service = \"wbe\" }", "`wbe` is not a service; there are api, web"),
        ("route = { host = \"a.example\", service = \"web\" }", "no route leads to service `api`"),
    ] {
        let error = shop(odd).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    let one = SMALL.replace("\"/beta*\" }", "\"/beta*\", service = \"web\" }");
    assert!(parse(&one).unwrap_err().contains("`target_group` names no services"), "{one}");
}

#[test]
fn alarms_and_errors_of_builds_are_checked() {
    let beta =
        parse(&format!("{SMALL}alarms = [\"a\"]\n[env.beta.sandbox]\nbuild_errors = {{ \"7\" = 0.5 }}\n")).unwrap().envs["beta"].clone();
    assert_eq!((beta.alarms, beta.sandbox.build_errors), (vec!["a".to_owned()], BTreeMap::from([("7".to_owned(), 0.5)])));
    for (odd, part) in [
        ("alarms = [\"\"]", "empty name"),
        ("sandbox = { build_errors = { \"7\" = 2.0 } }", "from 0 to 1"),
        ("sandbox = { build_errors = { x = 0.1 } }", "no build number"),
    ] {
        let error = parse(&format!("{SMALL}{odd}\n")).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn durations_have_a_unit_and_are_not_negative() {
    assert_eq!(duration("1h30m").unwrap(), Duration::from_secs(5400));
    assert_eq!(duration("500ms").unwrap(), Duration::from_millis(500));
    for bad in ["", "5", "-5m", "5 parsecs", "m5", "PT5M"] {
        assert!(duration(bad).is_err(), "{bad}");
    }
    assert!(range("90s..45s").is_err());
}
