//! What stands before a deploy: the name of a guarded environment, and a colour that takes part in the load balancer.

use crate::process::Project;
use crate::support::{lab, owned, root};
use bgx::run::event::Outcome;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);

#[test]
fn production_is_written_only_after_its_name_was_typed() {
    let server = Project::new();
    let mut serving = server.bgx(&["sandbox", "serve", "--port", "0"]);
    let url = serving.line("SANDBOX on ", LIMIT).split_whitespace().nth(2).expect("the line holds the address").to_owned();
    let project = Project::new();
    let text = std::fs::read_to_string(root().join("bgx.toml")).expect("the repository has a bgx.toml");
    project.write("bgx.toml", &text.replace("target = \"sandbox\"", &format!("target = \"{url}\"")));
    let status = || project.bgx(&["status", "--env", "prod"]).end(LIMIT).text;
    let before = status();

    for (more, told) in [(&[][..], "`prod` is guarded; confirm with --confirm prod"), (&["--confirm", "prdo"], "`prdo` is not `prod`")] {
        let said =
            project.bgx(&[&["run", "deploy", "--env", "prod", "--target", &url, "--version", "latest", "--yes"], more].concat()).end(LIMIT);
        assert_eq!(said.code, Some(7), "{}", said.text);
        assert!(said.text.contains(told), "{}", said.text);
    }
    assert_eq!(status(), before);
}

#[test]
fn a_colour_that_is_not_attached_to_its_target_group_is_found_before_anything_is_done() {
    let ran = lab("beta", "playbooks/deploy.rhai")
        .param("version", "latest")
        .prepare(|world| world.groups.get_mut("beta-green").expect("the idle colour").target_groups.clear())
        .run();
    assert_eq!(owned(&ran.after, "beta"), owned(&ran.before, "beta"));
    assert_ne!(ran.ended.outcome, Outcome::Done);
    let why = ran.ended.why.unwrap_or_default();
    assert!(why.contains("`beta-green` does not register its instances with `Beta-Green`"), "{why}");
}
