//! ListObjectsV2: keys in binary order, rolled up at a delimiter, a page at a time.

use super::Xml;
use super::s3::Place;
use crate::sandbox::world::{Fault, Object, World};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt::Write;

/// Keys on one page.
const KEYS_MAX: usize = 1000;
/// The parameters of ListObjectsV2 that are simulated.
const PARAMETERS: [&str; 9] =
    ["list-type", "prefix", "delimiter", "max-keys", "continuation-token", "start-after", "encoding-type", "fetch-owner", "x-id"];

/// A row of the answer, by its name: a key, or the common prefix of several.
#[derive(Debug, PartialEq, Eq)]
enum Row<'a> {
    Key(&'a str),
    Prefix(&'a str),
}

impl Row<'_> {
    fn name(&self) -> &str {
        match self {
            Row::Key(name) | Row::Prefix(name) => name,
        }
    }
}

/// Where the page begins.
enum After<'a> {
    Start,
    /// `start-after`: after this key.
    Key(&'a str),
    /// The continuation token: after this row.
    Row(String),
}

pub fn list(world: &World, place: &Place) -> Result<Xml, Fault> {
    let asked = |name: &str| place.query.get(name).map(String::as_str);
    if let Some(strange) = place.query.keys().find(|name| !PARAMETERS.contains(&name.as_str()) && !name.starts_with("X-Amz-")) {
        return Err(Fault::new(501, "NotImplemented", format!("the sandbox does not simulate `{strange}` in this call")));
    }
    let (prefix, delimiter) = (asked("prefix").unwrap_or_default(), asked("delimiter").unwrap_or_default());
    let size = match asked("max-keys") {
        None => KEYS_MAX,
        Some(text) => {
            text.parse::<usize>().map_err(|_| argument("Provided max-keys not an integer or within integer range"))?.min(KEYS_MAX)
        }
    };
    let after = match (asked("continuation-token"), asked("start-after")) {
        (Some(token), _) => After::Row(named_by(token).ok_or_else(|| argument("The continuation token provided is incorrect"))?),
        (None, Some(key)) => After::Key(key),
        (None, None) => After::Start,
    };
    let objects = world.list_objects(&place.bucket, prefix)?;
    let keys: Vec<&str> = objects.iter().map(|(key, _)| *key).collect();
    let rows = rows(&keys, prefix, delimiter, &after);
    let shown = size.min(usize::try_from(world.timing.page_items).unwrap_or(usize::MAX));
    let page = &rows[..shown.min(rows.len())];
    let next = (page.len() < rows.len()).then(|| page.last().map(|row| URL_SAFE_NO_PAD.encode(row.name()))).flatten();
    Ok(written(place, page, &objects, next, size))
}

fn rows<'a>(keys: &[&'a str], prefix: &str, delimiter: &str, after: &After) -> Vec<Row<'a>> {
    let mut rows: Vec<Row> = Vec::new();
    for key in keys {
        let end =
            if delimiter.is_empty() { None } else { key[prefix.len()..].find(delimiter).map(|at| prefix.len() + at + delimiter.len()) };
        let row = end.map_or(Row::Key(key), |end| Row::Prefix(&key[..end]));
        let is_later = match after {
            After::Start => true,
            After::Key(start) => key > start,
            After::Row(name) => row.name() > name.as_str(),
        };
        if is_later && rows.last() != Some(&row) {
            rows.push(row);
        }
    }
    rows
}

fn written(place: &Place, page: &[Row], objects: &[(&str, &Object)], next: Option<String>, size: usize) -> Xml {
    let asked = |name: &str| place.query.get(name);
    let in_url = asked("encoding-type").is_some_and(|kind| kind == "url");
    let shown = |text: &str| if in_url { url_encoded(text) } else { text.to_owned() };
    let mut xml = Xml::new();
    xml.leaf("Name", &place.bucket)
        .leaf("Prefix", shown(asked("prefix").map_or("", String::as_str)))
        .leaf_if("Delimiter", asked("delimiter").map(|text| shown(text)))
        .leaf_if("StartAfter", asked("start-after").map(|text| shown(text)))
        .leaf_if("ContinuationToken", asked("continuation-token"))
        .leaf_if("EncodingType", asked("encoding-type"))
        .leaf("KeyCount", page.len())
        .leaf("MaxKeys", size)
        .leaf("IsTruncated", next.is_some())
        .leaf_if("NextContinuationToken", next);
    for row in page {
        match row {
            Row::Prefix(name) => {
                xml.within("CommonPrefixes", |xml| {
                    xml.leaf("Prefix", shown(name));
                });
            }
            Row::Key(key) => {
                let at = objects.binary_search_by(|(name, _)| (*name).cmp(key)).expect("the row was made from these objects");
                let object = objects[at].1;
                xml.within("Contents", |xml| {
                    xml.leaf("Key", shown(key))
                        .leaf("LastModified", object.modified)
                        .leaf("ETag", &object.etag)
                        .leaf("Size", object.body.len())
                        .leaf("StorageClass", "STANDARD");
                });
            }
        }
    }
    xml
}

fn named_by(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

fn url_encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

fn argument(message: &str) -> Fault {
    Fault::new(400, "InvalidArgument", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 6] = ["a", "b/1", "b/2", "b0", "c/x/1", "c/x/2"];

    fn names(prefix: &str, delimiter: &str, after: &After) -> Vec<String> {
        let keys: Vec<&str> = KEYS.into_iter().filter(|key| key.starts_with(prefix)).collect();
        rows(&keys, prefix, delimiter, after).iter().map(|row| row.name().to_owned()).collect()
    }

    #[test]
    fn without_a_delimiter_every_key_is_a_row() {
        assert_eq!(names("", "", &After::Start), KEYS);
    }

    #[test]
    fn a_delimiter_rolls_up_behind_the_prefix() {
        assert_eq!(names("", "/", &After::Start), ["a", "b/", "b0", "c/"]);
        assert_eq!(names("b/", "/", &After::Start), ["b/1", "b/2"]);
        assert_eq!(names("c/", "/", &After::Start), ["c/x/"]);
    }

    #[test]
    fn a_page_goes_on_behind_a_whole_common_prefix() {
        assert_eq!(names("", "/", &After::Row("b/".into())), ["b0", "c/"]);
    }

    #[test]
    fn start_after_is_a_key_not_a_row() {
        assert_eq!(names("", "/", &After::Key("b/1")), ["b/", "b0", "c/"]);
        assert_eq!(names("", "", &After::Key("b/1")), ["b/2", "b0", "c/x/1", "c/x/2"]);
    }

    #[test]
    fn keys_are_encoded_for_a_url() {
        assert_eq!(url_encoded("a b/ü+%"), "a%20b/%C3%BC%2B%25");
    }
}
