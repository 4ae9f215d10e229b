//! `bgx docs [NAME]`: what playbooks can call, all of it line by line, or one verb or function of the stdlib in full.

use super::failure::Failure;
use super::list::first_sentence;
use super::run::text;
use crate::script::catalog::{Catalog, Module};
use crate::script::described::{Function, Parameter};
use crate::script::diagnose::did_you_mean;
use crate::script::header::API_LEVEL;
use crate::script::{Effect, Kind, Verb};
use clap::{Arg, ArgMatches, Command};
use serde_json::{Value, json};
use std::io::Write;

const INTRO: &str = "# What playbooks can call

Made by `bgx docs --format md > docs/verbs.md`. Verbs come first, by what they are about, then the functions of the standard library, by module.
`[name]` may be left out; `#{…}` is a map of options, which go by name. A `duration` is text with a unit, such as `\"90s\"`, `\"5m\"`, `\"1h30m\"`. An error is a value
that `try … catch (e)` gets, with its code in `e.code`; one that nobody catches ends the run, which takes back what it did.
";

pub fn command() -> Command {
    Command::new("docs")
        .about("Tell what playbooks can call: the verbs and the standard library, or one of them in full")
        .arg(Arg::new("name").value_name("NAME").help("a verb such as scale, or a function of the standard library such as bg::boot"))
        .arg(format("text for a terminal, a page for docs/, or JSON"))
}

/// `--format` of what is shown, made a page of, or read by programs.
pub fn format(help: &'static str) -> Arg {
    let formats = ["text", "md", "json"];
    Arg::new("format").long("format").value_name("FORMAT").value_parser(formats).default_value("text").help(help)
}

pub fn run(matches: &ArgMatches) -> Result<i32, Failure> {
    let name = text(matches, "name");
    let catalog = match name {
        Some(name) => found(name)?,
        None => Catalog::all(),
    };
    let out = match (text(matches, "format"), name) {
        (Some("json"), _) => format!("{:#}\n", to_json(&catalog)),
        (Some("md"), Some(_)) => page(&catalog).trim_start().to_owned(),
        (Some("md"), None) => format!("{INTRO}{}", page(&catalog)),
        (_, Some(_)) => in_full(&catalog),
        (_, None) => line_by_line(&catalog),
    };
    let _ = write!(std::io::stdout(), "{out}");
    Ok(0)
}

pub fn found(name: &str) -> Result<Catalog, Failure> {
    let all = Catalog::all();
    let names = all.names();
    let found = all.named(name);
    if !found.is_empty() {
        return Ok(found);
    }
    let hint = did_you_mean(name, names.iter().map(String::as_str)).unwrap_or_else(|| "`bgx docs` lists them all".to_owned());
    Err(Failure::usage(format!("there is no verb or function `{name}`")).hinted(hint))
}

fn line_by_line(catalog: &Catalog) -> String {
    let width = catalog.names().iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let line = |name: &str, summary: &str| format!("  {name:<width$}  {summary}\n");
    let mut out = String::new();
    for group in &catalog.groups {
        out.push_str(&format!("{}\n", group.name));
        group.verbs.iter().for_each(|verb| out.push_str(&line(verb.name, verb.summary.trim_end_matches('.'))));
        out.push('\n');
    }
    for module in &catalog.modules {
        out.push_str(&format!("{}\n", import(module)));
        let name = |function: &Function| format!("{}::{}", module.alias, function.name);
        module.functions.iter().for_each(|f| out.push_str(&line(&name(f), &first_sentence(&f.doc))));
        out.push('\n');
    }
    out.push_str("bgx docs NAME tells all about one of them\n");
    out
}

fn import(module: &Module) -> String {
    format!("import \"{}\" as {};", module.path, module.alias)
}

fn signature(module: &Module, function: &Function) -> String {
    let params: Vec<&str> = function.params.iter().map(|param| param.name.as_str()).collect();
    format!("{}::{}({})", module.alias, function.name, params.join(", "))
}

/// One that a verb takes.
struct Argument {
    /// As written in a call.
    name: String,
    kind: String,
    meaning: String,
}

/// Facts beside the arguments: a word, and what it is.
type Facts = Vec<(&'static str, String)>;

fn arguments(verb: &Verb) -> Vec<Argument> {
    let argument = |name: String, of: Kind, doc: &str, required: bool| {
        let meaning = if required { format!("{doc} (required)") } else { doc.to_owned() };
        Argument { name, kind: kind(of).to_owned(), meaning }
    };
    let params = verb.params.iter().map(|p| argument(p.name.to_owned(), p.kind, p.doc, !p.optional));
    let options = verb.options.iter().map(|o| argument(format!("{}:", o.key), o.kind, o.doc, o.required));
    params.chain(options).collect()
}

/// What a function takes.
fn parameters(function: &Function) -> Vec<Argument> {
    let of = |p: &Parameter| Argument { name: p.name.clone(), kind: p.kind.clone(), meaning: p.meaning.clone() };
    function.params.iter().map(of).collect()
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Any => "any value",
        other => other.word(),
    }
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Pure => "nothing outside the script",
        Effect::Read => "reads, and changes nothing",
        Effect::Write => "changes the account: guarded, in the journal first",
        Effect::Wait => "waits, and changes nothing",
        Effect::Ask => "asks a human",
        Effect::Say => "tells, and changes nothing",
    }
}

fn errors(verb: &Verb) -> String {
    if verb.errors.is_empty() { "none of its own".to_owned() } else { verb.errors.join(", ") }
}

/// What the verbs do that a function comes to.
fn effects(function: &Function) -> String {
    let words = [(Effect::Write, "changes the account"), (Effect::Wait, "waits"), (Effect::Ask, "asks a human")];
    let found: Vec<&str> = words.iter().filter(|(known, _)| function.effects.contains(known)).map(|(_, word)| *word).collect();
    match (found.is_empty(), function.effects.iter().max()) {
        (false, _) => found.join(", "),
        (true, Some(most)) => effect(*most).to_owned(),
        (true, None) => effect(Effect::Pure).to_owned(),
    }
}

fn verb_facts(verb: &Verb) -> Facts {
    let mut facts = vec![("gives", verb.returns.to_owned()), ("effect", effect(verb.effect).to_owned()), ("errors", errors(verb))];
    facts.push(("since", format!("bgx: {}", verb.since)));
    facts.extend(verb.deprecated.map(|old| ("deprecated", format!("since bgx: {}; write {}", old.since, old.instead))));
    facts
}

fn function_facts(function: &Function) -> Facts {
    let errors = function.errors.iter().copied().collect::<Vec<_>>().join(", ");
    let errors = if errors.is_empty() { "none of its own".to_owned() } else { errors };
    vec![("effect", effects(function)), ("errors", errors), ("since", format!("bgx: {}", function.since))]
}

pub fn in_full(catalog: &Catalog) -> String {
    let verbs = catalog.groups.iter().flat_map(|group| &group.verbs).map(|verb| {
        let facts = [verb_facts(verb), vec![("example", verb.example.to_owned())]].concat();
        in_text(&verb.signature(), verb.summary, &arguments(verb), &facts)
    });
    let functions = catalog.modules.iter().flat_map(|m| m.functions.iter().map(move |f| (m, f))).map(|(module, f)| {
        let facts = [function_facts(f), vec![("example", f.example.clone()), ("module", import(module))]].concat();
        in_text(&signature(module, f), &f.doc, &parameters(f), &facts)
    });
    verbs.chain(functions).collect::<Vec<_>>().join("\n")
}

fn in_text(signature: &str, doc: &str, rows: &[Argument], facts: &Facts) -> String {
    let mut out = format!("{signature}\n\n{doc}\n\n");
    let names = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let kinds = rows.iter().map(|row| row.kind.len()).max().unwrap_or(0);
    for Argument { name, kind, meaning } in rows {
        out.push_str(&format!("  {name:<names$}  {kind:<kinds$}  {meaning}\n"));
    }
    if !rows.is_empty() {
        out.push('\n');
    }
    facts.iter().for_each(|(word, what)| out.push_str(&format!("{word:<8} {what}\n")));
    out
}

fn page(catalog: &Catalog) -> String {
    let mut out = String::new();
    for group in &catalog.groups {
        out.push_str(&format!("\n## {}\n", group.name));
        for verb in &group.verbs {
            out.push_str(&in_page(&verb.signature(), verb.summary, &arguments(verb), &verb_facts(verb), verb.example));
        }
    }
    for module in &catalog.modules {
        out.push_str(&format!("\n## {}\n\n{} `{}`\n", module.path, module.about, import(module)));
        for f in &module.functions {
            out.push_str(&in_page(&signature(module, f), &f.doc, &parameters(f), &function_facts(f), &f.example));
        }
    }
    out
}

fn in_page(signature: &str, doc: &str, rows: &[Argument], facts: &Facts, example: &str) -> String {
    let mut out = format!("\n### `{signature}`\n\n{doc}\n\n");
    if !rows.is_empty() {
        out.push_str("| argument | kind | meaning |\n|---|---|---|\n");
    }
    for Argument { name, kind, meaning } in rows {
        out.push_str(&format!("| `{name}` | {kind} | {} |\n", meaning.replace('|', "\\|")));
    }
    if !rows.is_empty() {
        out.push('\n');
    }
    let shown = |word: &str, what: &str| if word == "since" { format!("- since: `{what}`\n") } else { format!("- {word}: {what}\n") };
    facts.iter().for_each(|(word, what)| out.push_str(&shown(word, what)));
    out.push_str(&format!("\n```rhai\n{example}\n```\n"));
    out
}

fn to_json(catalog: &Catalog) -> Value {
    let argument =
        |name: &str, kind: Kind, doc: &str, required: bool| json!({ "name": name, "kind": kind.word(), "doc": doc, "required": required });
    let verb = |group: &str, verb: &Verb| {
        let params: Vec<Value> = verb.params.iter().map(|p| argument(p.name, p.kind, p.doc, !p.optional)).collect();
        let options: Vec<Value> = verb.options.iter().map(|o| argument(o.key, o.kind, o.doc, o.required)).collect();
        json!({
            "group": group, "name": verb.name, "signature": verb.signature(), "summary": verb.summary, "params": params, "options": options,
            "returns": verb.returns, "effect": effect(verb.effect), "errors": verb.errors, "since": verb.since, "example": verb.example,
            "deprecated": verb.deprecated.map(|old| json!({ "since": old.since, "instead": old.instead })),
        })
    };
    let function = |module: &Module, function: &Function| {
        let params: Vec<Value> = function.params.iter().map(|p| json!({ "name": p.name, "kind": p.kind, "doc": p.meaning })).collect();
        json!({
            "module": module.path, "import": import(module), "name": function.name, "signature": signature(module, function),
            "params": params, "summary": first_sentence(&function.doc), "doc": function.doc,
            "effect": effects(function), "errors": function.errors, "since": function.since, "example": function.example,
        })
    };
    let verbs: Vec<Value> = catalog.groups.iter().flat_map(|group| group.verbs.iter().map(|v| verb(group.name, v))).collect();
    let functions: Vec<Value> = catalog.modules.iter().flat_map(|m| m.functions.iter().map(|f| function(m, f))).collect();
    json!({ "api": API_LEVEL, "verbs": verbs, "functions": functions })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Deprecated, verbs};

    #[test]
    fn a_deprecated_verb_says_since_when_and_what_to_write() {
        let scale = verbs::all().iter().find(|verb| verb.name == "scale").expect("it is a verb");
        assert!(verb_facts(scale).iter().all(|(word, _)| *word != "deprecated"));
        let old = Verb { deprecated: Some(Deprecated { since: 2, instead: "resize(color, n)" }), ..*scale };
        let facts = verb_facts(&old);
        assert!(facts.contains(&("deprecated", "since bgx: 2; write resize(color, n)".to_owned())), "{facts:?}");
        assert!(in_text("scale()", "Sets.", &[], &facts).contains("\ndeprecated since bgx: 2; write resize(color, n)\n"));
        assert!(in_page("scale()", "Sets.", &[], &facts, "x").contains("\n- deprecated: since bgx: 2; write resize(color, n)\n"));
    }
}
