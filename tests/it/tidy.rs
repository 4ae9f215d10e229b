//! What ARCHITECTURE.md says about the house is true, and files and functions stay small.

use crate::support::root;
use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
/// Packages in Cargo.lock; raised only knowingly, because each costs every cold build.
const PACKAGES_MAX: usize = 302;
/// Words that stand for work that is not done, or that the house does without.
const FORBIDDEN: [&str; 6] = ["todo!(", "unimplemented!(", "dbg!(", "#[ignore", "thread::sleep", "HashMap"];

/// The rows of the table between `<!-- name -->` and `<!-- /name -->`, cells trimmed, without the head.
fn table(name: &str) -> Vec<Vec<String>> {
    let text = read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let start = text.find(&format!("<!-- {name} -->")).expect("the table begins");
    let end = text.find(&format!("<!-- /{name} -->")).expect("the table ends");
    let rows = text[start..end].lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// Every Rust file under a folder of the repository, with its path from there.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|e| e == "rs") => {
                    let text = read_to_string(&path).unwrap();
                    found.push((path.strip_prefix(root()).unwrap().to_path_buf(), text));
                }
                false => {}
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has Rust files");
    found
}

/// `src/run/undo.rs` -> `run`, `src/config.rs` -> `config`.
fn room(path: &Path) -> String {
    path.iter().nth(1).unwrap().to_string_lossy().trim_end_matches(".rs").to_owned()
}

fn code_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn arrows_between_rooms_point_down_as_architecture_md_says() {
    let allowed: BTreeMap<String, String> = table("arrows").into_iter().map(|row| (row[0].clone(), row[2].clone())).collect();
    assert!(allowed.len() >= 7, "{allowed:?}");
    for (path, text) in sources("src") {
        let room = room(&path);
        if ["lib", "main"].contains(&room.as_str()) {
            continue;
        }
        let may = allowed.get(&room).unwrap_or_else(|| panic!("`{room}` is not in ARCHITECTURE.md"));
        for line in code_lines(&text) {
            for used in line.split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let fine = used == room || may.split(' ').any(|m| m == used) || !allowed.contains_key(&used);
                assert!(fine, "{} uses `{used}`, which `{room}` may not: {line}", path.display());
            }
        }
    }
}

#[test]
fn foreign_crates_stay_in_their_homes() {
    for row in table("crates") {
        for (path, text) in sources("src") {
            let home = row[1].split(' ').any(|home| path.starts_with(home) || path == Path::new(&format!("{home}.rs")));
            let uses = |line: &str| {
                line.match_indices(&row[0]).any(|(at, _)| {
                    let before = line[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '"' && c != '`');
                    let after = &line[at + row[0].len()..];
                    before && (row[0].ends_with('_') || after.starts_with("::"))
                })
            };
            if let Some(line) = code_lines(&text).find(|line| uses(line)).filter(|_| !home) {
                panic!("{} names `{}`, whose home is {}: {line}", path.display(), row[0], row[1]);
            }
        }
    }
}

#[test]
fn files_open_with_a_sentence_and_stay_small() {
    for (path, text) in sources("src").into_iter().chain(sources("tests")).chain(sources("benches")) {
        assert!(text.starts_with("//! "), "{} opens with no sentence", path.display());
        let lines = text.lines().count();
        assert!(lines <= FILE_LINES_MAX, "{} has {lines} lines", path.display());
    }
}

#[test]
fn functions_stay_small() {
    // Tests hold whole screens of text inside their functions.
    for (path, text) in sources("src").into_iter().chain(sources("benches")) {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let trimmed = line.trim_start();
            let starts =
                ["fn ", "pub fn ", "async fn ", "pub async fn ", "pub(super) fn ", "pub(super) async fn ", "const fn ", "pub const fn "];
            if !starts.iter().any(|s| trimmed.starts_with(s)) || line.ends_with(';') || line.ends_with('}') {
                continue;
            }
            let end = format!("{}}}", &line[..line.len() - trimmed.len()]);
            let length = lines[number..].iter().position(|l| *l == end).map_or(0, |n| n + 1);
            assert!(length <= FUNCTION_LINES_MAX, "{}:{} has a function of {length} lines", path.display(), number + 1);
        }
    }
}

#[test]
fn no_word_of_unfinished_work_is_left() {
    for (path, text) in sources("src").into_iter().chain(sources("benches")) {
        for word in FORBIDDEN {
            let found = code_lines(&text).find(|line| line.contains(word));
            assert!(found.is_none(), "{} has `{word}`: {found:?}", path.display());
        }
        for mark in ["TODO", "FIXME"] {
            assert!(!text.contains(mark), "{} has {mark}", path.display());
        }
    }
}

#[test]
fn the_dependency_budget_is_kept() {
    let lock = read_to_string(root().join("Cargo.lock")).unwrap();
    let packages = lock.matches("[[package]]").count();
    assert!(packages <= PACKAGES_MAX, "Cargo.lock has {packages} packages, {PACKAGES_MAX} are agreed on");
}

#[test]
fn every_test_file_is_listed() {
    let main = read_to_string(root().join("tests/it/main.rs")).unwrap();
    for (path, _) in sources("tests/it") {
        let name = path.iter().nth(2).unwrap().to_string_lossy().trim_end_matches(".rs").to_owned();
        assert!(name == "main" || main.contains(&format!("mod {name};")), "{} is not listed in tests/it/main.rs", path.display());
    }
}
