//! How long things take in the simulated account: what AWS does not document is a parameter with a default and a range.

use super::clock::Rng;
use serde::{Deserialize, Serialize};

/// A duration that is drawn anew each time, in milliseconds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    pub low: u64,
    pub high: u64,
}

impl Range {
    pub const fn ms(low: u64, high: u64) -> Range {
        Range { low, high }
    }

    pub const fn seconds(low: u64, high: u64) -> Range {
        Range { low: low * 1000, high: high * 1000 }
    }

    pub fn draw(self, rng: &mut Rng) -> u64 {
        rng.between(self.low, self.high)
    }
}

/// The rows tagged [I] in the reference on AWS semantics, section 7. Playbooks must be right over the whole range beside each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// One API call, request to reply.
    pub call: Range,
    /// DescribeAutoScalingGroups after a write (0 to 60 s).
    pub group_staleness: Range,
    /// Describe of listeners and rules after a write (0 to 60 s).
    pub rule_staleness: Range,
    /// DescribeTargetHealth after a change (0 to 60 s).
    pub health_staleness: Range,
    /// Registration of a target until its first check (0 to 120 s).
    pub registration: Range,
    /// A changed rule until a load balancer node follows it (0 to 60 s), drawn per node.
    pub propagation: Range,
    /// GetParameter after PutParameter (0 to 5 s).
    pub parameter_staleness: Range,
    /// SendCommand until GetCommandInvocation knows it (0 to 30 s).
    #[serde(default = "seen")]
    pub command_seen: Range,
    /// From then until the command has ended.
    #[serde(default = "ended")]
    pub command: Range,
    /// From InService->Terminating until the instance is gone, after the target has drained.
    pub termination: Range,
    /// How long a terminated instance is still listed.
    pub terminated_listed: Range,
    /// From the end of an instance (spot reclaim, failure) until Auto Scaling takes it out of service.
    pub ec2_check: Range,
    /// A failed launch until the next try; doubled with each failure in a row, five times at most.
    pub launch_retry: Range,
    /// An instance that came InService less than this many milliseconds ago is warming up: target tracking does not scale in meanwhile.
    pub warmup: u64,
    /// A moment until what happened then is in CloudWatch's metrics, in milliseconds (60 to 180 s).
    #[serde(default = "metric_lag")]
    pub metric_lag: u64,
    /// So many items of a list come on one page at most, however many were asked for.
    #[serde(default = "page_items")]
    pub page_items: u32,
    /// UpdateAutoScalingGroup compares MinSize and MaxSize with the desired capacity (`false`) or with the number of instances (`true`): not documented.
    pub current_size_is_instances: bool,
    /// Whether targets of a group that stands in a rule at weight 0 only are health-checked (documented only indirectly).
    pub weight_zero_is_checked: bool,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            call: Range::ms(20, 80),
            group_staleness: Range::ms(0, 2_000),
            rule_staleness: Range::ms(0, 1_000),
            health_staleness: Range::ms(0, 3_000),
            registration: Range::seconds(1, 10),
            propagation: Range::ms(500, 5_000),
            parameter_staleness: Range::ms(0, 0),
            command_seen: seen(),
            command: ended(),
            termination: Range::seconds(20, 60),
            terminated_listed: Range::seconds(0, 60),
            ec2_check: Range::seconds(0, 10),
            launch_retry: Range::seconds(20, 40),
            warmup: 300_000,
            metric_lag: metric_lag(),
            page_items: page_items(),
            current_size_is_instances: false,
            weight_zero_is_checked: true,
        }
    }
}

fn seen() -> Range {
    Range::ms(0, 3_000)
}

fn ended() -> Range {
    Range::seconds(1, 5)
}

fn page_items() -> u32 {
    u32::MAX
}

fn metric_lag() -> u64 {
    90_000
}
