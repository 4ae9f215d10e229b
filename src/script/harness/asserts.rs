//! The assertions of test files; what they find stays with the test that failed.

use super::Bench;
use super::differs::differences;
use crate::script::call::Call;
use crate::script::explain;
use crate::script::raised::{Raised, VerbError};
use crate::script::record::{same, show};
use crate::script::verb::{Effect, Kind, Param, Verb};
use rhai::Dynamic;
use std::sync::{Arc, PoisonError};

const A: Param = Param::required("a", Kind::Any, "a value");
const B: Param = Param::required("b", Kind::Any, "another value");

const fn row(
    name: &'static str,
    params: &'static [Param],
    summary: &'static str,
    example: &'static str,
    call: fn(&Call) -> Result<Dynamic, VerbError>,
) -> Verb {
    Verb {
        name,
        params,
        options: &[],
        returns: "nothing",
        summary,
        errors: &["assert"],
        example,
        effect: Effect::Pure,
        since: 1,
        deprecated: None,
        call,
    }
}

pub const VERBS: &[Verb] = &[
    row(
        "assert",
        &[Param::required("condition", Kind::Bool, "what must be true"), Param::optional("text", Kind::Text, "what it means")],
        "Fails unless the condition is true.",
        "assert(r.users.errors == 0.0, \"no user saw an error\")",
        |call| match call.bool(0) {
            true => Ok(Dynamic::UNIT),
            false => Err(failed(call.arg(1).map_or_else(|| "the condition is false".to_owned(), |text| text.to_string()))),
        },
    ),
    row("assert_eq", &[A, B], "Fails unless both are equal.", "assert_eq(r.outcome, \"done\")", |call| {
        match same(&number(&call.args[0], &call.args[1]), &number(&call.args[1], &call.args[0])) {
            true => Ok(Dynamic::UNIT),
            false => {
                note(call, differences(&call.args[0], &call.args[1]));
                Err(failed("the two are not equal".to_owned()))
            }
        }
    }),
    row("assert_ne", &[A, B], "Fails if both are equal.", "assert_ne(r.before.live, r.after.live)", |call| {
        match same(&call.args[0], &call.args[1]) {
            false => Ok(Dynamic::UNIT),
            true => Err(failed(format!("both are {}", brief(&call.args[0])))),
        }
    }),
    row(
        "assert_contains",
        &[Param::required("whole", Kind::Any, "a text, or a list"), Param::required("part", Kind::Any, "of the text, or of a text in it")],
        "Fails unless the part is in the text, or in one of the list's.",
        "assert_contains(r.said, \"green serves\")",
        contains,
    ),
    row(
        "assert_between",
        &[
            Param::required("x", Kind::Float, "a number"),
            Param::required("low", Kind::Float, "its least"),
            Param::required("high", Kind::Float, "its most"),
        ],
        "Fails unless low <= x <= high.",
        "assert_between(r.seconds, 60, 900)",
        |call| {
            let (x, low, high) = (call.float(0), call.float(1), call.float(2));
            match low <= x && x <= high {
                true => Ok(Dynamic::UNIT),
                false => Err(failed(format!("{x} is not between {low} and {high}"))),
            }
        },
    ),
    row(
        "assert_fails",
        &[Param::required("f", Kind::Closure, "what must fail"), Param::required("part", Kind::Text, "of the message")],
        "Fails unless the closure fails, with this in its message.",
        "assert_fails(|| play(\"deplyo\"), \"deploy\")",
        fails,
    ),
];

/// Characters of a value in a message.
const SHOWN_MAX: usize = 80;

/// Whole numbers beside fractions compare as those.
fn number(value: &Dynamic, other: &Dynamic) -> Dynamic {
    match (value.as_int(), other.as_float()) {
        (Ok(n), Ok(_)) => Dynamic::from(n as f64),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => value.clone(),
    }
}

/// The beginning of a value that may be a whole account.
fn brief(value: &Dynamic) -> String {
    let text = show(value);
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn failed(message: String) -> VerbError {
    VerbError::Raised(Raised::new("assert", message))
}

fn note(call: &Call, difference: String) {
    let bench = call.play.user::<Arc<Bench>>();
    *bench.difference.lock().unwrap_or_else(PoisonError::into_inner) = Some(difference);
}

fn contains(call: &Call) -> Result<Dynamic, VerbError> {
    let (whole, part) = (&call.args[0], &call.args[1]);
    let within = |text: &Dynamic| {
        let part = part.as_immutable_string_ref().ok();
        text.as_immutable_string_ref().is_ok_and(|text| part.is_some_and(|part| text.contains(part.as_str())))
    };
    let (found, shown) = match whole.as_array_ref() {
        Ok(list) => (list.iter().any(|item| same(item, part) || within(item)), list.iter().map(show).collect::<Vec<_>>().join("\n")),
        Err(_) => (within(whole), show(whole)),
    };
    if found {
        return Ok(Dynamic::UNIT);
    }
    note(call, if shown.is_empty() { "(nothing)".to_owned() } else { shown });
    Err(failed(format!("{} is not in it", show(part))))
}

fn fails(call: &Call) -> Result<Dynamic, VerbError> {
    let part = call.text(1);
    let message = match call.call_closure(0, Vec::new()) {
        Ok(value) => return Err(failed(format!("nothing failed; it gave {}", brief(&value)))),
        Err(VerbError::Script(error)) => {
            let told = explain::eval_error(&error, &call.play.sources);
            [Some(told.message), told.hint].into_iter().flatten().collect::<Vec<_>>().join("; ")
        }
        Err(VerbError::Raised(raised)) => raised.message,
        Err(halt @ VerbError::Halt(_)) => return Err(halt),
    };
    call.play.check_poison()?;
    match message.contains(&part) {
        true => Ok(Dynamic::UNIT),
        false => {
            note(call, message);
            Err(failed(format!("it failed, without {part:?} in the message")))
        }
    }
}
