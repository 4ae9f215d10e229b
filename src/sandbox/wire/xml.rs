//! A writer of the small XML documents that AWS answers with.

use std::fmt::{self, Display, Write};

/// Most answers fit, so that a document is not moved as it grows.
const BYTES_USUAL: usize = 4096;

/// XML text under construction; element names are ours, values are escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Xml(String);

impl Xml {
    pub fn new() -> Xml {
        Xml(String::with_capacity(BYTES_USUAL))
    }

    /// `<name>value</name>`
    pub fn leaf(&mut self, name: &str, value: impl Display) -> &mut Xml {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
        // Writing into a string does not fail.
        let _ = write!(Escaped(&mut self.0), "{value}");
        self.close(name)
    }

    /// As `leaf`, or nothing when there is no value.
    pub fn leaf_if(&mut self, name: &str, value: Option<impl Display>) -> &mut Xml {
        match value {
            Some(value) => self.leaf(name, value),
            None => self,
        }
    }

    /// `<name>…</name>` around what `fill` writes.
    pub fn within(&mut self, name: &str, fill: impl FnOnce(&mut Xml)) -> &mut Xml {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
        fill(self);
        self.close(name)
    }

    /// `<name><member>…</member>…</name>`, the list of awsQuery.
    pub fn members<T>(&mut self, name: &str, items: impl IntoIterator<Item = T>, fill: impl Fn(&mut Xml, T)) -> &mut Xml {
        self.within(name, |xml| {
            for item in items {
                xml.within("member", |xml| fill(xml, item));
            }
        })
    }

    /// A list of plain values.
    pub fn values<T: Display>(&mut self, name: &str, items: impl IntoIterator<Item = T>) -> &mut Xml {
        self.within(name, |xml| {
            for item in items {
                xml.leaf("member", item);
            }
        })
    }

    pub fn raw(&mut self, inner: &Xml) -> &mut Xml {
        self.0.push_str(&inner.0);
        self
    }

    /// The finished document with one root element in a namespace (none when empty).
    pub fn document(&self, root: &str, namespace: &str) -> String {
        let space = if namespace.is_empty() { String::new() } else { format!(" xmlns=\"{namespace}\"") };
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root}{space}>{}</{root}>", self.0)
    }

    fn close(&mut self, name: &str) -> &mut Xml {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
        self
    }
}

/// Escapes what is written through it.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.bytes().position(is_special) {
            self.0.push_str(&rest[..at]);
            escape(rest.as_bytes()[at], self.0);
            rest = &rest[at + 1..];
        }
        self.0.push_str(rest);
        Ok(())
    }
}

/// All of them are ASCII, so they stand for themselves in UTF-8.
fn is_special(byte: u8) -> bool {
    matches!(byte, b'&' | b'<' | b'>' | b'"') || (byte < b' ' && byte != b'\n' && byte != b'\t')
}

fn escape(byte: u8, out: &mut String) {
    match byte {
        b'&' => out.push_str("&amp;"),
        b'<' => out.push_str("&lt;"),
        b'>' => out.push_str("&gt;"),
        b'"' => out.push_str("&quot;"),
        // A parser turns a bare carriage return into a line feed.
        b'\r' => out.push_str("&#13;"),
        // Not allowed in XML 1.0 in any form: shown, not sent.
        control => {
            let _ = write!(out, "\\u{control:02x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_names_nest() {
        let mut xml = Xml::new();
        xml.within("A", |xml| {
            xml.leaf("B", "a<b>&\"c\"\r").leaf_if("C", None::<u32>).leaf_if("D", Some(4));
        });
        assert_eq!(
            xml.document("R", ""),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R><A><B>a&lt;b&gt;&amp;&quot;c&quot;&#13;</B><D>4</D></A></R>"
        );
    }

    #[test]
    fn lists_have_members() {
        let mut xml = Xml::new();
        xml.values("V", ["x", "y"]).members("M", [1], |xml, n| {
            xml.leaf("N", n);
        });
        let text = xml.document("R", "urn:x");
        assert!(
            text.contains("<R xmlns=\"urn:x\"><V><member>x</member><member>y</member></V><M><member><N>1</N></member></M></R>"),
            "{text}"
        );
    }

    #[test]
    fn forbidden_control_characters_never_reach_the_parser() {
        let mut xml = Xml::new();
        xml.leaf("B", "a\u{1}b");
        xml.leaf("C", "\tü\n\u{1f}");
        assert!(xml.document("R", "").contains("<B>a\\u01b</B><C>\tü\n\\u1f</C>"));
    }
}
