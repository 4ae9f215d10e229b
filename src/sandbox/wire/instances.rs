//! HTTP to the private address of an instance, and to the webhook outside.

use super::content_type;
use crate::sandbox::world::World;
use crate::sandbox::{Outcome, Reply, Request};

/// Asks the application on the instance; where nobody listens, the connection is refused.
pub fn handle(world: &mut World, request: &Request) -> Outcome {
    match world.instance_http((&request.host, request.port), &request.method, &request.path) {
        None => Outcome::Refused,
        Some(reply) => {
            Outcome::Reply(Reply { status: reply.status, headers: vec![content_type(reply.content_type)], body: reply.body.into_bytes() })
        }
    }
}

/// Keeps a notice, as chat programs do: a JSON object with a text.
pub fn notice(world: &mut World, request: &Request) -> Outcome {
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let is_notice = serde_json::from_str::<serde_json::Value>(&body).is_ok_and(|value| value["text"].is_string());
    let (status, text) = if is_notice && request.method == "POST" { (200, "ok") } else { (400, "no_text") };
    if status == 200 {
        world.notices.push(body);
    }
    Outcome::Reply(Reply { status, headers: vec![content_type("text/plain")], body: text.into() })
}
