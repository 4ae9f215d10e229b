//! Scaling activities with AWS's own causes: what DescribeScalingActivities tells of each launch, end and failure.

use super::{Activity, Fault, World};
use std::collections::VecDeque;

/// Activities that a group remembers; AWS keeps six weeks.
const REMEMBERED: usize = 200;

impl World {
    /// DescribeScalingActivities: in-progress first, then newest first; `None`: of all groups.
    pub fn scaling_activities(&self, name: Option<&str>) -> Result<Vec<Activity>, Fault> {
        let mut found: Vec<Activity> = match name {
            Some(name) => self.group(name)?.activities.iter().cloned().collect(),
            None => self.groups.values().flat_map(|g| g.activities.iter().cloned()).collect(),
        };
        found.sort_by_key(|a| (a.end.is_some(), std::cmp::Reverse(a.start)));
        Ok(found)
    }

    /// Writes an activity that is going on about an instance.
    pub(super) fn begin_activity(&mut self, group: &str, description: String, cause: String, status: &str) -> Activity {
        let activity = Activity {
            id: self.rng.uuid(),
            group: group.to_owned(),
            start: self.now,
            end: None,
            status: status.to_owned(),
            status_message: None,
            description,
            cause,
            progress: if status == "InProgress" { 30 } else { 50 },
        };
        self.keep_activity(activity.clone());
        activity
    }

    /// Writes an activity that ended as soon as it began.
    pub(super) fn note_activity(&mut self, group: &str, description: String, cause: String, status: &str, message: &str) {
        let id = self.rng.uuid();
        self.keep_activity(Activity {
            id,
            group: group.to_owned(),
            start: self.now,
            end: Some(self.now),
            status: status.to_owned(),
            status_message: Some(message.to_owned()),
            description,
            cause,
            progress: 100,
        });
    }

    fn keep_activity(&mut self, activity: Activity) {
        let Some(group) = self.groups.get_mut(&activity.group) else { return };
        group.activities.push_front(activity);
        group.activities.truncate(REMEMBERED);
    }

    /// Ends the activity of `group` about this instance.
    pub(super) fn end_activity(&mut self, group: &str, instance: &str, status: &str) {
        let now = self.now;
        if let Some(activity) = self.groups.get_mut(group).and_then(|g| open_activity(&mut g.activities, instance)) {
            activity.end = Some(now);
            activity.status = status.to_owned();
            activity.progress = 100;
        }
    }

    /// The instance has drained: its termination goes on.
    pub(super) fn drained(&mut self, instance: &str) {
        let Some(group) = self.instances.get(instance).map(|i| i.group.clone()) else { return };
        if let Some(activity) = self.groups.get_mut(&group).and_then(|g| open_activity(&mut g.activities, instance)) {
            activity.status = "InProgress".to_owned();
            activity.progress = 60;
        }
    }
}

fn open_activity<'a>(activities: &'a mut VecDeque<Activity>, instance: &str) -> Option<&'a mut Activity> {
    activities.iter_mut().find(|a| a.end.is_none() && a.description.ends_with(instance))
}
