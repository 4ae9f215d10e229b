//! Instance refreshes of EC2 Auto Scaling: the newest one of a group, and how a group comes to run what its version key says.

use super::autoscaling::{call, timestamp};
use super::classify::answer;
use super::objects::When;
use super::retry::Class;
use super::{Account, AccountError, Kind, Refresh};
use aws_sdk_autoscaling::types as sdk;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// More instances than wanted, in per cent, where none may be missing: then new ones are launched before old ones end.
const SURGE_PERCENT: i32 = 110;
/// Between two looks at a refresh that is being cancelled, and how long that may take: nothing on its way is waited for.
const LOOK: Duration = Duration::from_secs(5);
const CANCEL_LIMIT: Duration = Duration::from_secs(300);

impl Account {
    /// DescribeInstanceRefreshes: the newest one; `None`: this group was not refreshed in the last six weeks.
    pub async fn newest_refresh(&self, asg: &str) -> Result<Option<Refresh>, AccountError> {
        self.call(call("DescribeInstanceRefreshes", asg, Class::Read), || async {
            let request = self.autoscaling.describe_instance_refreshes().auto_scaling_group_name(asg).max_records(1);
            answer(request.send().await)?.read(|out| {
                let all = out.instance_refreshes.ok_or("the reply lacks `InstanceRefreshes`")?;
                Ok(all.into_iter().next().map(refresh).transpose()?)
            })
        })
        .await
    }

    /// StartInstanceRefresh, once nothing of another one is under way; instances boot what the version key says at that moment.
    pub(super) async fn refresh(&self, asg: &str, min_healthy: u32, newest: Option<&Refresh>) -> Result<(), AccountError> {
        if newest.is_some_and(Refresh::is_active) {
            self.cancel_refresh(asg).await?;
            self.refresh_cancelled(asg).await?;
        }
        self.call(call("StartInstanceRefresh", asg, Class::Start), || async {
            let percent = i32::try_from(min_healthy).unwrap_or(100);
            let preferences = sdk::RefreshPreferences::builder().min_healthy_percentage(percent);
            let preferences = preferences.set_max_healthy_percentage((percent == 100).then_some(SURGE_PERCENT)).build();
            let request = self.autoscaling.start_instance_refresh().auto_scaling_group_name(asg).strategy(sdk::RefreshStrategy::Rolling);
            answer(request.preferences(preferences).send().await)?.read(|_| Ok(()))
        })
        .await
    }

    /// CancelInstanceRefresh; what is on its way is not waited for, as it may never be healthy. One that has ended meanwhile is no failure.
    pub(super) async fn cancel_refresh(&self, asg: &str) -> Result<(), AccountError> {
        let sent = self.call(call("CancelInstanceRefresh", asg, Class::SetAbsolute), || async {
            let request = self.autoscaling.cancel_instance_refresh().auto_scaling_group_name(asg);
            answer(request.wait_for_transitioning_instances(false).send().await)?.read(|_| Ok(()))
        });
        match sent.await {
            Err(error) if error.code == "ActiveInstanceRefreshNotFound" => Ok(()),
            answered => answered,
        }
    }

    async fn refresh_cancelled(&self, asg: &str) -> Result<(), AccountError> {
        let end = Instant::now() + CANCEL_LIMIT;
        while self.newest_refresh(asg).await?.is_some_and(|refresh| refresh.is_active()) {
            if Instant::now() >= end {
                let call = call("DescribeInstanceRefreshes", asg, Class::Read);
                let failure = super::classify::Failure::new(Kind::Unavailable, "the refresh before is still being cancelled");
                return Err(failure.into_error(&call, Kind::Unavailable, 1));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Writes the version key where it says something else, and refreshes the group: in this order, so that whatever boots from now on
    /// boots that version.
    pub(super) async fn refresh_to(&self, wish: Wish<'_>, key_is_so: bool, newest: Option<&Refresh>) -> Result<(), AccountError> {
        if !key_is_so {
            self.put_object_as(wish.bucket, wish.key, wish.version.as_bytes(), When::Always, wish.acl).await?;
        }
        self.refresh(wish.asg, wish.min_healthy, newest).await
    }
}

/// What a group is to run, and where its instances read that.
pub(super) struct Wish<'a> {
    pub asg: &'a str,
    pub bucket: &'a str,
    pub key: &'a str,
    pub version: &'a str,
    pub min_healthy: u32,
    pub acl: Option<&'a str>,
}

fn refresh(from: sdk::InstanceRefresh) -> Result<Refresh, String> {
    let lacks = |what: &str| format!("an instance refresh lacks `{what}`");
    let percent = from.percentage_complete.unwrap_or(0);
    Ok(Refresh {
        id: from.instance_refresh_id.ok_or_else(|| lacks("InstanceRefreshId"))?,
        status: from.status.ok_or_else(|| lacks("Status"))?.as_str().to_string(),
        reason: from.status_reason.unwrap_or_default(),
        // AWS leaves it away until the first instance is taken.
        start: from.start_time.as_ref().and_then(timestamp),
        percent: u32::try_from(percent).map_err(|_| lacks("PercentageComplete"))?,
    })
}
