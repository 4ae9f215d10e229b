//! `bgx new NAME`: the folder of a team's project, with a playbook, its test and a workflow that checks both.

use super::failure::Failure;
use super::run::text;
use clap::{Arg, ArgMatches, Command};
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Path in the new folder, and text, in which the project's name stands for `NAME`.
const FILES: [(&str, &str); 5] = [
    ("bgx.toml", include_str!("new/bgx.toml")),
    ("playbooks/deploy.rhai", include_str!("new/deploy.rhai")),
    ("playbooks/deploy_test.rhai", include_str!("new/deploy_test.rhai")),
    (".github/workflows/bgx.yml", include_str!("new/bgx.yml")),
    (".gitignore", include_str!("new/gitignore")),
];
/// A target group has at most 32 characters (AWS page "CreateTargetGroup"), and `-staging-green` is 14 of them.
const NAME_CHARS_MAX: usize = 18;

pub fn command() -> Command {
    Command::new("new")
        .about("Make the folder of a new project: bgx.toml, a playbook, its test, a GitHub workflow")
        .arg(Arg::new("name").value_name("NAME").required(true).help("of the folder, and of what bgx.toml names in AWS"))
}

pub fn run(matches: &ArgMatches) -> Result<i32, Failure> {
    let name = text(matches, "name").unwrap_or_default();
    if !is_name(name) {
        let what = format!("`{name}` is no name for a project: load balancer, groups and bucket are named after it");
        let hint = format!("1 to {NAME_CHARS_MAX} of a-z, 0-9 and `-`, a letter first, no `-` at the end");
        return Err(Failure::usage(what).hinted(hint));
    }
    let folder = Path::new(name);
    std::fs::create_dir(folder).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::usage(format!("`{name}` is there already; nothing was written")),
        _ => Failure::usage(format!("could not make `{name}`: {error}")),
    })?;
    if let Err(error) = write(folder, name) {
        // Half a project would be taken for a whole one; the folder is ours, made a moment ago.
        let _ = std::fs::remove_dir_all(folder);
        return Err(Failure::usage(format!("could not write into `{name}`: {error}")));
    }
    let mut out = std::io::stdout();
    FILES.iter().for_each(|(path, _)| drop(writeln!(out, "{name}/{path}")));
    let _ = writeln!(out, "\nNext: cd {name} && bgx test && bgx run deploy --env staging");
    Ok(0)
}

/// What AWS takes in the names of load balancers, target groups and buckets alike.
fn is_name(name: &str) -> bool {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    plain && name.len() <= NAME_CHARS_MAX && name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-')
}

fn write(folder: &Path, name: &str) -> std::io::Result<()> {
    for (path, text) in FILES {
        let path = folder.join(path);
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, text.replace("NAME", name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_aws_takes_everywhere() {
        for good in ["x", "shop", "shop-2", "abcdefghijklmnopqr"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "Shop", "2shop", "shop-", "-shop", "a_b", "a/b", "..", "abcdefghijklmnopqrs", "schön"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
