//! Rules that a reply keeps or breaks by itself, or beside the run's own writes.

use super::{Judge, Told};
use crate::account::{AccountError, Action, Alarm, CallRecord, GroupSettings, Instance, Target};
use crate::run::sight::ReadBack;
use crate::run::traffic::Topology;
use crate::sandbox::wire::codes;
use crate::sandbox::world::possible::{self, GROUPS_PER_ACTION, HIGHEST_WEIGHT};
use crate::sandbox::world::{GroupUpdate, Range};

impl Judge<'_> {
    /// Target groups as they are set, kept for their checks.
    pub(super) fn found(&mut self, topology: &Topology) {
        for group in topology.target_groups.values().chain(topology.others.iter().flat_map(|service| service.target_groups.values())) {
            let (interval, healthy, unhealthy) = (group.check_interval_seconds, group.healthy_threshold, group.unhealthy_threshold);
            self.ask("check settings", possible::are_checks(interval, healthy, unhealthy), || Told {
                call: format!("DescribeTargetGroups {}", group.name),
                now: format!("interval {interval} s, healthy after {healthy}, unhealthy after {unhealthy}"),
                ..Told::default()
            });
        }
        self.seen.topologies.push(topology.clone());
    }

    pub(super) fn settings(&mut self, group: &GroupSettings) {
        let GroupSettings { name, min, max, desired, suspended } = group;
        let call = || format!("DescribeAutoScalingGroups {name}");
        self.ask("sizes", possible::are_sizes(*min, *max, *desired), || Told {
            call: call(),
            now: format!("min {min}, max {max}, desired {desired}"),
            ..Told::default()
        });
        for process in suspended {
            let told = || Told { call: call(), now: format!("`{process}` is suspended"), ..Told::default() };
            self.ask("processes", possible::is_process(process), told);
        }
    }

    pub(super) fn member(&mut self, asg: &str, member: &Instance) {
        let is = (member.zone.clone(), member.instance_type.clone(), asg.to_owned());
        let was = self.instances.insert(member.id.clone(), is.clone()).unwrap_or_else(|| is.clone());
        let told = |(zone, kind, asg): &(String, String, String)| format!("{}: {kind} in {zone}, of {asg}", member.id);
        self.ask("same instance", was == is, || Told {
            call: format!("DescribeAutoScalingGroups {asg}"),
            before: told(&was),
            now: told(&is),
            ..Told::default()
        });
    }

    pub(super) fn target(&mut self, of: &str, target: &Target) {
        let Target { id, state, reason, .. } = target;
        self.target_word(of, id, state, reason);
    }

    pub(super) fn target_word(&mut self, of: &str, id: &str, state: &str, reason: &str) {
        self.ask("target state", possible::is_target_state(state, reason), || Told {
            call: format!("DescribeTargetHealth {of}"),
            now: format!("{id}: {state} {}", if reason.is_empty() { "without a reason" } else { reason }),
            ..Told::default()
        });
    }

    pub(super) fn alarm(&mut self, name: &str, alarm: &Alarm) {
        let known = ["OK", "ALARM", "INSUFFICIENT_DATA"].contains(&alarm.state.as_str());
        let told = || Told { call: format!("DescribeAlarms {name}"), now: format!("{name}: {}", alarm.state), ..Told::default() };
        self.ask("alarm state", known, told);
    }

    pub(super) fn code(&mut self, error: &AccountError) {
        let Some(known) = codes::may_answer(&error.operation, &error.code) else { return };
        self.ask("error code", known, || Told {
            call: format!("{} {}", error.operation, error.resource),
            now: format!("{}: {}", error.code, error.message),
            ..Told::default()
        });
    }

    /// AWS took this call.
    pub(super) fn accepted(&mut self, action: &Action) {
        if let Action::Capacity { asg, min, max, desired } = action {
            let refusal = possible::refusal(&GroupUpdate { min: *min, max: *max, desired: *desired });
            self.ask("accepted sizes", refusal.is_none(), || Told {
                call: format!("UpdateAutoScalingGroup {asg}"),
                before: action.to_string(),
                now: format!("accepted; the sandbox refuses it: {}", refusal.map(|fault| fault.message).unwrap_or_default()),
                ..Told::default()
            });
        }
        for (route, weights) in action.forwards() {
            let fits = weights.len() <= GROUPS_PER_ACTION && weights.values().all(|weight| *weight <= HIGHEST_WEIGHT);
            self.ask("weights", fits, || Told {
                call: format!("{} {}", if route.rule.is_some() { "ModifyRule" } else { "ModifyListener" }, route.label),
                before: action.to_string(),
                now: format!("accepted: {} target group(s), the largest weight {}", weights.len(), weights.values().max().unwrap_or(&0)),
                ..Told::default()
            });
        }
    }

    pub(super) fn read_back(&mut self, action: &Action, seen: &ReadBack, calls: &[CallRecord]) {
        if let Some(group) = &seen.group {
            self.settings(group);
        }
        if let (Action::Parameter { name, value }, Some((before, after))) = (action, seen.versions) {
            self.version(name, value.is_some(), (before, after), calls);
        }
        let timing = &self.world.timing;
        let (rule, range) = match action {
            Action::Capacity { .. } | Action::Processes { .. } | Action::Standby { .. } | Action::Terminate { .. } => {
                ("stale group", timing.group_staleness)
            }
            Action::Forward { .. } | Action::ForwardEach { .. } => ("stale rule", timing.rule_staleness),
            Action::Targets { .. } => ("stale health", timing.health_staleness),
            Action::Parameter { .. } => ("stale parameter", timing.parameter_staleness),
            Action::Object { .. } | Action::Copy { .. } => ("stale object", Range::ms(0, 0)),
            // Its beginning has a state of its own.
            Action::Refresh { .. } | Action::CancelRefresh { .. } => return,
        };
        let unseen = seen.unseen_seconds;
        // A view that may be late by nothing is never seen late.
        let holds = unseen.is_none_or(|seconds| range.high > 0 && seconds * 1000.0 <= range.high as f64);
        self.ask(rule, holds, || Told {
            call: format!("the look after {action}"),
            before: format!("{action}: replied"),
            now: format!("still as before it {:.1} s after the reply", unseen.unwrap_or_default()),
            measured: format!(
                "more than {:.1} s; the sandbox says at most {:.1} s",
                unseen.unwrap_or_default(),
                range.high as f64 / 1000.0
            ),
        });
    }

    /// A write that was answered raised the version; one whose reply was lost may have. A parameter that was deleted begins anew.
    fn version(&mut self, name: &str, is_put: bool, (before, after): (u64, u64), calls: &[CallRecord]) {
        let answered = calls.iter().filter(|call| call.operation == "PutParameter" && call.outcome == "ok").count() as u64;
        let last = self.seen.versions.insert(name.to_owned(), after).unwrap_or(0);
        let holds = if is_put { after >= before + answered.max(1) } else { after == 0 };
        self.ask("parameter version", holds && (before >= last || before == 0), || Told {
            call: format!("GetParameter {name}"),
            before: if before < last { format!("version {last}") } else { format!("version {before}, then {answered} write(s)") },
            now: format!("version {}", if before < last { before } else { after }),
            ..Told::default()
        });
    }
}
