//! The team module of this repository: the routers forget a colour once SSM names the other one, forwards and back.

use crate::support::{Outcome, lab};
use bgx::run::event::{Event, Outcome as Ending, What};

/// Places of the events that say so, in order.
fn places(outcome: &Outcome, says: impl Fn(&What) -> bool) -> Vec<usize> {
    outcome.events.iter().enumerate().filter(|(_, event): &(usize, &Event)| says(&event.what)).map(|(place, _)| place).collect()
}

fn step_of_record(outcome: &Outcome) -> u64 {
    let is_record = |what: &What| match what {
        What::Started { step, action, .. } if action.to_string().starts_with("/compiler-explorer/beta/active-color") => Some(*step),
        _ => None,
    };
    outcome.events.iter().find_map(|event| is_record(&event.what)).expect("who serves is recorded")
}

#[test]
fn routers_are_told_after_ssm_is_written() {
    let outcome = lab("beta", "playbooks/deploy.rhai").param("version", "latest").run();
    assert_eq!(outcome.ended.outcome, Ending::Done, "{:?}", outcome.ended.why);
    let record = step_of_record(&outcome);
    let recorded = places(&outcome, |what| matches!(what, What::Finished { step, .. } if *step == record));
    let told = places(&outcome, |what| matches!(what, What::Effect { error: None, .. }));
    assert!(told.len() == 1 && told[0] > recorded[0], "{recorded:?} {told:?}");
}

#[test]
fn routers_are_told_again_after_ssm_is_put_back() {
    let whole = lab("beta", "playbooks/deploy.rhai").param("version", "latest").run();
    let told = places(&whole, |what| matches!(what, What::Effect { .. }));
    let outcome = lab("beta", "playbooks/deploy.rhai").param("version", "latest").signal(whole.events[told[0]].seq, "SIGTERM").run();
    assert_eq!(outcome.ended.outcome, Ending::Undone, "{:?}", outcome.ended.why);
    let record = step_of_record(&outcome);
    let back = places(&outcome, |what| matches!(what, What::UndoFinished { step, .. } if *step == record));
    let told = places(&outcome, |what| matches!(what, What::Effect { error: None, .. }));
    assert!(told.len() == 2 && told[1] > back[0], "{back:?} {told:?}");
}
