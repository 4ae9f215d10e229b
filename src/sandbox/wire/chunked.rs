//! The `aws-chunked` content encoding: sized chunks, then trailing headers.

/// A decoded body and the headers that trailed it.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

/// Decodes `<hex size>[;extension]\r\n<bytes>\r\n … 0\r\n<name>:<value>\r\n\r\n`; `None` when the framing is broken.
pub fn decode(mut rest: &[u8]) -> Option<Decoded> {
    let mut body = Vec::new();
    loop {
        let (head, after) = line(rest)?;
        let size = usize::from_str_radix(head.split(';').next()?.trim(), 16).ok()?;
        rest = after;
        if size == 0 {
            return Some(Decoded { body, trailers: trailers(rest)? });
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

fn trailers(mut rest: &[u8]) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (text, after) = line(rest)?;
        rest = after;
        if let Some((name, value)) = text.split_once(':') {
            found.push((name.trim().to_lowercase(), value.trim().to_owned()));
        }
    }
    Some(found)
}

fn line(rest: &[u8]) -> Option<(&str, &[u8])> {
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    Some((std::str::from_utf8(&rest[..end]).ok()?, &rest[end + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_join_and_trailers_are_read() {
        let decoded = decode(b"4;chunk-signature=abc\r\nWiki\r\n5\r\npe\r\nd\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n")
            .expect("it is well framed");
        assert_eq!(decoded.body, b"Wikipe\r\nd");
        assert_eq!(decoded.trailers, [("x-amz-checksum-crc32".to_owned(), "AAAAAA==".to_owned())]);
    }

    #[test]
    fn broken_framing_is_no_body() {
        for broken in [&b"4\r\nWi"[..], b"zz\r\n", b"4\r\nWikiXX0\r\n\r\n", b"4\r\nWiki\r\n", b""] {
            assert_eq!(decode(broken), None, "{broken:?}");
        }
    }
}
