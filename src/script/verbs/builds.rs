//! Verbs about builds: which there are, what a short name means, and whether new ones may be taken at all.

use super::{Answer, number, perform, text, with};
use crate::account::{Action, ObjectInfo};
use crate::run::{Run, RunError};
use crate::script::verb::{Effect, Kind, Opt, Param, Verb};
use crate::script::{Call, Raised, Record};
use rhai::{Array, Dynamic};
use serde::{Deserialize, Serialize};

pub static VERBS: &[Verb] = &[
    Verb {
        name: "resolve_version",
        params: &[Param::required("version", Kind::Any, "\"gh-123\", \"123\", \"latest\", or the full text of a version key")],
        options: &[],
        returns: "the text to write into the version key",
        summary: "Finds the build that a short name means; it must exist.",
        errors: &["not_found", "denied"],
        example: "resolve_version(\"latest\")",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: resolve_version,
    },
    Verb {
        name: "builds",
        params: &[],
        options: &[Opt::new("branch", Kind::Text, "only those of this branch")],
        returns: "a list with key, branch, number, size (bytes), hash (S3's ETag); the newest number first",
        summary: "The builds in the bucket, as one list of it tells: a call for each 1000 objects.",
        errors: &["denied", "failed"],
        example: "builds(#{ branch: \"main\" }).len()",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: builds,
    },
    Verb {
        name: "discovery",
        params: &[Param::required("build", Kind::Text, "what resolve_version gave")],
        options: &[],
        returns: "needed: bgx.toml lists discovery_from; version, such as gh-123; found; from: the listed environments that have it",
        summary: "Whether the discovery file of a build is there for this environment, or for one that it may be copied from.",
        errors: &["denied", "failed"],
        example: "discovery(resolve_version(\"latest\")).found",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: discovery,
    },
    Verb {
        name: "build_lock",
        params: &[],
        options: &[],
        returns: "why builds are locked, or () where they are not",
        summary: "Reads the object that keeps new builds away from the environment.",
        errors: &["denied"],
        example: "build_lock()",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: |call| with(call, async |run| run.read("build_lock", "", async |run| locked(run).await).await).map(text),
    },
    Verb {
        name: "set_build_lock",
        params: &[Param::required("why", Kind::Any, "a text, which locks; () unlocks")],
        options: &[],
        returns: "true if something was changed",
        summary: "Keeps new builds away from the environment, or lets them come again; a rollback is never kept away.",
        errors: &["refused", "denied"],
        example: "set_build_lock(\"41001 loses sessions\")",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: set_build_lock,
    },
];

fn resolve_version(call: &Call) -> Answer {
    let given = call.args[0].clone().try_cast::<rhai::ImmutableString>();
    let given = given.ok_or_else(|| Raised::failed("no version is known for the live colour").hint("give one with --version"))?;
    with(call, async |run| run.read("resolve_version", &given, async |run| find_build(run, &given).await).await).map(Dynamic::from)
}

async fn find_build(run: &Run, given: &str) -> Result<String, RunError> {
    let Some(pattern) = run.env.builds.clone() else { return Ok(given.to_owned()) };
    let bucket = &run.env.bucket;
    if Named::by(&pattern, given).is_some() {
        return match run.account.object_exists(bucket, given).await? {
            true => Ok(given.to_owned()),
            false => Err(RunError::failed(format!("there is no build `{given}` in `{bucket}`"))),
        };
    }
    let prefix = pattern.split('{').next().unwrap_or_default();
    let objects = run.account.list_objects(bucket, prefix).await?;
    let builds = objects.iter().filter_map(|o| Some((Named::by(&pattern, &o.key)?.number, o.key.as_str())));
    let wanted = given.trim_start_matches("gh-");
    let found: Vec<(u64, &str)> = match (given, wanted.parse::<u64>()) {
        ("latest", _) => builds.max().into_iter().collect(),
        (_, Ok(number)) => builds.filter(|(n, _)| *n == number).collect(),
        (_, Err(_)) => return Err(RunError::failed(format!("`{given}` is not a build; write gh-123, 123 or latest"))),
    };
    match found.as_slice() {
        [(_, key)] => Ok((*key).to_owned()),
        [] => Err(RunError::failed(format!("there is no build `{given}` under `{prefix}`"))),
        many => {
            let keys = many.iter().map(|(_, key)| *key).collect::<Vec<_>>().join(", ");
            Err(RunError::failed(format!("`{given}` is ambiguous: {keys}; give the whole key")))
        }
    }
}

/// What the key of a build says of it, by the pattern `…{branch}…{number}…`.
struct Named<'a> {
    branch: &'a str,
    number: u64,
}

impl Named<'_> {
    fn by<'a>(pattern: &str, key: &'a str) -> Option<Named<'a>> {
        let (head, rest) = pattern.split_once("{branch}").unwrap_or(("", pattern));
        let (middle, tail) = rest.split_once("{number}")?;
        let inner = key.strip_prefix(head)?.strip_suffix(tail)?;
        // A branch may have slashes of its own.
        let (branch, number) = if pattern.contains("{branch}") { inner.rsplit_once(middle)? } else { ("", inner.strip_prefix(middle)?) };
        Some(Named { branch, number: number.parse().ok()? })
    }
}

/// A build as the list of the bucket tells of it.
#[derive(Serialize, Deserialize)]
struct Build {
    key: String,
    branch: String,
    number: u64,
    size: u64,
    hash: String,
}

fn builds(call: &Call) -> Answer {
    let branch = call.opt_text("branch");
    let of = branch.clone().unwrap_or_default();
    let found = with(call, async |run| run.read("builds", &of, async |run| listed(run, branch.as_deref()).await).await)?;
    let record = |build: Build| {
        let fields = [
            ("key", Dynamic::from(build.key)),
            ("branch", Dynamic::from(build.branch)),
            ("number", number(build.number)),
            ("size", number(build.size)),
            ("hash", Dynamic::from(build.hash)),
        ];
        Dynamic::from(Record::new("build", fields))
    };
    Ok(Dynamic::from(found.into_iter().map(record).collect::<Array>()))
}

async fn listed(run: &Run, branch: Option<&str>) -> Result<Vec<Build>, RunError> {
    let pattern = run.env.builds.as_deref().ok_or_else(|| RunError::failed("bgx.toml names no `builds` key pattern under [app]"))?;
    let named = branch.map_or_else(|| pattern.to_owned(), |branch| pattern.replace("{branch}", branch));
    let prefix = named.split('{').next().unwrap_or_default();
    let build = |object: ObjectInfo| {
        let Named { branch, number } = Named::by(pattern, &object.key)?;
        let (branch, hash) = (branch.to_owned(), object.etag.trim_matches('"').to_owned());
        Some(Build { branch, number, hash, size: object.size, key: object.key })
    };
    let all = run.account.list_objects(&run.env.bucket, prefix).await?.into_iter().filter_map(build);
    let mut found: Vec<Build> = all.filter(|build| branch.is_none_or(|branch| branch == build.branch)).collect();
    found.sort_by(|a, b| b.number.cmp(&a.number).then_with(|| a.key.cmp(&b.key)));
    Ok(found)
}

/// Where the discovery file of a build lies.
#[derive(Default, Serialize, Deserialize)]
struct Discovered {
    needed: bool,
    version: String,
    found: bool,
    from: Vec<String>,
}

fn discovery(call: &Call) -> Answer {
    let build = call.text(0);
    let seen = with(call, async |run| run.read("discovery", &build, async |run| discovered(run, &build).await).await)?;
    let from: Array = seen.from.into_iter().map(Dynamic::from).collect();
    Ok(Dynamic::from(Record::new(
        "discovery",
        [
            ("needed", Dynamic::from(seen.needed)),
            ("version", Dynamic::from(seen.version)),
            ("found", Dynamic::from(seen.found)),
            ("from", Dynamic::from(from)),
        ],
    )))
}

async fn discovered(run: &Run, build: &str) -> Result<Discovered, RunError> {
    let env = &run.env;
    if env.discovery_from.is_empty() {
        return Ok(Discovered { found: true, ..Discovered::default() });
    }
    let named = env.builds.as_deref().and_then(|pattern| Named::by(pattern, build));
    let version = named.map(|named| format!("gh-{}", named.number));
    let version =
        version.ok_or_else(|| RunError::failed(format!("`{build}` is not the key of a build by the `builds` pattern of bgx.toml")))?;
    let key = |name: &str| {
        env.discovery_key(name, &version).ok_or_else(|| RunError::failed("bgx.toml names no `discovery` key pattern under [app]"))
    };
    let mut seen = Discovered {
        needed: true,
        found: run.account.object_exists(&env.bucket, &key(&env.discovery_name)?).await?,
        ..Discovered::default()
    };
    if !seen.found {
        for (from, name) in &env.discovery_from {
            if run.account.object_exists(&env.bucket, &key(name)?).await? {
                seen.from.push(from.clone());
            }
        }
    }
    seen.version = version;
    Ok(seen)
}

/// Why no new build may come; `None` too where bgx.toml names no such object.
pub(super) async fn locked(run: &Run) -> Result<Option<String>, RunError> {
    let Some(key) = &run.env.build_lock else { return Ok(None) };
    let object = run.account.object(&run.env.bucket, key).await?;
    Ok(object.map(|object| String::from_utf8_lossy(&object.body).trim().to_owned()))
}

fn set_build_lock(call: &Call) -> Answer {
    let why = if call.args[0].is_unit() { None } else { Some(call.args[0].to_string()) };
    let action = with(call, async |run| {
        let key = run.env.build_lock.clone().ok_or_else(|| RunError::failed("bgx.toml names no `build_lock` key under [app]"))?;
        Ok(Action::Object { bucket: run.env.bucket.clone(), key, text: why })
    })?;
    perform(call, action, false).map(Dynamic::from)
}

#[cfg(test)]
mod tests {
    use super::Named;

    #[test]
    fn a_build_key_gives_its_branch_and_number() {
        let named = |key| Named::by("dist/gh/{branch}/{number}.tar.xz", key).map(|named| (named.branch.to_owned(), named.number));
        assert_eq!(named("dist/gh/main/41000.tar.xz"), Some(("main".to_owned(), 41000)));
        assert_eq!(named("dist/gh/feature/x/7.tar.xz"), Some(("feature/x".to_owned(), 7)));
        assert_eq!(named("dist/gh/main/41000.txt"), None);
        assert_eq!(named("gh-41000"), None);
    }
}
