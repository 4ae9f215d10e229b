//! Says where an action that a playbook asks for differs from the one that its journal holds.

use super::event::What;
use crate::account::Action;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// `desired: 2 in the journal, 3 in the playbook`, a line for each field that differs; first what the actions are about.
pub fn fields(recorded: &Action, asked: &Action) -> Vec<String> {
    let mut lines = Vec::new();
    let mut differ = |name: &str, recorded: &str, asked: &str| {
        if recorded != asked {
            lines.push(format!("{name}: {recorded} in the journal, {asked} in the playbook"));
        }
    };
    differ("of", &recorded.resource(), &asked.resource());
    let (was, is) = (recorded.wanted(), asked.wanted());
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    for name in names {
        let show = |value: Option<&Option<String>>| match value {
            Some(Some(value)) => value.clone(),
            Some(None) => "absent".to_owned(),
            None => "left as it is".to_owned(),
        };
        differ(name, &show(was.get(name)), &show(is.get(name)));
    }
    lines
}

/// What the journal has at a step, in words.
pub(super) fn describe(known: &[(Timestamp, What)]) -> String {
    let texts = known.iter().filter_map(|(_, what)| match what {
        What::Read { verb, of, .. } | What::ReadFailed { verb, of, .. } => Some(format!("{verb} of `{of}`")),
        What::Waited { what, .. } => Some(format!("a wait for {what}")),
        What::Asked { id, .. } => Some(format!("question `{id}`")),
        What::AwaitsApproval { asking, .. } => Some(format!("approval `{}`", asking.id)),
        What::Started { action, .. } | What::Unchanged { action, .. } => Some(action.to_string()),
        What::Said { text, .. } => Some(format!("the text `{text}`")),
        What::Shown { table, .. } => Some(format!("a table of {} row(s)", table.rows.len())),
        What::Effect { text, .. } => Some(text.clone()),
        What::Committed { .. } => Some("commit".to_owned()),
        What::CommittedEnv { env, .. } => Some(format!("commit of {env}")),
        _ => None,
    });
    texts.into_iter().next().unwrap_or_else(|| "nothing".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity(asg: &str, min: Option<u32>, desired: Option<u32>) -> Action {
        Action::Capacity { asg: asg.into(), min, max: None, desired }
    }

    #[test]
    fn only_what_differs_is_told_and_what_one_side_leaves_alone_is_told_too() {
        let lines = fields(&capacity("beta-blue", Some(1), Some(2)), &capacity("beta-blue", None, Some(3)));
        assert_eq!(lines, ["desired: 2 in the journal, 3 in the playbook", "min: 1 in the journal, left as it is in the playbook"]);
        assert!(fields(&capacity("a", None, Some(1)), &capacity("a", None, Some(1))).is_empty());
    }

    #[test]
    fn another_group_is_told_first() {
        let lines = fields(&capacity("beta-blue", None, Some(2)), &capacity("beta-green", None, Some(2)));
        assert_eq!(lines, ["of: beta-blue in the journal, beta-green in the playbook"]);
    }
}
