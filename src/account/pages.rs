//! Lists that come in pages: read to the end, with a bound, and never round in circles.

use super::retry::Call;
use std::collections::BTreeSet;

/// A million records at AWS's smallest full page; nobody has that many rules.
const PAGES_MAX: usize = 1000;

/// Where a list has got to.
#[derive(Debug, Default)]
pub(super) struct Pages {
    seen: BTreeSet<String>,
    pub token: Option<String>,
}

impl Pages {
    /// The call for the page that is to come.
    pub fn next<'a>(&'a self, call: Call<'a>) -> Call<'a> {
        Call { says: self.token.as_deref(), ..call }
    }

    /// Takes the token that a page ended with: whether there is another page.
    pub fn go_on(&mut self, token: Option<String>) -> Result<bool, String> {
        self.token = token.filter(|t| !t.is_empty());
        let Some(token) = &self.token else { return Ok(false) };
        if !self.seen.insert(token.clone()) {
            return Err("the list repeats a page".into());
        }
        if self.seen.len() >= PAGES_MAX {
            return Err(format!("the list does not end within {PAGES_MAX} pages"));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_where_no_token_or_an_empty_one_follows() {
        assert_eq!(Pages::default().go_on(None), Ok(false));
        assert_eq!(Pages::default().go_on(Some(String::new())), Ok(false));
    }

    #[test]
    fn a_repeated_token_is_an_error() {
        let mut pages = Pages::default();
        assert_eq!(pages.go_on(Some("a".into())), Ok(true));
        assert_eq!(pages.go_on(Some("b".into())), Ok(true));
        assert!(pages.go_on(Some("a".into())).is_err());
    }

    #[test]
    fn a_list_without_end_is_an_error() {
        let mut pages = Pages::default();
        assert!((0..PAGES_MAX + 1).any(|n| pages.go_on(Some(n.to_string())).is_err()));
    }
}
