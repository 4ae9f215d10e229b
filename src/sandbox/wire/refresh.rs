//! Instance refreshes of EC2 Auto Scaling, awsQuery 2011-01-01.

use super::page::page;
use super::query::Form;
use super::{Xml, no_operation};
use crate::sandbox::world::{Fault, Refresh, RefreshPreferences, World};

/// One call.
pub fn handle(world: &mut World, operation: &str, form: &Form) -> Result<Xml, Fault> {
    let name = form.required("AutoScalingGroupName")?;
    let id = match operation {
        "DescribeInstanceRefreshes" => return describe(world, name, form),
        "StartInstanceRefresh" => start(world, name, form)?,
        "CancelInstanceRefresh" => {
            form.only(&["AutoScalingGroupName", "WaitForTransitioningInstances"])?;
            world.cancel_refresh(name, form.flag("WaitForTransitioningInstances")?.unwrap_or(true))?
        }
        "RollbackInstanceRefresh" => {
            form.only(&["AutoScalingGroupName"])?;
            world.rollback_refresh(name)?
        }
        _ => return Err(no_operation(operation, "2011-01-01")),
    };
    let mut xml = Xml::new();
    xml.leaf("InstanceRefreshId", id);
    Ok(xml)
}

fn start(world: &mut World, name: &str, form: &Form) -> Result<String, Fault> {
    form.only(&["AutoScalingGroupName", "Strategy", "Preferences"])?;
    if let Some(strategy) = form.get("Strategy").filter(|strategy| *strategy != "Rolling") {
        return Err(super::query::not_simulated(&format!("Strategy {strategy}")));
    }
    let given = form.under("Preferences").unwrap_or_default();
    given.only(&["MinHealthyPercentage", "MaxHealthyPercentage", "InstanceWarmup"])?;
    let preferences = RefreshPreferences {
        min_healthy: given.bounded("MinHealthyPercentage", 90, 0, 100)?,
        max_healthy: given.bounded("MaxHealthyPercentage", 100, 100, 200)?,
        warmup_seconds: given.number("InstanceWarmup")?,
    };
    world.start_refresh(name, preferences)
}

fn describe(world: &World, name: &str, form: &Form) -> Result<Xml, Fault> {
    form.only(&["AutoScalingGroupName", "InstanceRefreshIds", "MaxRecords", "NextToken"])?;
    let ids = form.list("InstanceRefreshIds");
    let size = form.bounded("MaxRecords", 50, 1, 100)?;
    let mut all = world.refreshes_of(name)?;
    all.retain(|refresh| ids.is_empty() || ids.contains(&refresh.id));
    let page = page(all, "DescribeInstanceRefreshes", form.get("NextToken"), size)
        .ok_or_else(|| Fault::new(400, "InvalidNextToken", "The token is not valid"))?;
    let mut xml = Xml::new();
    xml.members("InstanceRefreshes", &page.items, refresh).leaf_if("NextToken", page.next);
    Ok(xml)
}

fn refresh(xml: &mut Xml, refresh: &Refresh) {
    let preferences = refresh.preferences;
    xml.leaf("InstanceRefreshId", &refresh.id)
        .leaf("AutoScalingGroupName", &refresh.group)
        .leaf("Status", refresh.status.word())
        .leaf_if("StatusReason", refresh.reason.as_ref())
        .leaf("StartTime", refresh.start)
        .leaf_if("EndTime", refresh.end)
        .leaf("PercentageComplete", refresh.percentage)
        .leaf("InstancesToUpdate", refresh.to_update())
        .within("Preferences", |xml| {
            xml.leaf("MinHealthyPercentage", preferences.min_healthy)
                .leaf("MaxHealthyPercentage", preferences.max_healthy)
                .leaf_if("InstanceWarmup", preferences.warmup_seconds);
        })
        .leaf("Strategy", "Rolling");
}
