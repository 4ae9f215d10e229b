//! S3, restXml, virtual-host and path style: objects, and conditions on writing them.

use super::chunked;
use super::{Service, Xml, content_type, http_date, route, s3_list};
use crate::sandbox::world::{Fault, Object, ObjectMeta, PutCondition, World};
use crate::sandbox::{Reply, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;

/// What a request is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub bucket: String,
    /// Decoded; empty for the bucket itself.
    pub key: String,
    pub query: BTreeMap<String, String>,
}

impl Place {
    pub fn of(request: &Request) -> Place {
        let path = decoded(&request.path).trim_start_matches('/').to_owned();
        let query = form_urlencoded::parse(request.query.as_bytes()).into_owned().collect();
        match bucket_of_host(&request.host) {
            // Only the first slash separates; a key may begin with another.
            Some(bucket) => {
                Place { bucket: bucket.to_owned(), key: decoded(&request.path).strip_prefix('/').unwrap_or_default().to_owned(), query }
            }
            None => {
                let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
                Place { bucket: bucket.to_owned(), key: key.to_owned(), query }
            }
        }
    }
}

/// `my.bucket` of `my.bucket.s3.us-east-1.amazonaws.com` and of `my.bucket.localhost`; none in path style.
fn bucket_of_host(host: &str) -> Option<&str> {
    if let Some(bucket) = host.strip_suffix(".localhost") {
        return Some(bucket);
    }
    let labels = host.strip_suffix(".amazonaws.com")?;
    let at = labels.rfind(".s3.").or_else(|| labels.rfind(".s3-")).or_else(|| labels.strip_suffix(".s3").map(str::len));
    at.map(|end| &labels[..end])
}

/// The operation's name in the API reference; what is not simulated is named by its method.
pub fn operation(request: &Request, place: &Place) -> String {
    let known = |name: &&String| *name == "x-id" || name.starts_with("X-Amz-");
    let sub = place.query.keys().find(|name| !known(name));
    let name = match (request.method.as_str(), place.key.is_empty(), sub.map(String::as_str)) {
        ("GET", true, Some(_)) if place.query.get("list-type").is_some_and(|kind| kind == "2") => "ListObjectsV2",
        ("HEAD", true, None) => "HeadBucket",
        ("GET", false, None) => "GetObject",
        ("HEAD", false, None) => "HeadObject",
        ("PUT", false, None) if request.header("x-amz-copy-source").is_some() => "CopyObject",
        ("PUT", false, None) => "PutObject",
        ("DELETE", false, None) => "DeleteObject",
        (method, _, sub) => return sub.map_or(method.to_owned(), |sub| format!("{method}?{sub}")),
    };
    name.to_owned()
}

pub fn handle(world: &mut World, operation: &str, place: &Place, request: &Request) -> Result<Reply, Fault> {
    match operation {
        "GetObject" | "HeadObject" => get(world, place, request),
        "PutObject" => put(world, place, request),
        "CopyObject" => copy(world, place, request),
        "DeleteObject" => delete(world, place, request),
        "ListObjectsV2" => s3_list::list(world, place).map(|xml| xml_reply("ListBucketResult", &xml)),
        "HeadBucket" if world.buckets.contains_key(&place.bucket) => {
            Ok(Reply { status: 200, headers: vec![header("x-amz-bucket-region", world.region_of_bucket(&place.bucket))], body: Vec::new() })
        }
        "HeadBucket" => Err(Fault::new(404, "NoSuchBucket", "The specified bucket does not exist")),
        _ => Err(Fault::new(501, "NotImplemented", format!("the sandbox does not simulate the S3 operation `{operation}`"))),
    }
}

/// 301 where another region is asked than the one in which the bucket lies (S3 user guide, "Making requests using the REST API",
/// "PermanentRedirect"); the header names that region, as it does in the answer to HEAD, which has no body.
pub fn elsewhere(world: &World, place: &Place, request: &Request, id: &str) -> Option<Reply> {
    let lies = world.buckets.contains_key(&place.bucket).then(|| world.region_of_bucket(&place.bucket))?;
    let asked = route::asked_region(request)?;
    (asked != lies).then(|| {
        let message = "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.";
        let reply = error(request, &Fault::new(301, "PermanentRedirect", message), id);
        Reply { headers: [reply.headers, vec![header("x-amz-bucket-region", lies)]].concat(), ..reply }
    })
}

/// An S3 error; the answer to HEAD never has a body, so the SDK sees its status alone.
pub fn error(request: &Request, fault: &Fault, id: &str) -> Reply {
    let body = if request.method == "HEAD" {
        Vec::new()
    } else {
        let mut xml = Xml::new();
        xml.leaf("Code", &fault.code).leaf("Message", &fault.message).leaf("Resource", &request.path).leaf("RequestId", id);
        xml.document("Error", "").into_bytes()
    };
    Reply { status: fault.status, headers: vec![content_type("application/xml")], body }
}

fn get(world: &World, place: &Place, request: &Request) -> Result<Reply, Fault> {
    let object = world.object(&place.bucket, &place.key)?;
    if request.header("if-match").is_some_and(|tag| quoted(tag) != object.etag) {
        return Err(precondition());
    }
    let mut headers =
        vec![header("etag", &object.etag), header("last-modified", &http_date(object.modified)), header("accept-ranges", "bytes")];
    if request.header("if-none-match").is_some_and(|tag| quoted(tag) == object.etag) {
        return Ok(Reply { status: 304, headers, body: Vec::new() });
    }
    headers.push(header("content-length", &object.body.len().to_string()));
    headers.push(content_type(object.content_type.as_deref().unwrap_or("binary/octet-stream")));
    headers.extend(object.cache_control.iter().map(|value| header("cache-control", value)));
    headers.extend(object.metadata.iter().map(|(name, value)| header(&format!("x-amz-meta-{name}"), value)));
    let body = if request.method == "HEAD" { Vec::new() } else { object.body.clone() };
    Ok(Reply { status: 200, headers, body })
}

fn put(world: &mut World, place: &Place, request: &Request) -> Result<Reply, Fault> {
    let condition = condition(request)?;
    let (body, checksum) = payload(request)?;
    let etag = world.put_object(&place.bucket, &place.key, body, meta(request), &condition)?;
    let mut headers = vec![header("etag", &etag)];
    if let Some(checksum) = checksum {
        headers.push(header("x-amz-checksum-crc32", &checksum));
        headers.push(header("x-amz-checksum-type", "FULL_OBJECT"));
    }
    Ok(Reply { status: 200, headers, body: Vec::new() })
}

fn copy(world: &mut World, place: &Place, request: &Request) -> Result<Reply, Fault> {
    let source = copied_from(request);
    let Some((bucket, key)) = source.split_once('/') else {
        return Err(Fault::new(400, "InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"));
    };
    let condition = condition(request)?;
    let etag = if request.header("x-amz-metadata-directive") == Some("REPLACE") {
        let body = world.object(bucket, key)?.body.clone();
        world.put_object(&place.bucket, &place.key, body, meta(request), &condition)?
    } else {
        holds(world.object(&place.bucket, &place.key).ok(), &condition)?;
        world.copy_object((bucket, key), (&place.bucket, &place.key), meta(request).acl)?
    };
    let mut xml = Xml::new();
    xml.leaf("LastModified", world.now).leaf("ETag", etag);
    Ok(xml_reply("CopyObjectResult", &xml))
}

/// `bucket/key` of what a CopyObject reads.
pub fn copied_from(request: &Request) -> String {
    let source = decoded(request.header("x-amz-copy-source").unwrap_or_default());
    source.trim_start_matches('/').split("?versionId=").next().unwrap_or_default().to_owned()
}

fn delete(world: &mut World, place: &Place, request: &Request) -> Result<Reply, Fault> {
    let condition = match request.header("if-match") {
        None => PutCondition::None,
        // `*` asks only that the object exists.
        Some("*") => world.object(&place.bucket, &place.key).map(|object| PutCondition::Match(object.etag.clone()))?,
        Some(etag) => PutCondition::Match(quoted(etag)),
    };
    world.delete_object(&place.bucket, &place.key, &condition)?;
    Ok(Reply { status: 204, headers: Vec::new(), body: Vec::new() })
}

fn condition(request: &Request) -> Result<PutCondition, Fault> {
    match (request.header("if-none-match"), request.header("if-match")) {
        (None, None) => Ok(PutCondition::None),
        (Some("*"), None) => Ok(PutCondition::Absent),
        (None, Some(etag)) => Ok(PutCondition::Match(quoted(etag))),
        (Some(_), _) => Err(Fault::new(501, "NotImplemented", "A header you provided implies functionality that is not implemented")),
    }
}

fn holds(present: Option<&Object>, condition: &PutCondition) -> Result<(), Fault> {
    match (condition, present) {
        (PutCondition::Absent, Some(_)) => Err(precondition()),
        (PutCondition::Match(_), None) => Err(Fault::new(404, "NoSuchKey", "The specified key does not exist.")),
        (PutCondition::Match(etag), Some(object)) if *etag != object.etag => Err(precondition()),
        (PutCondition::None | PutCondition::Absent | PutCondition::Match(_), _) => Ok(()),
    }
}

/// The bytes of a PUT without their transfer framing, and their CRC32 where the client sent one (compared with the bytes).
fn payload(request: &Request) -> Result<(Vec<u8>, Option<String>), Fault> {
    let framed = request.header("content-encoding").is_some_and(|codings| codings.split(',').any(|c| c.trim() == "aws-chunked"));
    let streamed = request.header("x-amz-content-sha256").is_some_and(|text| text.starts_with("STREAMING-"));
    let (body, trailers) = if framed || streamed {
        let broken = || Fault::new(400, "IncompleteBody", "The request body terminated unexpectedly");
        let decoded = chunked::decode(&request.body).ok_or_else(broken)?;
        (decoded.body, decoded.trailers)
    } else {
        (request.body.clone(), Vec::new())
    };
    let trailing = trailers.into_iter().find(|(name, _)| name == "x-amz-checksum-crc32").map(|(_, value)| value);
    let claimed = trailing.or_else(|| request.header("x-amz-checksum-crc32").map(str::to_owned));
    if claimed.as_ref().is_some_and(|sum| *sum != STANDARD.encode(crc32fast::hash(&body).to_be_bytes())) {
        return Err(Fault::new(400, "BadDigest", "The CRC32 you specified did not match the calculated checksum."));
    }
    Ok((body, claimed))
}

fn meta(request: &Request) -> ObjectMeta {
    let own = |name: &str| request.header(name).map(str::to_owned);
    let metadata = request.headers.iter().filter_map(|(name, value)| Some((name.strip_prefix("x-amz-meta-")?.to_owned(), value.clone())));
    ObjectMeta {
        content_type: own("content-type"),
        cache_control: own("cache-control"),
        metadata: metadata.collect(),
        acl: own("x-amz-acl"),
    }
}

/// ETags are sent with and without their quotes.
fn quoted(etag: &str) -> String {
    format!("\"{}\"", etag.trim_matches('"'))
}

fn precondition() -> Fault {
    Fault::new(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
}

fn xml_reply(root: &str, xml: &Xml) -> Reply {
    Reply { status: 200, headers: vec![content_type("application/xml")], body: xml.document(root, Service::S3.namespace()).into_bytes() }
}

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Percent-decodes; `+` is itself in a path.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = (*first == b'%').then(|| tail.get(..2)).flatten();
        let byte = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, host: &str, path: &str, query: &str, headers: &[(&str, &str)], body: &[u8]) -> Request {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Request {
            method: method.into(),
            host: host.into(),
            port: 443,
            path: path.into(),
            query: query.into(),
            headers,
            body: body.to_vec(),
        }
    }

    fn place(host: &str, path: &str) -> (String, String) {
        let place = Place::of(&request("GET", host, path, "", &[], b""));
        (place.bucket, place.key)
    }

    #[test]
    fn both_styles_of_address_name_bucket_and_key() {
        let expected = ("my.bucket".to_owned(), "a b/c+d".to_owned());
        assert_eq!(place("my.bucket.s3.us-east-1.amazonaws.com", "/a%20b/c+d"), expected);
        assert_eq!(place("my.bucket.s3.amazonaws.com", "/a%20b/c+d"), expected);
        assert_eq!(place("s3.us-east-1.amazonaws.com", "/my.bucket/a%20b/c+d"), expected);
        assert_eq!(place("127.0.0.1", "/my.bucket/a%20b/c%2Bd"), expected);
        assert_eq!(place("my.bucket.localhost", "/a%20b/c+d"), expected);
    }

    #[test]
    fn operations_are_told_apart() {
        let name = |method: &str, path: &str, query: &str, headers: &[(&str, &str)]| {
            let request = request(method, "b.s3.us-east-1.amazonaws.com", path, query, headers, b"");
            operation(&request, &Place::of(&request))
        };
        assert_eq!(name("GET", "/", "list-type=2&prefix=x", &[]), "ListObjectsV2");
        assert_eq!(name("GET", "/k", "x-id=GetObject", &[]), "GetObject");
        assert_eq!(name("HEAD", "/k", "", &[]), "HeadObject");
        assert_eq!(name("PUT", "/k", "x-id=PutObject", &[]), "PutObject");
        assert_eq!(name("PUT", "/k", "", &[("x-amz-copy-source", "b/j")]), "CopyObject");
        assert_eq!(name("DELETE", "/k", "", &[]), "DeleteObject");
        assert_eq!(name("POST", "/k", "uploads", &[]), "POST?uploads");
    }

    #[test]
    fn a_checksum_that_does_not_match_is_refused_in_header_and_trailer() {
        let sum = STANDARD.encode(crc32fast::hash(b"Wiki").to_be_bytes());
        let put = |headers: &[(&str, &str)], body: &[u8]| payload(&request("PUT", "h", "/b/k", "", headers, body));
        assert_eq!(put(&[("x-amz-checksum-crc32", &sum)], b"Wiki"), Ok((b"Wiki".to_vec(), Some(sum.clone()))));
        assert_eq!(put(&[("x-amz-checksum-crc32", &sum)], b"Woki").unwrap_err().code, "BadDigest");
        let framed = format!("4\r\nWiki\r\n0\r\nx-amz-checksum-crc32:{sum}\r\n\r\n");
        let headers = [("content-encoding", "aws-chunked"), ("x-amz-trailer", "x-amz-checksum-crc32")];
        assert_eq!(put(&headers, framed.as_bytes()), Ok((b"Wiki".to_vec(), Some(sum))));
        assert_eq!(put(&headers, framed.replace("Wiki", "Woki").as_bytes()).unwrap_err().code, "BadDigest");
    }

    #[test]
    fn only_a_star_is_taken_for_if_none_match() {
        let with = |name: &str, value: &str| condition(&request("PUT", "h", "/b/k", "", &[(name, value)], b""));
        assert_eq!(with("if-none-match", "*"), Ok(PutCondition::Absent));
        assert_eq!(with("if-none-match", "\"abc\"").unwrap_err().status, 501);
        assert_eq!(with("if-match", "abc"), Ok(PutCondition::Match("\"abc\"".to_owned())));
    }

    #[test]
    fn an_error_to_head_has_no_body() {
        let fault = Fault::new(404, "NoSuchKey", "gone");
        assert!(error(&request("HEAD", "h", "/b/k", "", &[], b""), &fault, "id").body.is_empty());
        assert!(!error(&request("GET", "h", "/b/k", "", &[], b""), &fault, "id").body.is_empty());
    }
}
