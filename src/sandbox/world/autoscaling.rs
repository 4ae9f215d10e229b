//! EC2 Auto Scaling: groups, their arithmetic, instances that boot and end, activities.

use super::{Activity, Fault, Instance, World};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The fields of UpdateAutoScalingGroup that bgx uses; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupUpdate {
    pub min: Option<u32>,
    pub max: Option<u32>,
    pub desired: Option<u32>,
}

/// What DescribeAutoScalingGroups answers for one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupView {
    pub name: String,
    pub min: u32,
    pub max: u32,
    pub desired: u32,
    pub target_groups: Vec<String>,
    pub health_check_type: String,
    pub grace_seconds: u32,
    pub suspended: BTreeSet<String>,
    pub instances: Vec<Instance>,
    pub tags: Vec<(String, String)>,
}

impl World {
    /// DescribeAutoScalingGroups; unknown names are left out, no names means all. Sorted by name.
    pub fn describe_groups(&self, names: &[String]) -> Vec<GroupView> {
        let _ = names;
        todo!()
    }

    /// UpdateAutoScalingGroup, with the coupling of min, max and desired, and AWS's messages.
    pub fn update_group(&mut self, name: &str, update: &GroupUpdate) -> Result<(), Fault> {
        let _ = (name, update);
        todo!()
    }

    /// SetDesiredCapacity.
    pub fn set_desired(&mut self, name: &str, desired: u32, honor_cooldown: bool) -> Result<(), Fault> {
        let _ = (name, desired, honor_cooldown);
        todo!()
    }

    /// SuspendProcesses; no processes named means all.
    pub fn suspend(&mut self, name: &str, processes: &[String]) -> Result<(), Fault> {
        let _ = (name, processes);
        todo!()
    }

    /// ResumeProcesses; no processes named means all.
    pub fn resume(&mut self, name: &str, processes: &[String]) -> Result<(), Fault> {
        let _ = (name, processes);
        todo!()
    }

    /// SetInstanceProtection.
    pub fn protect_instances(&mut self, name: &str, ids: &[String], protected: bool) -> Result<(), Fault> {
        let _ = (name, ids, protected);
        todo!()
    }

    /// TerminateInstanceInAutoScalingGroup.
    pub fn terminate_instance(&mut self, id: &str, decrement: bool) -> Result<Activity, Fault> {
        let _ = (id, decrement);
        todo!()
    }

    /// DescribeScalingActivities: in-progress first, then newest first; `None`: of all groups.
    pub fn scaling_activities(&self, name: Option<&str>) -> Result<Vec<Activity>, Fault> {
        let _ = name;
        todo!()
    }
}
