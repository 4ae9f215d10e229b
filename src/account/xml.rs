//! Just enough of XML to tell a complete reply of AWS from anything else, without keeping any of it.

/// AWS's replies are ten deep; a limit keeps a hostile one from filling the memory.
const DEPTH_MAX: usize = 64;
/// Deeper than AWS's replies, so that the names of open elements are allocated once.
const DEPTH_USUAL: usize = 16;

/// What becomes of the element at the end of a path of names, the root first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Opens,
    Closes,
}

/// Reads a whole document in which each tag is closed: shows each element's path as it opens and closes, and gives the name of the root.
/// `None` for anything else. Text and attributes are the SDK's business.
pub(super) fn read<'a>(text: &'a str, mut see: impl FnMut(Step, &[&'a str])) -> Option<&'a str> {
    let mut open: Vec<&str> = Vec::with_capacity(DEPTH_USUAL);
    let mut root = None;
    let mut rest = text.trim_start_matches('\u{feff}');
    while let Some(start) = place(rest, |byte| byte == b'<') {
        if open.is_empty() && !rest[..start].trim().is_empty() {
            return None;
        }
        rest = &rest[start..];
        if let Some(after) = skip(rest) {
            rest = after?;
            continue;
        }
        let end = place(rest, |byte| byte == b'>')?;
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            open.last().filter(|opened| **opened == name.trim_end())?;
            see(Step::Closes, &open);
            open.pop();
            continue;
        }
        let name = &tag[..place(tag, |byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'/')).unwrap_or(tag.len())];
        let is_second_root = open.is_empty() && root.is_some();
        if name.is_empty() || is_second_root || open.len() >= DEPTH_MAX {
            return None;
        }
        root = root.or(Some(name));
        open.push(name);
        see(Step::Opens, &open);
        if tag.ends_with('/') {
            see(Step::Closes, &open);
            open.pop();
        }
    }
    root.filter(|_| open.is_empty() && rest.trim().is_empty())
}

/// What is looked for is ASCII and some twenty bytes away, where a plain loop is faster than a search for characters.
fn place(text: &str, is: impl Fn(u8) -> bool) -> Option<usize> {
    text.bytes().position(is)
}

/// The root of a whole document.
pub(super) fn root(text: &str) -> Option<&str> {
    read(text, |_, _| {})
}

/// Past a declaration, comment or CDATA section: `None` if there is none here, `Some(None)` if it has no end.
fn skip(rest: &str) -> Option<Option<&str>> {
    if !matches!(rest.as_bytes().get(1), Some(b'?' | b'!')) {
        return None;
    }
    [("<?", "?>"), ("<!--", "-->"), ("<![CDATA[", "]]>")]
        .iter()
        .find(|(start, _)| rest.starts_with(start))
        .map(|(_, end)| rest.find(end).map(|at| &rest[at + end.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_document_shows_its_elements() {
        let text = "<?xml version=\"1.0\"?>\n<A xmlns=\"x\"><!-- c --><B><C>1</C><C/></B ><D>a &gt; b</D></A>\n";
        let mut seen = Vec::new();
        let root = read(text, |step, path| seen.push(format!("{}{}", if step == Step::Opens { "" } else { "/" }, path.join("."))));
        assert_eq!(root, Some("A"));
        assert_eq!(seen.join(" "), "A A.B A.B.C /A.B.C A.B.C /A.B.C /A.B A.D /A.D /A");
    }

    #[test]
    fn whatever_is_cut_short_is_none() {
        let whole = "<A><B><C>1</C></B></A>";
        assert!(root(whole).is_some());
        for end in 0..whole.len() {
            assert_eq!(root(&whole[..end]), None, "{}", &whole[..end]);
        }
    }

    #[test]
    fn what_is_not_one_document_is_none() {
        for text in [
            "",
            "hello",
            "{}",
            "<A></B>",
            "<A/><B/>",
            "<A/>tail",
            "head<A/>",
            "<A><!-- </A>",
            "</A>",
            "</>",
            "<>",
            "</A",
            "<A></ A>",
            "<!DOCTYPE html><p>hi",
            "<A/></A>",
            "<A><B></A></B>",
        ] {
            assert_eq!(root(text), None, "{text}");
        }
        assert_eq!(root(&"<a>".repeat(1000)), None);
        let deep = |n| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
        assert_eq!((root(&deep(DEPTH_MAX)), root(&deep(DEPTH_MAX + 1))), (Some("a"), None));
    }
}
