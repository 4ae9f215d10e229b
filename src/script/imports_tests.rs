//! Tests of the import graph: what is found, and what is refused with which words.

use super::*;
use crate::script::sources::Sources;

static STD: &[(&str, &str)] =
    &[("blue_green", "fn boot(n) { n }"), ("judge", "import \"std/blue_green\" as bg;\nfn bake() { bg::boot(1) }")];

fn project(files: &[(&str, &str)]) -> (tempfile::TempDir, Roots) {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("has one")).expect("created");
        fs::write(path, text).expect("written");
    }
    let roots = Roots { stdlib: Stdlib::Embedded(STD), project: dir.path().to_path_buf() };
    (dir, roots)
}

/// The error of loading `main.rhai` with this text.
fn refused(main: &str) -> String {
    let (dir, roots) = project(&[
        ("main.rhai", main),
        ("team/a.rhai", "fn a() { 1 }"),
        ("loop_a.rhai", "import \"loop_b\" as b;"),
        ("loop_b.rhai", "import \"loop_a\" as a;"),
    ]);
    let error = Sources::load(&dir.path().join("main.rhai"), &roots).expect_err("refused");
    let hint = error.hint.as_ref().map(|h| format!(" [{h}]")).unwrap_or_default();
    format!("{error}{hint}").replace(&dir.path().canonicalize().expect("exists").display().to_string(), "DIR")
}

#[test]
fn the_whole_graph_is_found_playbook_first() {
    let main = "import \"std/judge\" as judge;\nfn f() { import \"team/a\" as a; a::a() }";
    let (dir, roots) =
        project(&[("playbooks/main.rhai", main), ("team/a.rhai", "fn a() { 1 }"), ("team/hooks.rhai", "import \"team/a\" as a;")]);
    let sources = Sources::load_with(&dir.path().join("playbooks/main.rhai"), &roots, &["team/hooks"]).expect("fine");
    let names: Vec<&str> = sources.files().iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["playbooks/main.rhai", "std/blue_green.rhai", "std/judge.rhai", "team/a.rhai", "team/hooks.rhai"]);
    assert_eq!(sources.module("std/judge").map(|f| f.text.as_str()), Some(STD[1].1));
    assert_eq!(sources.module("nope"), None);
}

#[test]
fn imports_that_lead_out_of_the_roots_are_refused() {
    assert_eq!(
        refused("import \"../secret\" as s;"),
        "main.rhai:1:8: `../secret` is no module path: `.` and `..` are not allowed [write names separated by `/`, such as \"std/blue_green\" or \"team/checks\"]"
    );
    assert!(refused("import \"/etc/x\" as s;").contains("it must be relative"));
    assert!(refused("import \"a\\\\b\" as s;").contains("use `/`"));
    assert!(refused("import \"team//a\" as s;").contains("a name in it is empty"));
    assert!(refused("import \"team/./a\" as s;").contains("not allowed"));
    assert!(refused("import \"team/a.rhai\" as s;").contains("leave out `.rhai`"));
    assert!(refused("import \"\" as s;").contains("empty"));
}

#[cfg(unix)]
#[test]
fn a_symlink_out_of_the_project_is_refused() {
    let (outside, _) = project(&[("secret.rhai", "fn s() { 1 }")]);
    let (dir, roots) = project(&[("main.rhai", "let x = 1;\nimport \"link\" as l;")]);
    std::os::unix::fs::symlink(outside.path().join("secret.rhai"), dir.path().join("link.rhai")).expect("linked");
    let error = Sources::load(&dir.path().join("main.rhai"), &roots).expect_err("refused");
    assert!(error.message.starts_with("module \"link\" leads out of"), "{error}");
    assert_eq!(error.at.map(|p| p.to_string()).as_deref(), Some("main.rhai:2:8"));
    assert_eq!(error.excerpt.as_deref(), Some("import \"link\" as l;"));
}

#[test]
fn a_computed_path_is_refused_at_its_place() {
    let refusal = refused("let p = \"x\";\nimport p + \"y\" as s;");
    assert!(refusal.starts_with("main.rhai:2:1: the path of an `import` must be a literal string"), "{refusal}");
}

#[test]
fn a_cycle_names_its_chain() {
    assert_eq!(refused("import \"loop_a\" as a;"), "loop_b.rhai:1:8: import cycle: loop_a -> loop_b -> loop_a");
    assert_eq!(refused("import \"main\" as m;"), "main.rhai:1:8: import cycle: main -> main");
}

#[test]
fn std_comes_from_the_stdlib_only() {
    let (dir, roots) = project(&[("main.rhai", "import \"std/own\" as o;"), ("std/own.rhai", "fn x() { 1 }")]);
    let error = Sources::load(&dir.path().join("main.rhai"), &roots).expect_err("refused");
    assert!(error.message.contains("there is no module \"std/own\""));
    let folder = Roots { stdlib: Stdlib::Folder(dir.path().join("std")), ..roots };
    let sources = Sources::load(&dir.path().join("main.rhai"), &folder).expect("from the folder");
    assert_eq!(sources.files()[1].name, "std/own.rhai");
}

#[test]
fn a_misspelt_module_is_suggested() {
    assert_eq!(refused("import \"std/jugde\" as j;"), "main.rhai:1:8: there is no module \"std/jugde\" [did you mean \"std/judge\"?]");
    assert_eq!(refused("import \"taem/a\" as j;"), "main.rhai:1:8: there is no module \"taem/a\"");
    assert_eq!(refused("import \"loop_c\" as j;"), "main.rhai:1:8: there is no module \"loop_c\" [did you mean \"loop_a\"?]");
}

#[test]
fn unreadable_playbooks_say_what_is_wrong() {
    let (dir, roots) = project(&[("nul.rhai", "let a = 1;\0"), ("sub/x.rhai", "")]);
    fs::write(dir.path().join("latin.rhai"), b"let a = \"\xe9\";").expect("written");
    fs::write(dir.path().join("big.rhai"), vec![b' '; FILE_BYTES_MAX + 1]).expect("written");
    fs::write(dir.path().join("fits.rhai"), vec![b' '; FILE_BYTES_MAX]).expect("written");
    let error = |name: &str| Sources::load(&dir.path().join(name), &roots).expect_err("refused").message;
    assert!(error("missing.rhai").starts_with("there is no file "));
    assert!(error("sub").ends_with("is a folder, not a playbook"));
    assert!(error("nul.rhai").ends_with("is not text: a NUL byte at byte 10"));
    assert!(error("latin.rhai").ends_with("is not UTF-8: a wrong byte at byte 9"));
    assert!(error("big.rhai").ends_with("is larger than 1024 KiB"));
    assert!(Sources::load(&dir.path().join("fits.rhai"), &roots).is_ok());
}

#[test]
fn a_playbook_that_does_not_parse_still_loads() {
    let (dir, roots) = project(&[("main.rhai", "let = ;")]);
    assert!(Sources::load(&dir.path().join("main.rhai"), &roots).is_ok(), "the check reports it with everything else");
}
