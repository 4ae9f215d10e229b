//! What the caller may do: an IAM policy, as data.
//!
//! IAM user guide, "Policy evaluation logic": what no statement allows is denied, and an explicit deny wins over any allow.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// An identity-based policy. Conditions and the `Not…` elements are not simulated, and refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Policy {
    pub version: String,
    pub statement: Vec<Statement>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Statement {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    pub effect: Verdict,
    /// `autoscaling:Describe*`
    #[serde(deserialize_with = "one_or_many")]
    pub action: Vec<String>,
    /// ARNs, with `*` and `?`.
    #[serde(deserialize_with = "one_or_many")]
    pub resource: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    Allow,
    Deny,
}

/// IAM takes a text for a list of one.
fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let wrong = || serde::de::Error::custom("a text or a list of texts is wanted");
    match Value::deserialize(from)? {
        Value::String(one) => Ok(vec![one]),
        Value::Array(many) => many.into_iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(wrong)).collect(),
        _ => Err(wrong()),
    }
}

impl Policy {
    /// In the language version of every policy since 2012.
    pub fn new(statement: Vec<Statement>) -> Policy {
        Policy { version: "2012-10-17".to_owned(), statement }
    }

    pub fn allows(&self, action: &str, resource: &str) -> bool {
        let mut matching = self.statement.iter().filter(|statement| statement.matches(action, resource)).peekable();
        matching.peek().is_some() && matching.all(|statement| statement.effect == Verdict::Allow)
    }
}

impl Statement {
    pub fn allow(action: Vec<String>, resource: Vec<String>) -> Statement {
        Statement { sid: None, effect: Verdict::Allow, action, resource }
    }

    fn matches(&self, action: &str, resource: &str) -> bool {
        let action = action.to_ascii_lowercase();
        self.action.iter().any(|pattern| fits(&pattern.to_ascii_lowercase(), &action))
            && self.resource.iter().any(|pattern| fits(pattern, resource))
    }
}

/// `*` stands for any text, also none and also with `:` and `/` in it; `?` for one character.
pub fn fits(pattern: &str, text: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('*') else { return same(pattern, text) };
    let count = before.chars().count();
    let cut = text.char_indices().nth(count).map_or(text.len(), |(at, _)| at);
    text.chars().count() >= count
        && same(before, &text[..cut])
        && text[cut..].char_indices().map(|(at, _)| at).chain([text.len() - cut]).any(|at| fits(rest, &text[cut + at..]))
}

fn same(pattern: &str, text: &str) -> bool {
    pattern.chars().count() == text.chars().count()
        && pattern.chars().zip(text.chars()).all(|(wanted, found)| wanted == '?' || wanted == found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Result<Policy, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_no_statement_allows_is_denied_and_a_deny_wins() {
        let text = r#"{ "Version": "2012-10-17", "Statement": [
            { "Sid": "All", "Effect": "Allow", "Action": "S3:*Object", "Resource": ["arn:aws:s3:::b/version/*"] },
            { "Effect": "Deny", "Action": ["s3:DeleteObject"], "Resource": "*" } ] }"#;
        let policy = policy(text).expect("it is one");
        assert!(policy.allows("s3:PutObject", "arn:aws:s3:::b/version/a/b"));
        assert!(!policy.allows("s3:PutObject", "arn:aws:s3:::b/versions"));
        assert!(!policy.allows("s3:PutObjectAcl", "arn:aws:s3:::b/version/a"));
        assert!(!policy.allows("s3:DeleteObject", "arn:aws:s3:::b/version/a"));
        assert_eq!(serde_json::from_value::<Policy>(serde_json::to_value(&policy).unwrap()).unwrap(), policy);
    }

    #[test]
    fn what_is_not_simulated_is_refused_and_not_passed_over() {
        let with = |more: &str| policy(&format!(r#"{{ "Version": "2012-10-17", "Statement": [{{ "Effect": "Allow", {more} }}] }}"#));
        for more in [
            r#""Action": "*", "Resource": "*", "Condition": {}"#,
            r#""NotAction": "*", "Resource": "*""#,
            r#""Action": 7, "Resource": "*""#,
            r#""Action": "*""#,
        ] {
            assert!(with(more).is_err(), "{more}");
        }
    }

    #[test]
    fn wildcards_cross_slashes_and_a_question_mark_is_one_character() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "ab", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*/x", "a/b/x", true),
            ("ab*", "a", false),
            ("ü*", "üb", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}
