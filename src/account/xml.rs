//! Just enough of XML to tell a complete reply of AWS from anything else.

/// AWS's replies are ten deep; a limit keeps a hostile one from exhausting the stack.
const DEPTH_MAX: usize = 64;

/// An element with the elements in it; text and attributes are the SDK's business.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub name: &'a str,
    pub children: Vec<Element<'a>>,
}

impl Element<'_> {
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|c| c.name == name)
    }

    /// All elements at a path below this one.
    pub fn at(&self, path: &[&str]) -> Vec<&Self> {
        let Some((first, rest)) = path.split_first() else { return vec![self] };
        self.children.iter().filter(|c| c.name == *first).flat_map(|c| c.at(rest)).collect()
    }
}

/// The root of a whole document in which each tag is closed; `None` for anything else.
pub(super) fn parse(text: &str) -> Option<Element<'_>> {
    let mut open: Vec<Element<'_>> = Vec::new();
    let mut root = None;
    let mut rest = text.trim_start_matches('\u{feff}');
    while let Some(start) = rest.find('<') {
        if open.is_empty() && !rest[..start].trim().is_empty() {
            return None;
        }
        rest = &rest[start..];
        if let Some(after) = skip(rest) {
            rest = after?;
            continue;
        }
        let end = rest.find('>')?;
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let done = open.pop().filter(|e| e.name == name.trim())?;
            close(done, &mut open, &mut root)?;
        } else {
            let name = tag.split([' ', '\t', '\r', '\n', '/']).next().filter(|n| !n.is_empty())?;
            let element = Element { name, children: Vec::new() };
            match tag.ends_with('/') {
                true => close(element, &mut open, &mut root)?,
                false if open.len() < DEPTH_MAX => open.push(element),
                false => return None,
            }
        }
    }
    root.filter(|_| open.is_empty() && rest.trim().is_empty())
}

/// Puts a complete element into its parent; there is one root.
fn close<'a>(done: Element<'a>, open: &mut [Element<'a>], root: &mut Option<Element<'a>>) -> Option<()> {
    match open.last_mut() {
        Some(parent) => parent.children.push(done),
        None if root.is_none() => *root = Some(done),
        None => return None,
    }
    Some(())
}

/// Past a declaration, comment or CDATA section: `None` if there is none here, `Some(None)` if it has no end.
fn skip(rest: &str) -> Option<Option<&str>> {
    [("<?", "?>"), ("<!--", "-->"), ("<![CDATA[", "]]>")]
        .iter()
        .find(|(start, _)| rest.starts_with(start))
        .map(|(_, end)| rest.find(end).map(|at| &rest[at + end.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_document_has_its_elements() {
        let root = parse("<?xml version=\"1.0\"?>\n<A xmlns=\"x\"><!-- c --><B><C>1</C><C/></B><D>a &gt; b</D></A>\n").unwrap();
        assert_eq!(root.name, "A");
        assert_eq!(root.at(&["B", "C"]).len(), 2);
        assert!(root.child("D").is_some() && root.child("C").is_none());
    }

    #[test]
    fn whatever_is_cut_short_is_none() {
        let whole = "<A><B><C>1</C></B></A>";
        assert!(parse(whole).is_some());
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), None, "{}", &whole[..end]);
        }
    }

    #[test]
    fn what_is_not_one_document_is_none() {
        for text in ["", "hello", "{}", "<A></B>", "<A/><B/>", "<A/>tail", "head<A/>", "<A><!-- </A>", "</A>", "<>", "<!DOCTYPE html><p>hi"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"<a>".repeat(1000)), None);
    }
}
