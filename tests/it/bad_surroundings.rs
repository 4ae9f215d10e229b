//! A configuration, a server, an object or a saved sandbox that is not what it should be: told, and nothing touched.

use crate::bad_input::refused;
use crate::program::{empty, exit_code, project};
use crate::support::{Lab, lab, owned};
use bgx::sandbox::world::World;
use insta::assert_snapshot;
use std::collections::BTreeMap;

/// Any command in a project with this change in `bgx.toml`.
fn config(from: &str, to: &str) -> String {
    let project = project();
    project.edit_config(from, to);
    let text = project.bgx(&["run", "deploy", "--env", "beta"]);
    assert!(!project.path().join(".bgx").exists(), "{text}");
    text
}

#[test]
fn a_folder_without_configuration_says_where_it_looked() {
    let project = empty();
    let text = project.bgx(&["status"]);
    assert_snapshot!(text, @"
    ------- stderr -------
    error: no bgx.toml in `$PROJECT` or any folder above it
      hint: go to the folder of your project, or write a bgx.toml there
    [exit status: 2]
    ");
}

#[test]
fn a_configuration_that_does_not_parse_shows_the_line() {
    assert_snapshot!(config("[app]", "[app"), @"
    ------- stderr -------
    error: `$PROJECT/bgx.toml` is not a valid configuration
    TOML parse error at line 5, column 5
      |
    5 | [app
      |     ^
    unclosed table, expected `]`
    [exit status: 2]
    ");
    assert_snapshot!(config("load_balancer = ", "load_balancr = "), @r#"
    ------- stderr -------
    error: `$PROJECT/bgx.toml` is not a valid configuration
    TOML parse error at line 6, column 1
      |
    6 | load_balancr = "GccExplorerApp"
      | ^^^^^^^^^^^^
    unknown field `load_balancr`, expected one of `load_balancer`, `bucket`, `parameters`, `asg`, `target_group`, `version_key`, `builds`, `discovery`, `version_probe`, `object_acl`, `hooks`, `build_lock`, `message`, `restart`, `colors`, `repository`, `account`, `region`
    [exit status: 2]
    "#);
    assert_snapshot!(config("boot = \"15m\"", "boot = \"15 parsecs\""), @r#"
    ------- stderr -------
    error: `$PROJECT/bgx.toml` is not a valid configuration
    [env.prod]: `15 parsecs` is not a duration; write it as "90s", "5m" or "1h30m"
    [exit status: 2]
    "#);
}

#[test]
fn a_route_belongs_to_one_environment() {
    assert_snapshot!(config("route = { path = \"/staging*\" }", "route = { path = \"/beta*\" }"), @"
    ------- stderr -------
    error: `$PROJECT/bgx.toml` is not a valid configuration
    `beta` and `staging` have the same route: https:443 /beta*
    [exit status: 2]
    ");
}

#[test]
fn a_configuration_that_is_not_utf8_is_refused() {
    let project = empty().file("bgx.toml", b"target = \"\xff\"\n");
    assert_snapshot!(project.bgx(&["status"]), @"
    ------- stderr -------
    error: `$PROJECT/bgx.toml` is not a valid configuration
    byte 10 is not UTF-8
    [exit status: 2]
    ");
}

#[test]
fn the_sandbox_is_held_by_one_command_at_a_time() {
    let project = project();
    let mut server = project.start(&["sandbox", "serve", "--port", "0"]);
    let mut line = [0_u8; 8];
    std::io::Read::read_exact(server.stdout.as_mut().expect("its output is a pipe"), &mut line).expect("it says where it serves");
    let text = project.bgx(&["status"]);
    server.kill().expect("the server runs");
    server.wait().expect("the server ends");
    assert_snapshot!(text, @"
    ------- stderr -------
    error: another bgx is using the sandbox in `$PROJECT/.bgx/sandbox`; wait for it to end
    [exit status: 2]
    ");
    assert_eq!(exit_code(&project.bgx(&["status"])), Some(0));
}

#[test]
fn a_world_that_does_not_parse_is_not_thrown_away() {
    let project = project().file(".bgx/sandbox/world.json", "{ \"now\": 1");
    assert_snapshot!(project.bgx(&["run", "deploy", "--env", "beta"]), @"
    ------- stderr -------
    error: `$PROJECT/.bgx/sandbox/world.json` does not hold a world (EOF while parsing an object at line 1 column 10); `bgx sandbox reset` makes a new one
    [exit status: 2]
    ");
    assert_eq!(project.read(".bgx/sandbox/world.json").as_deref(), Some("{ \"now\": 1"));
    assert_snapshot!(project.bgx(&["sandbox", "reset"]), @"
    the sandbox is new
    [exit status: 0]
    ");
}

#[test]
fn a_server_that_nobody_listens_on_is_named() {
    // Port 1 of the loopback is nobody's.
    let text = refused(&project(), &["run", "deploy", "--env", "beta", "--target", "http://127.0.0.1:1"], 2);
    assert_snapshot!(text, @"
    ------- stderr -------
    error: `http://127.0.0.1:1` did not say who we are
      caused by: sts:GetCallerIdentity on `caller`: io error: client error (Connect): tcp connect error: Connection refused (os error 111)
    [exit status: 2]
    ");
}

#[test]
fn a_server_that_answers_with_a_page_is_not_believed() {
    let (address, server) = page_server();
    let target = format!("http://{address}");
    let texts = [vec!["run", "deploy", "--env", "beta"], vec!["status", "--env", "beta"]].map(|args| {
        let args: Vec<&str> = args.into_iter().chain(["--target", &target]).collect();
        refused(&project(), &args, 2).replace(&address, "ADDRESS")
    });
    assert_eq!(texts[0], texts[1]);
    assert_snapshot!(texts[0], @"
    ------- stderr -------
    error: `http://ADDRESS` did not say who we are
      caused by: sts:GetCallerIdentity on `caller`: HTTP status 200 with a body that is no reply of AWS
    [exit status: 2]
    ");
    drop(server);
}

/// Answers everything with an HTML page and 200, as a captive portal does, until the listener's thread ends with the test.
fn page_server() -> (String, std::thread::JoinHandle<()>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound port").to_string();
    let serve = move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0_u8; 16384];
            let _ = std::io::Read::read(&mut stream, &mut request);
            let page = "<html><body>Please log in</body></html>";
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", page.len());
            let _ = std::io::Write::write_all(&mut stream, (head + page).as_bytes());
        }
    };
    (address, std::thread::spawn(serve))
}

#[test]
fn an_object_that_is_not_utf8_is_never_taken_for_a_version() {
    let broken = |text: &'static str, code| {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let spoil = |world: &mut World| {
            let objects = world.buckets.get_mut("compiler-explorer").expect("the bucket of bgx.toml");
            objects.get_mut("version/beta").expect("the version key of beta").body = b"dist\xff".to_vec();
        };
        let lab = lab("beta", "playbooks/deploy.rhai").param("version", "latest").answer("drift", "go").prepare(spoil);
        let lab = if text.is_empty() { lab } else { Lab { params: BTreeMap::new(), ..lab.text(folder.path(), text) } };
        let ran = lab.run();
        assert_eq!((ran.ended.outcome.code(), owned(&ran.after, "beta")), (code, owned(&ran.before, "beta")), "{:?}", ran.ended);
        ran.ended.why.unwrap_or_default()
    };
    assert_snapshot!(broken("", 3), @"`version/beta` is not UTF-8 text");
    assert_snapshot!(broken("//! bgx: 1\n//! Given.\nsay(object(\"version/beta\"));\n", 3), @"the object `version/beta` is not UTF-8: byte 5 is wrong");
}
