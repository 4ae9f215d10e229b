//! A writer of the small XML documents that AWS answers with.

use std::fmt::{Display, Write};

/// XML text under construction; element names are ours, values are escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Xml(String);

impl Xml {
    pub fn new() -> Xml {
        Xml::default()
    }

    /// `<name>value</name>`
    pub fn leaf(&mut self, name: &str, value: impl Display) -> &mut Xml {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
        escape(&value.to_string(), &mut self.0);
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

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A parser turns a bare carriage return into a line feed.
            '\r' => out.push_str("&#13;"),
            // Not allowed in XML 1.0 in any form: shown, not sent.
            c if c < ' ' && c != '\n' && c != '\t' => {
                let _ = write!(out, "\\u{:02x}", u32::from(c));
            }
            c => out.push(c),
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
        assert!(xml.document("R", "").contains("<B>a\\u01b</B>"));
    }
}
