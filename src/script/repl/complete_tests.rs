//! What Tab offers and what stands in grey, for a line and a cursor.

use super::*;
use crate::script::verbs;

fn known() -> Known {
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    Known {
        verbs: verbs::all().iter().collect(),
        functions: [("bg::boot".to_owned(), texts(&["c", "live", "build", "n"])), ("bg::size".to_owned(), texts(&["c"]))].into(),
        variables: ["c".to_owned(), "count".to_owned()].into(),
        fields: [("c".to_owned(), texts(&["idle", "live"])), ("c.live".to_owned(), texts(&["asg", "name"]))].into(),
        names: ["beta-blue".to_owned(), "beta-green".to_owned(), "Beta-Blue".to_owned()].into(),
    }
}

/// What the line may become at its end.
fn puts(text: &str) -> Vec<String> {
    let (begin, found) = complete(text, text.len(), &known());
    found.iter().map(|candidate| format!("{}{}", &text[..begin], candidate.put)).collect()
}

#[test]
fn a_word_becomes_a_variable_a_verb_a_function_or_a_keyword() {
    assert_eq!(puts("switch_r"), ["switch_rule("]);
    assert_eq!(puts("let x = co")[..2], ["let x = count", "let x = colors("]);
    assert_eq!(puts("boo"), ["bg::boot("]);
    assert_eq!(puts("retu"), ["return"]);
    assert!(puts("zzz").is_empty());
}

#[test]
fn behind_two_colons_stand_the_functions_of_the_module_and_behind_a_dot_the_fields() {
    assert_eq!(puts("bg::"), ["bg::boot(", "bg::size("]);
    assert_eq!(puts("say(bg::s"), ["say(bg::size("]);
    assert_eq!(puts("c."), ["c.idle", "c.live"]);
    assert_eq!(puts("scale(c.live.n"), ["scale(c.live.name"]);
    assert!(puts("d.").is_empty());
}

#[test]
fn in_a_map_of_options_stand_the_keys_that_are_not_there_yet() {
    assert_eq!(puts("scale(c.idle, #{ d"), ["scale(c.idle, #{ desired: "]);
    let rest = puts("scale(c.idle, #{ desired: 2, ");
    assert!(rest.iter().any(|put| put.ends_with("min: ")) && !rest.iter().any(|put| put.ends_with("desired: ")), "{rest:?}");
    assert!(puts("let m = #{ desir").is_empty());
}

#[test]
fn in_a_text_stand_names_and_nothing_in_comments_or_whole_texts() {
    assert_eq!(puts("asg(\"beta-"), ["asg(\"beta-blue", "asg(\"beta-green"]);
    assert!(puts("say(\"beta-blue\"").is_empty());
    assert!(puts("// sca").is_empty());
}

#[test]
fn commands_are_completed_too() {
    assert_eq!(puts(":w"), [":writes"]);
    assert_eq!(puts(":writes o"), [":writes on", ":writes off"]);
    assert_eq!(puts(":"), COMMANDS.map(|(name, ..)| name.to_owned()));
}

#[test]
fn the_rest_of_a_call_is_hinted() {
    let hint = |text: &str| hint(text, &known());
    let options = parameters("scale", &known()).expect("a verb").pop().expect("it has options");
    assert_eq!(hint("scale("), Some(format!("color, {options})")));
    assert_eq!(hint("scale(c.idle"), Some(format!(", {options})")));
    assert_eq!(hint("scale(c.idle,"), Some(format!(" {options})")));
    assert_eq!(hint("bg::boot(c.idle, c.live"), Some(", build, n)".to_owned()));
    assert_eq!(hint("bg::boot(c.idle, bg::size("), Some("c)".to_owned()));
    assert_eq!(hint("bg::size(c)"), None);
    assert_eq!(hint("bg::size(c"), Some(")".to_owned()));
    assert_eq!(hint("say(\"sca"), None);
}

#[test]
fn looks_cover_the_whole_line() {
    let text = "let x = scale(c, 2); // \"y\"";
    let looks = looks(text, &known());
    assert_eq!(looks.iter().map(|(range, _)| &text[range.clone()]).collect::<String>(), text);
    let of = |part: &str| looks.iter().find(|(range, _)| &text[range.clone()] == part).map(|(_, look)| *look);
    assert_eq!([of("let"), of("scale"), of("2"), of("x")], [Look::Keyword, Look::Call, Look::Number, Look::Plain].map(Some));
}
