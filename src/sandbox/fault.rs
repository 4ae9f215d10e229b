//! Rules that spoil a chosen call, or let something happen in the world just before it: placed, never by chance.

use super::wire::{self, Call};
use super::world::{Action, Fault, GroupUpdate, Lifecycle, ObjectMeta, PutCondition, Time, World};

/// The rules in force, consulted in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    pub rules: Vec<Rule>,
}

/// Spoils the calls that match it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Service as in the host name: `autoscaling`, `elasticloadbalancing`, `ssm`, `s3`, `sts`, `monitoring` (CloudWatch), and `instance` for HTTP to an instance; `None`: any.
    pub service: Option<String>,
    /// Operation, e.g. `ModifyRule`; for an instance e.g. `GET /healthcheck`; `None`: any.
    pub operation: Option<String>,
    /// Region that is asked; `None`: any.
    pub region: Option<String>,
    /// Matching calls to let through first.
    pub skip: u32,
    /// Matching calls to spoil after that; `u32::MAX`: all.
    pub times: u32,
    /// Calls before the one of this index, whatever they are, pass uncounted.
    pub from: usize,
    /// From this moment on the rule is over; `None`: never.
    pub until: Option<Time>,
    pub effect: Effect,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Refused with this error; nothing happens.
    Error { status: u16, code: String, message: String },
    /// The connection breaks before the call is carried out.
    ResetBefore,
    /// The call is carried out, then the connection breaks.
    ResetAfter,
    /// The call is carried out, and of the reply's body only the first half arrives, as if it were all.
    HalfAfter,
    /// No reply ever comes; the call is not carried out.
    HangBefore,
    /// No reply ever comes; the call is carried out.
    HangAfter,
    /// 200 with this body in place of the reply; the call is not carried out.
    Body { content_type: String, body: String },
    /// Something happens in the world, in this region or (`None`) the home region; then the call is carried out as if nothing were.
    World(Option<String>, Mishap),
}

/// What can happen to an account while a run is under way. A group's instance is its first in service, by id.
#[derive(Clone, Debug, PartialEq)]
pub enum Mishap {
    /// EC2 takes a spot instance back in two minutes.
    Interrupt { group: String },
    /// A machine dies without notice.
    Kill { group: String },
    /// EC2 takes all spot instances of the group back in two minutes.
    InterruptAll { group: String },
    /// The application on an instance stops working.
    Break { group: String },
    /// What boots from now on, or is booting, never answers its health check.
    NeverHealthy { group: String },
    /// This build never answers its health check, wherever it boots from now on.
    BadBuild { version: String },
    /// Zone rebalancing replaces an instance.
    Rebalance { group: String },
    /// No launches above so many instances; `None`: there is room again.
    LimitCapacity { group: String, limit: Option<u32> },
    /// A scaling policy asks for so many instances.
    Policy { group: String, to: u32 },
    /// A scheduled action asks for so many instances.
    Schedule { group: String, to: u32 },
    /// Somebody else updates the group.
    Resize { group: String, update: GroupUpdate },
    /// Somebody else sets the parameter.
    Parameter { name: String, value: String },
    /// Somebody else writes the object, or deletes it (`None`).
    Object { bucket: String, key: String, body: Option<String> },
    /// Somebody else changes the actions of a rule or listener (by ARN).
    Actions { resource: String, actions: Vec<Action> },
    /// An alarm goes into this state.
    Alarm { name: String, state: String },
    /// Somebody deletes an alarm.
    AlarmDeleted { name: String },
    /// From now on CloudWatch publishes what happened so many milliseconds later.
    MetricsLate { ms: u64 },
}

impl Mishap {
    /// Lets it happen now in this region of the account, or in its home region.
    pub fn befall_in(&self, account: &mut World, region: Option<&str>) -> bool {
        let region = region.map_or_else(|| account.region.clone(), str::to_owned);
        account.in_region(&region, |there| self.befall(there))
    }

    /// Lets it happen now; false when the world has nothing that it could happen to.
    pub fn befall(&self, world: &mut World) -> bool {
        match self {
            Mishap::Interrupt { group } => running(world, group, true).is_some_and(|id| world.interrupt(&id)),
            Mishap::Kill { group } => running(world, group, false).is_some_and(|id| world.kill_instance(&id)),
            Mishap::InterruptAll { group } => {
                let all: Vec<String> = world.instances.values().filter(|i| i.group == *group && i.spot).map(|i| i.id.clone()).collect();
                all.iter().fold(false, |any, id| world.interrupt(id) | any)
            }
            Mishap::Break { group } => running(world, group, false).is_some_and(|id| world.break_application(&id)),
            Mishap::NeverHealthy { group } => world.never_healthy(group),
            Mishap::BadBuild { version } => world.bad_builds.insert(version.clone()),
            Mishap::Rebalance { group } => world.fire_rebalance(group),
            Mishap::LimitCapacity { group, limit } => world.limit_capacity(group, *limit),
            Mishap::Policy { group, to } => world.fire_policy(group, *to),
            Mishap::Schedule { group, to } => world.fire_scheduled_action(group, *to),
            Mishap::Resize { group, update } => world.by_somebody_else(|w| w.update_group(group, update).is_ok()),
            Mishap::Parameter { name, value } => world.by_somebody_else(|w| w.put_parameter(name, value, Some("String"), true).is_ok()),
            Mishap::Object { bucket, key, body: Some(body) } => world.by_somebody_else(|w| {
                let body = body.clone().into_bytes();
                w.put_object(bucket, key, body, ObjectMeta::default(), &PutCondition::None).is_ok()
            }),
            Mishap::Object { bucket, key, body: None } => {
                world.by_somebody_else(|w| w.delete_object(bucket, key, &PutCondition::None).is_ok())
            }
            Mishap::Actions { resource, actions } if world.listeners.contains_key(resource) => {
                world.by_somebody_else(|w| w.modify_listener(resource, actions.clone()).is_ok())
            }
            Mishap::Actions { resource, actions } => world.by_somebody_else(|w| w.modify_rule(resource, actions.clone()).is_ok()),
            Mishap::Alarm { name, state } => {
                let there = world.alarms.contains_key(name);
                if there {
                    world.set_alarm(name, false, state);
                }
                there
            }
            Mishap::AlarmDeleted { name } => world.alarms.remove(name).is_some(),
            Mishap::MetricsLate { ms } => {
                world.timing.metric_lag = *ms;
                true
            }
        }
    }
}

/// The first instance of the group in service; for an interruption a spot instance without a notice.
fn running(world: &World, group: &str, spot: bool) -> Option<String> {
    let fits = |i: &&super::world::Instance| {
        i.group == group && i.lifecycle == Lifecycle::InService && (!spot || (i.spot && i.interrupted_at.is_none()))
    };
    world.instances.values().find(fits).map(|i| i.id.clone())
}

/// Makes a rule that spoils the next call to `operation` of `service`.
pub type Make = fn(service: &str, operation: &str) -> Rule;

/// Every kind of fault that any service can show, by name: what a sweep goes through.
pub const KINDS: [(&str, Make); 8] = [
    ("throttle", Rule::throttle),
    ("denied", Rule::denied),
    ("expired", Rule::expired),
    ("server_error", Rule::server_error),
    ("lost_request", Rule::lost_request),
    ("lost_reply", Rule::lost_reply),
    ("hang", Rule::hang),
    ("garbage", Rule::garbage),
];

impl Rules {
    pub fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// Counts the call of this index and moment against the rules that match it, and gives the effect of the first one whose turn it is.
    pub fn strike(&mut self, (index, now): (usize, Time), call: &Call) -> Option<Effect> {
        self.strike_at((index, now), (call.service.name(), &call.operation, &call.region))
    }

    fn strike_at(&mut self, (index, now): (usize, Time), call: (&str, &str, &str)) -> Option<Effect> {
        let in_force = |rule: &Rule| index >= rule.from && rule.until.is_none_or(|end| now < end);
        let matching = self.rules.iter_mut().filter(|rule| in_force(rule) && rule.matches(call));
        for rule in matching {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if rule.times > 0 {
                if rule.times != u32::MAX {
                    rule.times -= 1;
                }
                return Some(rule.effect.clone());
            }
        }
        None
    }
}

impl Rule {
    /// Spoils the next matching call, once.
    pub fn new(service: &str, operation: &str, effect: Effect) -> Rule {
        let (service, operation) = (Some(service.to_owned()), Some(operation.to_owned()));
        Rule { service, operation, region: None, skip: 0, times: 1, from: 0, until: None, effect }
    }

    /// Lets so many matching calls through first.
    #[must_use]
    pub fn after(mut self, calls: u32) -> Rule {
        self.skip = calls;
        self
    }

    /// Spoils so many matching calls.
    #[must_use]
    pub fn times(mut self, calls: u32) -> Rule {
        self.times = calls;
        self
    }

    /// Spoils every matching call from now on.
    #[must_use]
    pub fn always(self) -> Rule {
        self.times(u32::MAX)
    }

    /// Counts only from the call of this index on, whatever calls they were.
    #[must_use]
    pub fn from_call(mut self, index: usize) -> Rule {
        self.from = index;
        self
    }

    /// The trouble is over at this moment.
    #[must_use]
    pub fn until(mut self, end: Time) -> Rule {
        self.until = Some(end);
        self
    }

    /// Any operation of the service.
    #[must_use]
    pub fn any_operation(mut self) -> Rule {
        self.operation = None;
        self
    }

    /// In one region only.
    #[must_use]
    pub fn in_region(mut self, region: &str) -> Rule {
        match &mut self.effect {
            Effect::World(place, _) => *place = Some(region.to_owned()),
            _ => self.region = Some(region.to_owned()),
        }
        self
    }

    /// No call to a region arrives any more.
    pub fn region_unreachable(region: &str) -> Rule {
        Rule { service: None, ..Rule::lost_request("", "").any_operation().in_region(region).always() }
    }

    /// Asked too often, in the words of the service.
    pub fn throttle(service: &str, operation: &str) -> Rule {
        let Fault { status, code, message } = wire::rate_exceeded(service);
        Rule::new(service, operation, Effect::Error { status, code, message })
    }

    /// The caller may not do this.
    pub fn denied(service: &str, operation: &str) -> Rule {
        let message = format!("User is not authorized to perform: {service}:{operation} because no identity-based policy allows it");
        match service {
            "ssm" => Rule::error(service, operation, 400, "AccessDeniedException", &message),
            "s3" => Rule::error(service, operation, 403, "AccessDenied", "Access Denied"),
            _ => Rule::error(service, operation, 403, "AccessDenied", &message),
        }
    }

    /// The credentials ran out in the middle of a run.
    pub fn expired(service: &str, operation: &str) -> Rule {
        let message = "The security token included in the request is expired";
        match service {
            "ssm" => Rule::error(service, operation, 400, "ExpiredTokenException", message),
            "s3" => Rule::error(service, operation, 400, "ExpiredToken", "The provided token has expired."),
            _ => Rule::error(service, operation, 403, "ExpiredToken", message),
        }
    }

    /// An error inside the service; nothing happened.
    pub fn server_error(service: &str, operation: &str) -> Rule {
        match service {
            "ssm" => Rule::error(service, operation, 500, "InternalServerError", "An error occurred on the server side."),
            "s3" => Rule::error(service, operation, 500, "InternalError", "We encountered an internal error. Please try again."),
            _ => Rule::error(service, operation, 500, "InternalFailure", "The request processing has failed because of an unknown error."),
        }
    }

    /// The connection breaks before the service sees the request.
    pub fn lost_request(service: &str, operation: &str) -> Rule {
        Rule::new(service, operation, Effect::ResetBefore)
    }

    /// The call takes effect and its reply is lost.
    pub fn lost_reply(service: &str, operation: &str) -> Rule {
        Rule::new(service, operation, Effect::ResetAfter)
    }

    /// No answer ever comes, and nothing happened.
    pub fn hang(service: &str, operation: &str) -> Rule {
        Rule::new(service, operation, Effect::HangBefore)
    }

    /// No answer ever comes, and the call took effect.
    pub fn hang_after(service: &str, operation: &str) -> Rule {
        Rule::new(service, operation, Effect::HangAfter)
    }

    /// 200 with a page that some proxy wrote; nothing happened.
    pub fn garbage(service: &str, operation: &str) -> Rule {
        let body = "<html><body>Please log in to the guest network</body></html>".to_owned();
        Rule::new(service, operation, Effect::Body { content_type: "text/html".to_owned(), body })
    }

    /// 200 without a body; nothing happened.
    pub fn empty(service: &str, operation: &str) -> Rule {
        Rule::new(service, operation, Effect::Body { content_type: "text/xml".to_owned(), body: String::new() })
    }

    /// The call takes effect and half of its reply is lost.
    pub fn half_reply(service: &str, operation: &str) -> Rule {
        Rule::new(service, operation, Effect::HalfAfter)
    }

    /// Something happens in the world just before the call.
    pub fn mishap(service: &str, operation: &str, mishap: Mishap) -> Rule {
        Rule::new(service, operation, Effect::World(None, mishap))
    }

    /// A scaling activity of the group blocks the call.
    pub fn scaling_in_progress(operation: &str) -> Rule {
        let message = "Scaling activity 5e1f3a2c-0000-4000-8000-000000000001 is in progress and blocks this action";
        Rule::error("autoscaling", operation, 400, "ScalingActivityInProgress", message)
    }

    /// Two changes of one resource met: HTTP 500 from Auto Scaling, 429 from the load balancer, 400 from SSM, 409 from S3.
    pub fn conflict(service: &str, operation: &str) -> Rule {
        let (status, code) = match service {
            "elasticloadbalancing" => (429, "PriorRequestNotComplete"),
            "ssm" => (400, "TooManyUpdates"),
            "s3" => (409, "ConditionalRequestConflict"),
            _ => (500, "ResourceContention"),
        };
        Rule::error(service, operation, status, code, "There are concurrent updates for this resource")
    }

    pub fn error(service: &str, operation: &str, status: u16, code: &str, message: &str) -> Rule {
        Rule::new(service, operation, Effect::Error { status, code: code.to_owned(), message: message.to_owned() })
    }

    fn matches(&self, (service, operation, region): (&str, &str, &str)) -> bool {
        let fits = |wanted: &Option<String>, given: &str| wanted.as_deref().is_none_or(|wanted| wanted == given);
        fits(&self.service, service) && fits(&self.operation, operation) && fits(&self.region, region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: (usize, Time) = (0, Time(0));

    fn struck(rules: &mut Rules, calls: usize) -> Vec<bool> {
        (0..calls).map(|_| rules.strike_at(NOW, ("ssm", "PutParameter", "us-east-1")).is_some()).collect()
    }

    #[test]
    fn a_rule_skips_then_strikes_then_is_done() {
        let mut rules = Rules { rules: vec![Rule::throttle("ssm", "PutParameter").after(1).times(2)] };
        assert_eq!(struck(&mut rules, 5), [false, true, true, false, false]);
    }

    #[test]
    fn always_never_wears_out() {
        let mut rules = Rules { rules: vec![Rule::hang("ssm", "PutParameter").always()] };
        assert_eq!(struck(&mut rules, 3), [true, true, true]);
        assert_eq!(rules.rules[0].times, u32::MAX);
    }

    #[test]
    fn other_services_and_operations_pass() {
        let mut rules = Rules { rules: vec![Rule::denied("ssm", "PutParameter").always()] };
        assert_eq!(rules.strike_at(NOW, ("ssm", "GetParameter", "us-east-1")), None);
        assert_eq!(rules.strike_at(NOW, ("s3", "PutParameter", "us-east-1")), None);
        let any = Rule { service: None, ..Rule::denied("ssm", "PutParameter").any_operation() };
        assert!(Rules { rules: vec![any] }.strike_at(NOW, ("s3", "GetObject", "us-east-1")).is_some());
    }

    #[test]
    fn a_region_is_unreachable_and_the_others_are_not() {
        let mut rules = Rules { rules: vec![Rule::region_unreachable("eu-west-1")] };
        assert_eq!(rules.strike_at(NOW, ("ssm", "PutParameter", "us-east-1")), None);
        assert_eq!(rules.strike_at(NOW, ("ssm", "PutParameter", "eu-west-1")), Some(Effect::ResetBefore));
        assert_eq!(rules.strike_at(NOW, ("autoscaling", "DescribeAutoScalingGroups", "eu-west-1")), Some(Effect::ResetBefore));
    }

    #[test]
    fn the_first_rule_whose_turn_it_is_wins() {
        let first = Rule::lost_reply("ssm", "PutParameter").after(1);
        let mut rules = Rules { rules: vec![first, Rule::lost_request("ssm", "PutParameter").times(2)] };
        assert_eq!(rules.strike_at(NOW, ("ssm", "PutParameter", "us-east-1")), Some(Effect::ResetBefore));
        assert_eq!(rules.strike_at(NOW, ("ssm", "PutParameter", "us-east-1")), Some(Effect::ResetAfter));
        assert_eq!(rules.strike_at(NOW, ("ssm", "PutParameter", "us-east-1")), Some(Effect::ResetBefore));
    }

    #[test]
    fn a_rule_may_begin_at_a_call_and_end_at_a_moment() {
        let rule = Rule::throttle("ssm", "PutParameter").from_call(2).until(Time(5)).always();
        let mut rules = Rules { rules: vec![rule] };
        let struck = [(1, 0), (2, 0), (3, 4), (4, 5)]
            .map(|(index, at)| rules.strike_at((index, Time(at)), ("ssm", "PutParameter", "us-east-1")).is_some());
        assert_eq!(struck, [false, true, true, false]);
    }

    #[test]
    fn each_service_throttles_in_its_own_words() {
        let code = |service: &str| match Rule::throttle(service, "X").effect {
            Effect::Error { status, code, .. } => (status, code),
            other => panic!("{other:?}"),
        };
        assert_eq!(code("autoscaling"), (400, "Throttling".to_owned()));
        assert_eq!(code("elasticloadbalancing"), (400, "Throttling".to_owned()));
        assert_eq!(code("ssm"), (400, "ThrottlingException".to_owned()));
        assert_eq!(code("s3"), (503, "SlowDown".to_owned()));
    }
}
