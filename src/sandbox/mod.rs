//! A simulated AWS at the level of HTTP bytes. Knows nothing of the rest of bgx.
//!
//! `world/` is the account as plain data and how it moves with time; `wire/` turns requests into calls on it and answers in
//! AWS's own formats; `fault.rs` spoils chosen calls; `door.rs` is the in-process HTTP connector for the SDK and `server.rs`
//! the same on a loopback port. Time is always an argument.

pub mod door;
pub mod fault;
pub mod server;
pub mod wire;
pub mod world;

use fault::Rules;
use std::time::Duration;
use world::{Time, World};

/// An HTTP request as it reached the simulated AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// Host without port, e.g. `autoscaling.us-east-1.amazonaws.com`, or an instance's private address.
    pub host: String,
    /// Path, percent-encoded as sent, without the query.
    pub path: String,
    /// Query string without `?`.
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// How a call ended on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Reply(Reply),
    /// The connection broke; whether the call took effect is not known to the caller.
    Reset,
    /// No answer ever comes.
    Hang,
}

/// The simulated AWS: a world, and the faults that spoil calls to it.
#[derive(Clone, Debug)]
pub struct Sandbox {
    pub world: World,
    pub faults: Rules,
}

impl Sandbox {
    pub fn new(world: World) -> Sandbox {
        Sandbox { world, faults: Rules::default() }
    }

    /// Moves the world to `now`, carries out the request, and says how it ended, after what delay, and whether the world was changed by it.
    pub fn handle(&mut self, now: Time, request: &Request) -> Answer {
        self.world.advance(now);
        let _ = request;
        todo!()
    }
}

/// What `handle` gives back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub outcome: Outcome,
    /// From the moment of the call to the moment of the reply.
    pub delay: Duration,
    /// True for a call that changed the world (it is saved before the reply goes out).
    pub changed: bool,
}
