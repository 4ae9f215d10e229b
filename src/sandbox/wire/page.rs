//! One page of a longer answer, and the token that names the next.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A page and, when there is more, the token of the next.
#[derive(Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

/// Cuts one page out of `items`; `None` for a token that this operation never gave out.
pub fn page<T>(items: Vec<T>, operation: &str, token: Option<&str>, size: u32) -> Option<Page<T>> {
    let start = match token {
        None => 0,
        Some(token) => place(operation, token)?,
    };
    let end = start.saturating_add(size as usize);
    let next = (end < items.len()).then(|| URL_SAFE_NO_PAD.encode(format!("{operation}/{end}")));
    Some(Page { items: items.into_iter().skip(start).take(size as usize).collect(), next })
}

fn place(operation: &str, token: &str) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    text.strip_prefix(operation)?.strip_prefix('/')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_join_to_the_whole() {
        let mut seen = Vec::new();
        let mut token = None;
        loop {
            let page = page((0..7).collect(), "Describe", token.as_deref(), 3).expect("our own token");
            seen.extend(page.items);
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, (0..7).collect::<Vec<_>>());
    }

    #[test]
    fn the_last_full_page_has_no_token() {
        assert_eq!(page(vec![1, 2], "D", None, 2), Some(Page { items: vec![1, 2], next: None }));
    }

    #[test]
    fn a_strange_token_is_refused() {
        let token = page(vec![1, 2], "D", None, 1).expect("first page").next;
        assert!(page(vec![1, 2], "Other", token.as_deref(), 1).is_none());
        assert!(page(vec![1, 2], "D", Some("!!"), 1).is_none());
    }
}
