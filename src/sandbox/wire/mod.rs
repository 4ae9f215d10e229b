//! From a request's bytes to a call on the world and back: one file per service, and here what they share.

use super::world::{Fault, Time, World};
use super::{Outcome, Reply, Request};
use query::Form;
use serde_json::Value;

mod actions;
mod authorize;
mod autoscaling;
mod cbor;
mod chunked;
mod cloudwatch;
pub mod codes;
mod commands;
mod elbv2;
mod github;
mod instances;
mod page;
mod policies;
mod query;
mod refresh;
mod route;
mod s3;
mod s3_list;
mod ssm;
mod sts;
mod targets;
mod throttle;
mod xml;

pub use authorize::{Need, needs};
pub use route::Service;
pub use throttle::rate_exceeded;
use xml::Xml;

/// A request whose service and operation are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub service: Service,
    /// That is asked.
    pub region: String,
    /// As in the service's API reference; for an instance the method and path.
    pub operation: String,
    input: Input,
}

#[derive(Clone, Debug, PartialEq)]
enum Input {
    Form(Form),
    Json(Value),
    Object(s3::Place),
    Instance,
}

impl Call {
    /// Whether success changes the world.
    pub fn mutates(&self) -> bool {
        match self.service {
            Service::Instance | Service::Webhook => !self.operation.starts_with("GET ") && !self.operation.starts_with("HEAD "),
            Service::GitHub => github::mutates(&self.operation),
            Service::AutoScaling | Service::LoadBalancing | Service::Ssm | Service::S3 | Service::Sts | Service::CloudWatch => {
                !["Describe", "Get", "List", "Head"].iter().any(|verb| self.operation.starts_with(verb))
            }
        }
    }
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    pub outcome: Outcome,
    pub changed: bool,
}

/// Finds out which service, region and operation a request is for.
pub fn read(request: &Request, world: &World) -> Result<Call, Fault> {
    let service = route::service(request)?;
    let region = route::region(service, request, world);
    let (operation, input) = match service {
        Service::AutoScaling | Service::LoadBalancing | Service::Sts => {
            let form = Form::parse(if request.body.is_empty() { request.query.as_bytes() } else { &request.body });
            (form.required("Action").map_err(|_| missing_action())?.to_owned(), Input::Form(form))
        }
        Service::Ssm => ssm::read(request).map(|(operation, input)| (operation, Input::Json(input)))?,
        Service::CloudWatch => cloudwatch::read(request).map(|(operation, input)| (operation, Input::Json(input)))?,
        Service::S3 => {
            let place = s3::Place::of(request);
            (s3::operation(request, &place), Input::Object(place))
        }
        Service::Instance | Service::Webhook => (format!("{} {}", request.method, request.path), Input::Instance),
        Service::GitHub => (format!("{} {}", request.method, github::path(request)), Input::Instance),
    };
    Ok(Call { service, region, operation, input })
}

/// Carries out a call in its region at the present moment, within the service's rate there and what the caller may do.
pub fn carry_out(world: &mut World, call: &Call, request: &Request, id: &str) -> Done {
    // Buckets are the account's, wherever they lie.
    let region = if call.service == Service::S3 { world.region.clone() } else { call.region.clone() };
    world.in_region(&region, |there| carry_out_there(there, call, request, id))
}

fn carry_out_there(world: &mut World, call: &Call, request: &Request, id: &str) -> Done {
    let admitted = throttle::admit(world, call.service, &call.operation).and_then(|()| authorize::admit(world, call, request));
    let result = admitted.and_then(|()| {
        let result = dispatch(world, call, request, id);
        let odd = result.as_ref().err().filter(|fault| codes::may_answer(&call.operation, &fault.code) == Some(false));
        debug_assert!(odd.is_none(), "{} cannot be answered with {odd:?}", call.operation);
        result
    });
    match result {
        Ok(Outcome::Reply(reply)) => Done { changed: call.mutates() && reply.status < 300, outcome: Outcome::Reply(reply) },
        Ok(outcome) => Done { outcome, changed: false },
        Err(fault) => Done { outcome: Outcome::Reply(error(call.service, request, &fault, id)), changed: false },
    }
}

fn dispatch(world: &mut World, call: &Call, request: &Request, id: &str) -> Result<Outcome, Fault> {
    let operation = call.operation.as_str();
    let reply = match &call.input {
        Input::Form(form) => {
            let result = match call.service {
                Service::AutoScaling => autoscaling::handle(world, operation, form)?,
                Service::LoadBalancing => Some(elbv2::handle(world, operation, form)?),
                Service::Sts | Service::Ssm | Service::S3 | Service::CloudWatch => Some(sts::handle(world, operation)?),
                Service::Instance | Service::Webhook | Service::GitHub => Some(sts::handle(world, operation)?),
            };
            query_reply(call.service, operation, id, result.as_ref())
        }
        Input::Json(input) if call.service == Service::CloudWatch => {
            cloudwatch::reply(200, &cloudwatch::handle(world, operation, input)?, request)
        }
        Input::Json(input) => json_reply(200, &ssm::handle(world, operation, input)?),
        Input::Object(place) => match s3::elsewhere(world, place, request, id) {
            Some(redirect) => redirect,
            None => s3::handle(world, operation, place, request)?,
        },
        Input::Instance if call.service == Service::Webhook => return Ok(instances::notice(world, request)),
        Input::Instance if call.service == Service::GitHub => github::handle(world, request),
        Input::Instance => return Ok(instances::handle(world, request)),
    };
    Ok(Outcome::Reply(reply))
}

/// An error in the format of the service that was asked.
pub fn error(service: Service, request: &Request, fault: &Fault, id: &str) -> Reply {
    match service {
        Service::AutoScaling | Service::LoadBalancing | Service::Sts => query_error(service.namespace(), fault, id),
        Service::Ssm => json_reply(fault.status, &serde_json::json!({ "__type": fault.code, "message": fault.message })),
        Service::S3 => s3::error(request, fault, id),
        Service::CloudWatch => cloudwatch::error(fault, request),
        Service::GitHub => github::error(fault),
        Service::Instance | Service::Webhook => {
            Reply { status: fault.status, headers: vec![content_type("text/plain")], body: fault.message.clone().into_bytes() }
        }
    }
}

/// The answer to a request that no simulated service can be found for.
pub fn no_service(fault: &Fault, id: &str) -> Reply {
    query_error("", fault, id)
}

fn query_error(namespace: &str, fault: &Fault, id: &str) -> Reply {
    let mut xml = Xml::new();
    xml.within("Error", |xml| {
        xml.leaf("Type", if fault.status >= 500 { "Receiver" } else { "Sender" }).leaf("Code", &fault.code).leaf("Message", &fault.message);
    });
    xml.leaf("RequestId", id);
    xml_reply(fault.status, xml.document("ErrorResponse", namespace))
}

fn query_reply(service: Service, operation: &str, id: &str, result: Option<&Xml>) -> Reply {
    let mut xml = Xml::new();
    if let Some(result) = result {
        xml.within(&format!("{operation}Result"), |xml| {
            xml.raw(result);
        });
    }
    xml.within("ResponseMetadata", |xml| {
        xml.leaf("RequestId", id);
    });
    xml_reply(200, xml.document(&format!("{operation}Response"), service.namespace()))
}

fn xml_reply(status: u16, body: String) -> Reply {
    Reply { status, headers: vec![content_type("text/xml")], body: body.into_bytes() }
}

fn json_reply(status: u16, body: &Value) -> Reply {
    Reply { status, headers: vec![content_type("application/x-amz-json-1.1")], body: body.to_string().into_bytes() }
}

fn content_type(value: &str) -> (String, String) {
    ("content-type".to_owned(), value.to_owned())
}

fn missing_action() -> Fault {
    Fault::new(400, "MissingAction", "The request must contain the parameter `Action`")
}

/// The refusal of an operation that the service, or this simulation of it, does not have.
fn no_operation(operation: &str, version: &str) -> Fault {
    Fault::new(400, "InvalidAction", format!("Could not find operation {operation} for version {version}"))
}

/// The date format of HTTP headers: `Sat, 21 Nov 2026 05:08:38 GMT`.
pub fn http_date(at: Time) -> String {
    let stamp = i64::try_from(at.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()).unwrap_or(jiff::Timestamp::MAX);
    stamp.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Hexadecimal digits that are always the same for the same text: for ids that AWS makes up and nothing depends on.
fn digits_of(text: &str) -> String {
    let seed = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{:016x}", super::world::Rng(seed).next())
}

/// A UUID that is always the same for the same text.
pub fn uuid_of(text: &str) -> String {
    let digits = format!("{}{}", digits_of(text), digits_of(&format!("{text}/2")));
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..32]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_http() {
        assert_eq!(http_date(Time(1_795_237_718_999)), "Sat, 21 Nov 2026 05:08:38 GMT");
    }

    #[test]
    fn made_up_ids_depend_on_the_text_only() {
        assert_eq!(uuid_of("a"), uuid_of("a"));
        assert_ne!(uuid_of("a"), uuid_of("b"));
        assert_eq!(uuid_of("a").len(), 36);
    }

    #[test]
    fn a_query_error_is_what_the_sdk_parses() {
        let reply = query_error("urn:x", &Fault::new(500, "ResourceContention", "a < b"), "id-1");
        let text = String::from_utf8(reply.body).expect("it is text");
        assert!(text.ends_with(
            "<ErrorResponse xmlns=\"urn:x\"><Error><Type>Receiver</Type><Code>ResourceContention</Code><Message>a &lt; b</Message></Error><RequestId>id-1</RequestId></ErrorResponse>"
        ));
        assert_eq!(reply.status, 500);
    }
}
