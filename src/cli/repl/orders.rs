//! What is typed at the prompt and is no Rhai: commands, and questions about verbs.

use crate::script::diagnose::did_you_mean;
use crate::script::repl::complete::COMMANDS;

/// One thing that is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order<'a> {
    Nothing,
    Code(&'a str),
    Writes { on: bool, named: Option<&'a str> },
    Undo,
    Steps,
    Variables,
    Fork,
    Back,
    Load(&'a str),
    Save(&'a str),
    Help(Option<&'a str>),
    Quit,
}

/// What was typed; the error says what may be.
pub fn order(text: &str) -> Result<Order<'_>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Order::Nothing);
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    if let Some(name) = text.strip_suffix('?').filter(|name| is_name(name)) {
        return Ok(Order::Help(Some(name)));
    }
    match words[..] {
        ["help" | ":help" | "?"] => Ok(Order::Help(None)),
        ["help" | ":help", name] if is_name(name) => Ok(Order::Help(Some(name))),
        [":writes", "on"] => Ok(Order::Writes { on: true, named: None }),
        [":writes", "on", name] => Ok(Order::Writes { on: true, named: Some(name) }),
        [":writes", "off"] => Ok(Order::Writes { on: false, named: None }),
        [":undo"] => Ok(Order::Undo),
        [":steps"] => Ok(Order::Steps),
        [":vars"] => Ok(Order::Variables),
        [":fork"] => Ok(Order::Fork),
        [":back"] => Ok(Order::Back),
        [":load", file] => Ok(Order::Load(file)),
        [":save", file] => Ok(Order::Save(file)),
        [":quit" | ":q" | ":exit"] => Ok(Order::Quit),
        [command, ..] if command.starts_with(':') => Err(wrong(command)),
        _ => Ok(Order::Code(text)),
    }
}

/// Of a verb, or of a function with its module.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_:/".contains(c)) && name.starts_with(char::is_alphabetic)
}

fn wrong(command: &str) -> String {
    match COMMANDS.iter().find(|(name, ..)| *name == command) {
        Some((name, "", _)) => format!("`{name}` takes nothing more"),
        Some((name, takes, _)) => format!("write {name} {takes}"),
        None => {
            let hint = did_you_mean(command, COMMANDS.iter().map(|(name, ..)| *name)).unwrap_or_else(|| ":help lists them".to_owned());
            format!("there is no command `{command}`; {hint}")
        }
    }
}

/// All commands.
pub fn help() -> String {
    let width = COMMANDS.iter().map(|(name, takes, _)| name.len() + 1 + takes.len()).max().unwrap_or(0);
    let line = |(name, takes, about): &(&str, &str, &str)| format!("  {:width$}  {about}\n", format!("{name} {takes}"));
    let lines: String = COMMANDS.iter().map(line).collect();
    format!(
        "All else is Rhai: verbs such as colors() or drift(), and functions of the stdlib such as bg::size(c), which are imported when they are named.\n{lines}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_questions_and_code_are_told_apart() {
        assert_eq!(order("  "), Ok(Order::Nothing));
        assert_eq!(order("scale?"), Ok(Order::Help(Some("scale"))));
        assert_eq!(order("help bg::boot"), Ok(Order::Help(Some("bg::boot"))));
        assert_eq!(order("help"), Ok(Order::Help(None)));
        assert_eq!(order(":writes  on prod"), Ok(Order::Writes { on: true, named: Some("prod") }));
        assert_eq!(order(":save a.rhai"), Ok(Order::Save("a.rhai")));
        assert_eq!(order("let x = a ?? b"), Ok(Order::Code("let x = a ?? b")));
    }

    #[test]
    fn a_wrong_command_says_what_was_meant() {
        assert_eq!(order(":wirtes on"), Err("there is no command `:wirtes`; did you mean `:writes`?".to_owned()));
        assert_eq!(order(":save"), Err("write :save FILE".to_owned()));
        assert_eq!(order(":undo 3"), Err("`:undo` takes nothing more".to_owned()));
        assert_eq!(order(":nonsense"), Err("there is no command `:nonsense`; :help lists them".to_owned()));
    }
}
