//! The `//!` lines at the top of a playbook: API level, what `recover` may do, which guards may yield, what it is for.

use super::diagnose::{Diagnostic, Place, did_you_mean, nearest};

/// The API level of this bgx; a playbook may ask for a lower one.
pub const API_LEVEL: u32 = 1;

/// What a playbook says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub api: u32,
    pub recover: Recover,
    pub allow: Vec<Allow>,
    /// It is for `--env a,b` too.
    pub several: bool,
    /// The first line of the description.
    pub summary: String,
    /// All lines that are no settings.
    pub description: String,
}

/// What `bgx recover` does with a run of this playbook whose process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recover {
    Undo,
    Resume,
    /// Nothing by itself: a human decides.
    Page,
}

/// A guard that may yield, after asking a human.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    pub what: Permission,
    pub reason: String,
    pub line: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    TakeDown,
    MixedVersions,
    LessCapacity,
    /// No guard, but the run's own footing: it goes without a lock and without the state in S3.
    WithoutState,
}

impl Permission {
    pub const ALL: [Permission; 4] = [Permission::TakeDown, Permission::MixedVersions, Permission::LessCapacity, Permission::WithoutState];

    pub fn word(self) -> &'static str {
        match self {
            Permission::TakeDown => "take_down",
            Permission::MixedVersions => "mixed_versions",
            Permission::LessCapacity => "less_capacity",
            Permission::WithoutState => "without_state",
        }
    }
}

const KEYS: [&str; 4] = ["bgx", "recover", "allow", "environments"];

impl Header {
    pub fn allows(&self, what: Permission) -> bool {
        self.allow.iter().any(|a| a.what == what)
    }

    /// Reads the header; all that is wrong with it is reported together.
    pub fn parse(file: &str, text: &str) -> Result<Header, Vec<Diagnostic>> {
        let mut header = Header {
            api: API_LEVEL,
            recover: Recover::Page,
            allow: Vec::new(),
            several: false,
            summary: String::new(),
            description: String::new(),
        };
        let mut described: Vec<&str> = Vec::new();
        let mut errors = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        let mut over = false;
        for (index, line) in text.lines().enumerate() {
            let trimmed = line.trim();
            let Some(body) = trimmed.strip_prefix("//!") else {
                over |= !trimmed.is_empty() && !trimmed.starts_with("//");
                continue;
            };
            let place = |column| Place { file: file.to_string(), line: index + 1, column };
            let body = body.trim();
            let (key, value) = body.split_once(':').map_or(("", ""), |(k, v)| (k, v.trim()));
            let at = place(line.find(body).map_or(1, |b| line[..b].chars().count() + 1));
            let known = KEYS.contains(&key);
            if over && known {
                errors.push(Diagnostic::error(format!("`//! {key}:` belongs at the top of the playbook")).at(Some(at)).excerpt(line));
            } else if over {
                // A comment further down.
            } else if known {
                if key != "allow" && seen.contains(&key) {
                    errors.push(Diagnostic::error(format!("`{key}` is given twice")).at(Some(at.clone())).excerpt(line));
                }
                seen.push(key);
                if let Err(error) = header.set(key, value, index + 1) {
                    errors.push(error.at(Some(at)).excerpt(line));
                }
            } else if let Some(meant) = misspelt(key) {
                let error = Diagnostic::error(format!("unknown header key `{key}`")).hint(format!("did you mean `{meant}`?"));
                errors.push(error.at(Some(at)).excerpt(line));
            } else {
                described.push(body);
            }
        }
        header.summary = described.iter().find(|l| !l.is_empty()).map(|l| l.to_string()).unwrap_or_default();
        header.description = described.join("\n").trim().to_string();
        if errors.is_empty() { Ok(header) } else { Err(errors) }
    }

    fn set(&mut self, key: &str, value: &str, line: usize) -> Result<(), Box<Diagnostic>> {
        match key {
            "bgx" => self.api = api_level(value)?,
            "recover" => self.recover = recover(value)?,
            "environments" if value == "several" => self.several = true,
            "environments" => {
                return Diagnostic::error(format!("`environments: {value}` is not known")).hint("`several`, or leave the line away").err();
            }
            "allow" => {
                let (what, reason) = allow(value)?;
                if self.allows(what) {
                    return Diagnostic::error(format!("`allow: {}` is given twice", what.word())).err();
                }
                self.allow.push(Allow { what, reason, line });
            }
            other => unreachable!("`{other}` is not in KEYS"),
        }
        Ok(())
    }
}

/// One lower-case word that is close to a key: a description starts otherwise.
fn misspelt(key: &str) -> Option<&'static str> {
    let word = !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    if word { nearest(key, KEYS) } else { None }
}

fn api_level(value: &str) -> Result<u32, Box<Diagnostic>> {
    let level: u32 = value.parse().map_err(|_| Diagnostic::error(format!("`bgx: {value}` is no API level")).hint("write `//! bgx: 1`"))?;
    match level {
        0 => Diagnostic::error("API levels start at 1").err(),
        1..=API_LEVEL => Ok(level),
        _ => Diagnostic::error(format!("the playbook is written for API level {level}, this bgx has {API_LEVEL}"))
            .hint("use a newer bgx")
            .err(),
    }
}

fn recover(value: &str) -> Result<Recover, Box<Diagnostic>> {
    match value {
        "undo" => Ok(Recover::Undo),
        "resume" => Ok(Recover::Resume),
        "page" => Ok(Recover::Page),
        _ => Diagnostic::error(format!("`recover: {value}` is not known")).hint("`undo`, `resume` or `page`").err(),
    }
}

/// `take_down "reason"`
fn allow(value: &str) -> Result<(Permission, String), Box<Diagnostic>> {
    let (word, reason) = value.split_once(char::is_whitespace).unwrap_or((value, ""));
    let words = Permission::ALL.map(Permission::word);
    let Some(what) = Permission::ALL.into_iter().find(|p| p.word() == word) else {
        let hint = did_you_mean(word, words).unwrap_or_else(|| format!("it can be {}", words.join(", ")));
        return Diagnostic::error(format!("`allow: {word}` is not known")).hint(hint).err();
    };
    let quoted = reason.trim().strip_prefix('"').and_then(|r| r.strip_suffix('"')).map(str::trim);
    match quoted {
        Some(reason) if !reason.is_empty() => Ok((what, reason.to_string())),
        Some(_) | None => Diagnostic::error(format!("`allow: {word}` needs a reason in quotes"))
            .hint(format!("//! allow: {word} \"why this is right\""))
            .err(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sketch_of_a_canary_reads() {
        let header = Header::parse("canary.rhai", "//! bgx: 1\n//! Blue-green in steps. Users see: mixed versions.\n//! If bgx dies: cron.\n//! recover: undo\n//! allow: mixed_versions \"that is what a canary is\"\nlet x = 1;").expect("fine");
        assert_eq!(header.api, 1);
        assert_eq!(header.recover, Recover::Undo);
        assert_eq!(header.allow, [Allow { what: Permission::MixedVersions, reason: "that is what a canary is".into(), line: 5 }]);
        assert_eq!(header.summary, "Blue-green in steps. Users see: mixed versions.");
        assert_eq!(header.description, "Blue-green in steps. Users see: mixed versions.\nIf bgx dies: cron.");
        assert!(header.allows(Permission::MixedVersions) && !header.allows(Permission::TakeDown));
    }

    #[test]
    fn without_a_header_a_human_is_paged() {
        let header = Header::parse("a.rhai", "let x = 1;").expect("fine");
        assert_eq!((header.api, header.recover, header.allow.len(), header.summary.as_str()), (1, Recover::Page, 0, ""));
    }

    fn errors(text: &str) -> Vec<String> {
        let errors = Header::parse("a.rhai", text).expect_err("refused");
        errors.iter().map(|e| format!("{e}{}", e.hint.as_ref().map(|h| format!(" [{h}]")).unwrap_or_default())).collect()
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        assert_eq!(errors("//! bgx: 2"), ["a.rhai:1:5: the playbook is written for API level 2, this bgx has 1 [use a newer bgx]"]);
        assert_eq!(errors("//! bgx: one"), ["a.rhai:1:5: `bgx: one` is no API level [write `//! bgx: 1`]"]);
        assert_eq!(errors("//! bgx: 0"), ["a.rhai:1:5: API levels start at 1"]);
        assert_eq!(errors("//! recover: maybe"), ["a.rhai:1:5: `recover: maybe` is not known [`undo`, `resume` or `page`]"]);
        assert_eq!(
            errors("//! x\n//!   allow: takedown \"r\""),
            ["a.rhai:2:7: `allow: takedown` is not known [did you mean `take_down`?]"]
        );
        assert_eq!(
            errors("//! allow: take_down"),
            ["a.rhai:1:5: `allow: take_down` needs a reason in quotes [//! allow: take_down \"why this is right\"]"]
        );
        assert_eq!(
            errors("//! allow: take_down \"\""),
            ["a.rhai:1:5: `allow: take_down` needs a reason in quotes [//! allow: take_down \"why this is right\"]"]
        );
        assert_eq!(errors("//! recovr: undo"), ["a.rhai:1:5: unknown header key `recovr` [did you mean `recover`?]"]);
        assert_eq!(errors("//! recover: undo\n//! recover: page"), ["a.rhai:2:5: `recover` is given twice"]);
    }

    #[test]
    fn a_setting_below_the_code_does_not_count_and_is_reported() {
        assert_eq!(errors("let x = 1;\n//! allow: take_down \"r\""), ["a.rhai:2:5: `//! allow:` belongs at the top of the playbook"]);
        assert!(
            Header::parse("a.rhai", "// licence\n\n//! recover: undo\nlet x = 1;\n//! a note: fine").expect("fine").recover
                == Recover::Undo
        );
    }

    #[test]
    fn several_errors_come_together() {
        assert_eq!(errors("//! bgx: 9\n//! recover: x\n//! allow: y").len(), 3);
    }
}
