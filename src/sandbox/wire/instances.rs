//! HTTP to the private address of an instance.

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
