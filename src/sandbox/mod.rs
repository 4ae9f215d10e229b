//! A simulated AWS at the level of HTTP bytes. Knows nothing of the rest of bgx.
//!
//! `world/` is the account as plain data and how it moves with time; `wire/` turns requests into calls on it and answers in
//! AWS's own formats; `fault.rs` spoils chosen calls; `audit/` judges what a world has been through; `door.rs` is the in-process HTTP connector for the SDK and `server.rs`
//! the same on a loopback port. Time is always an argument.

pub mod audit;
pub mod door;
pub mod fault;
pub mod server;
pub mod wire;
pub mod world;

#[cfg(test)]
mod tests;

use fault::{Effect, Rules};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use wire::{Call, Done, Need};
use world::{Time, World};

/// Keeps the world somewhere safe; called after a call that changed it and before its reply goes out.
pub type Save = Arc<dyn Fn(&World) -> io::Result<()> + Send + Sync>;

/// An HTTP request as it reached the simulated AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// Host without port, e.g. `autoscaling.us-east-1.amazonaws.com`, or an instance's private address.
    pub host: String,
    /// Port that it was sent to; the services of AWS are told apart by host.
    pub port: u16,
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
    /// Nobody listens at that address; the call was not carried out.
    Refused,
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
    /// How often each operation was called: by service (as in host names) and operation.
    pub calls: BTreeMap<(String, String), u64>,
    /// Every call in order.
    pub trace: Vec<Traced>,
    /// Rung at a call, for whoever wants to do something at that moment.
    pub bell: Option<Bell>,
    /// At the call of this index the machine of the caller stands still for so long, while the account goes on.
    pub stall: Option<(usize, Duration)>,
    /// The world before each request, where somebody wants to go back there.
    pub kept: Option<Vec<World>>,
    /// Requests so far; makes their ids.
    requests: u64,
}

/// One call as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    pub at: Time,
    /// As in host names.
    pub service: String,
    /// That was asked; `None`: the account's home region.
    pub region: Option<String>,
    pub operation: String,
    /// Success changes the world.
    pub mutates: bool,
    /// Permissions that it needs.
    pub needs: Arc<[Need]>,
}

/// Told once, just before a call is carried out.
#[derive(Clone)]
pub struct Bell {
    /// The call's index in the trace; `usize::MAX`: no call.
    pub call: usize,
    /// At the first call from this moment on, whichever it is.
    pub latest: Time,
    pub ring: Arc<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").field("call", &self.call).field("latest", &self.latest).finish_non_exhaustive()
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

impl Sandbox {
    pub fn new(world: World) -> Sandbox {
        Sandbox {
            world,
            faults: Rules::default(),
            calls: BTreeMap::new(),
            trace: Vec::new(),
            bell: None,
            stall: None,
            kept: None,
            requests: 0,
        }
    }

    /// Goes back, or on, to a world after these calls; each of them was one request.
    pub fn jump(&mut self, world: World, trace: Vec<Traced>) {
        self.requests = u64::try_from(trace.len()).unwrap_or(u64::MAX);
        (self.world, self.trace) = (world, trace);
    }

    /// Moves the world to `now`, carries out the request, and says how it ended, after what delay, and whether the world was changed by it.
    pub fn handle(&mut self, now: Time, request: &Request) -> Answer {
        if let Some(kept) = &mut self.kept {
            kept.push(self.world.clone());
        }
        self.world.advance(now.max(self.world.now));
        let delay = Duration::from_millis(self.world.timing.call.draw(&mut self.world.rng));
        self.requests += 1;
        let id = wire::uuid_of(&format!("request {}", self.requests));
        let done = match wire::read(request, &self.world) {
            Ok(call) => self.carry_out(&call, request, &id),
            Err(fault) => Done { outcome: Outcome::Reply(wire::no_service(&fault, &id)), changed: false },
        };
        Answer { outcome: stamped(done.outcome, &id, self.world.now), delay, changed: done.changed }
    }

    /// Keeps the call in the trace; its turn may be the bell's.
    fn note(&mut self, call: &Call, request: &Request) {
        let (at, index) = (self.world.now, self.trace.len());
        let (service, operation) = (call.service.name().to_owned(), call.operation.clone());
        let region = (call.region != self.world.region).then(|| call.region.clone());
        let needs = self.world.in_region(&call.region, |there| wire::needs(there, call, request)).into();
        self.trace.push(Traced { at, service, region, operation, mutates: call.mutates(), needs });
        if let Some(bell) = self.bell.take_if(|bell| bell.call == index || at >= bell.latest) {
            (bell.ring)();
        }
    }

    /// The call itself, or what a fault makes of it.
    fn carry_out(&mut self, call: &Call, request: &Request, id: &str) -> Done {
        let service = call.service.name();
        *self.calls.entry((service.to_owned(), call.operation.clone())).or_default() += 1;
        self.note(call, request);
        let instead = |outcome| Done { outcome, changed: false };
        match self.faults.strike((self.trace.len() - 1, self.world.now), call) {
            None => wire::carry_out(&mut self.world, call, request, id),
            Some(Effect::Error { status, code, message }) => {
                let fault = world::Fault { status, code, message };
                instead(Outcome::Reply(wire::error(call.service, request, &fault, id)))
            }
            Some(Effect::Body { content_type, body }) => {
                let headers = vec![("content-type".to_owned(), content_type)];
                instead(Outcome::Reply(Reply { status: 200, headers, body: body.into_bytes() }))
            }
            Some(Effect::World(region, mishap)) => {
                let happened = mishap.befall_in(&mut self.world, region.as_deref());
                let done = wire::carry_out(&mut self.world, call, request, id);
                Done { changed: done.changed || happened, ..done }
            }
            Some(Effect::ResetBefore) => instead(Outcome::Reset),
            Some(Effect::HangBefore) => instead(Outcome::Hang),
            Some(Effect::ResetAfter) => Done { outcome: Outcome::Reset, ..wire::carry_out(&mut self.world, call, request, id) },
            Some(Effect::HalfAfter) => {
                let done = wire::carry_out(&mut self.world, call, request, id);
                Done { outcome: halved(done.outcome), ..done }
            }
            Some(Effect::HangAfter) => Done { outcome: Outcome::Hang, ..wire::carry_out(&mut self.world, call, request, id) },
        }
    }
}

/// The reply without the second half of its body.
fn halved(outcome: Outcome) -> Outcome {
    let Outcome::Reply(mut reply) = outcome else { return outcome };
    reply.body.truncate(reply.body.len() / 2);
    reply.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
    Outcome::Reply(reply)
}

/// A reply with the headers that every answer of AWS has.
fn stamped(outcome: Outcome, id: &str, now: Time) -> Outcome {
    let Outcome::Reply(mut reply) = outcome else { return outcome };
    let headers = [("date", wire::http_date(now)), ("x-amzn-requestid", id.to_owned()), ("x-amz-request-id", id.to_owned())];
    reply.headers.extend(headers.map(|(name, value)| (name.to_owned(), value)));
    Outcome::Reply(reply)
}
