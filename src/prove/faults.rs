//! The table of faults: what each is, to which calls it applies, and why there.

use super::mishap::Befall;
use crate::sandbox::Traced;
use crate::sandbox::fault::{Make, Rule};

/// What a fault does.
#[derive(Clone, Copy)]
pub enum Harm {
    /// Nothing at all: the run by itself breaches nothing.
    Nothing,
    /// The call is spoiled once.
    Once(Make),
    /// So many calls of its kind, from this one on.
    Burst(Make, u32),
    /// Every call to its service for so many milliseconds.
    While(Make, u64),
    /// The call and all later ones of its kind are spoiled.
    Always(Make),
    /// Every call to AWS from this one on.
    Expired,
    /// No call to the region arrives any more, for so many milliseconds.
    Region(u64),
    /// The process gets a signal while the call is under way.
    Signal(&'static str),
    /// Something happens in the account just before the call.
    World(Befall),
    /// The machine that the process runs on stands still for so many milliseconds, just before the call.
    Stall(u64),
    /// From the call on nothing more fits on the disk of the journal; the process lives.
    DiskFull,
    /// The process dies when an event is on disk, or before it is.
    Kill { kept: bool },
}

/// One row of the table.
pub struct Fault {
    pub name: &'static str,
    pub harm: Harm,
    /// Calls it applies to; a kill goes by events instead.
    pub applies: fn(&Traced) -> bool,
    /// Why to those and no others.
    pub reason: &'static str,
    /// The run may end stuck: AWS itself denies the way back, or a stranger stands in it.
    pub may_stick: bool,
}

fn aws(call: &Traced) -> bool {
    call.service != "instance"
}

fn abroad(call: &Traced) -> bool {
    call.region.is_some()
}

fn mutating(call: &Traced) -> bool {
    call.mutates
}

/// Services that answer with text that means something only as a whole; S3 and instances say how long a body is.
fn whole_text(call: &Traced) -> bool {
    matches!(call.service.as_str(), "autoscaling" | "elasticloadbalancing" | "ssm" | "ec2" | "monitoring")
}

fn any(_: &Traced) -> bool {
    true
}

const fn row(name: &'static str, harm: Harm, applies: fn(&Traced) -> bool, reason: &'static str) -> Fault {
    Fault { name, harm, applies, reason, may_stick: false }
}

const fn sticky(fault: Fault) -> Fault {
    Fault { may_stick: true, ..fault }
}

fn asks_alarms(call: &Traced) -> bool {
    call.operation == "DescribeAlarms"
}

fn asks_metrics(call: &Traced) -> bool {
    call.operation == "GetMetricData"
}

const FIVE_MINUTES: u64 = 300_000;
const DAY: u64 = 86_400_000;
const ALARMS: &str = "who asks for alarms rests on them";
const METRICS: &str = "who asks for metrics rests on them";
const REGION: &str = "a region fails as a whole, and another one goes on: the home region has the lock and the journal";
const ANY: &str = "any request can meet it";
const AWS: &str = "an answer of AWS's front door; an instance has none";
const CHANGES: &str = "for a read, before and after are the same";
const MOMENT: &str = "the account moves by itself between any two calls";

pub static FAULTS: [Fault; 59] = [
    row("no fault", Harm::Nothing, any, "a playbook can do harm by itself"),
    row("throttled once", Harm::Once(Rule::throttle), aws, AWS),
    row("throttled 3 times", Harm::Burst(Rule::throttle, 3), aws, AWS),
    row("throttled 5 minutes", Harm::While(Rule::throttle, FIVE_MINUTES), aws, AWS),
    sticky(row("throttled for ever", Harm::Always(Rule::throttle), aws, AWS)),
    row("5xx once", Harm::Once(Rule::server_error), any, ANY),
    row("5xx 5 minutes", Harm::While(Rule::server_error, FIVE_MINUTES), aws, AWS),
    sticky(row("5xx for ever", Harm::Always(Rule::server_error), any, ANY)),
    row("request lost", Harm::Once(Rule::lost_request), any, ANY),
    row("reply lost", Harm::Once(Rule::lost_reply), mutating, CHANGES),
    sticky(row("reply lost for ever", Harm::Always(Rule::lost_reply), mutating, CHANGES)),
    row("hang", Harm::Once(Rule::hang), any, ANY),
    row("hang after effect", Harm::Once(Rule::hang_after), mutating, CHANGES),
    row("foreign body", Harm::Once(Rule::garbage), any, ANY),
    row("empty body", Harm::Once(Rule::empty), aws, AWS),
    row("half a body", Harm::Once(Rule::half_reply), whole_text, "what says its length is known to be cut"),
    row("concurrent update", Harm::Once(Rule::conflict), mutating, "only a write can meet another write"),
    sticky(row("denied for ever", Harm::Always(Rule::denied), aws, AWS)),
    sticky(row("credentials expired", Harm::Expired, aws, AWS)),
    row("SIGTERM", Harm::Signal("SIGTERM"), any, "a signal comes at any time"),
    row("SIGHUP", Harm::Signal("SIGHUP"), any, "a signal comes at any time"),
    row("policy +1, serving", Harm::World(Befall::Policy { serving: true, up: true }), any, MOMENT),
    row("policy -1, serving", Harm::World(Befall::Policy { serving: true, up: false }), any, MOMENT),
    row("policy +1, other", Harm::World(Befall::Policy { serving: false, up: true }), any, MOMENT),
    row("policy doubles, serving", Harm::World(Befall::Double { serving: true }), any, MOMENT),
    row("scheduled action +1, serving", Harm::World(Befall::Schedule { serving: true }), any, MOMENT),
    row("scheduled action +1, other", Harm::World(Befall::Schedule { serving: false }), any, MOMENT),
    row("zone rebalancing, serving", Harm::World(Befall::Rebalance { serving: true }), any, MOMENT),
    row("zone rebalancing, other", Harm::World(Befall::Rebalance { serving: false }), any, MOMENT),
    row("spot of all, serving", Harm::World(Befall::InterruptAll { serving: true }), any, MOMENT),
    row("spot of all, other", Harm::World(Befall::InterruptAll { serving: false }), any, MOMENT),
    row("spot, serving", Harm::World(Befall::Interrupt { serving: true }), any, MOMENT),
    row("spot, other", Harm::World(Befall::Interrupt { serving: false }), any, MOMENT),
    row("death, serving", Harm::World(Befall::Kill { serving: true }), any, MOMENT),
    row("death, other", Harm::World(Befall::Kill { serving: false }), any, MOMENT),
    row("application breaks, serving", Harm::World(Befall::Break { serving: true }), any, MOMENT),
    row("application breaks, other", Harm::World(Befall::Break { serving: false }), any, MOMENT),
    row("never healthy, serving", Harm::World(Befall::NeverHealthy { serving: true }), any, MOMENT),
    row("never healthy, other", Harm::World(Befall::NeverHealthy { serving: false }), any, MOMENT),
    row("bad build", Harm::World(Befall::BadBuild), any, "what is deployed may never have worked"),
    row("no capacity, serving", Harm::World(Befall::NoCapacity { serving: true }), any, MOMENT),
    row("no capacity, other", Harm::World(Befall::NoCapacity { serving: false }), any, MOMENT),
    sticky(row("stranger changes route", Harm::World(Befall::Route), any, MOMENT)),
    sticky(row("stranger changes record", Harm::World(Befall::Record), any, MOMENT)),
    sticky(row("stranger raises minimum", Harm::World(Befall::Resize), any, MOMENT)),
    sticky(row("stranger deletes the lock", Harm::World(Befall::LockDeleted), any, MOMENT)),
    sticky(row("stranger takes the lock", Harm::World(Befall::LockTaken), any, MOMENT)),
    sticky(row("alarm goes off", Harm::World(Befall::Alarm { state: "ALARM" }), asks_alarms, ALARMS)),
    row("alarm lacks data", Harm::World(Befall::Alarm { state: "INSUFFICIENT_DATA" }), asks_alarms, ALARMS),
    row("alarm deleted", Harm::World(Befall::AlarmDeleted), asks_alarms, ALARMS),
    row("metrics 30 minutes late", Harm::World(Befall::MetricsLate { ms: 6 * FIVE_MINUTES }), asks_metrics, METRICS),
    row("no metrics any more", Harm::World(Befall::MetricsLate { ms: DAY }), asks_metrics, METRICS),
    row("machine stands still 1 minute", Harm::Stall(60_000), any, "shorter than the lease of the lock"),
    row("machine stands still 10 minutes", Harm::Stall(2 * FIVE_MINUTES), any, "the lease of the lock is over when it goes on"),
    row("region unreachable 5 minutes", Harm::Region(FIVE_MINUTES), abroad, REGION),
    sticky(row("region unreachable for ever", Harm::Region(10_000 * DAY), abroad, REGION)),
    row("disk full", Harm::DiskFull, any, "a disk fills up at any time; what is not recorded is not done"),
    row("killed, event lost", Harm::Kill { kept: false }, any, "after the effect of a call, before its outcome is whole on disk"),
    row(
        "killed, event kept",
        Harm::Kill { kept: true },
        any,
        "after an intent or an outcome is on disk, before the next call; others are lost",
    ),
];
