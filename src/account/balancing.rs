//! Elastic Load Balancing: listeners, rules, target groups and the health of their targets.

use super::autoscaling::endless;
use super::classify::{Answer, Failure, answer};
use super::pages::Pages;
use super::retry::{Call, Class};
use super::{Account, AccountError, Forward, Kind, Listener, LoadBalancer, Rule, Target, TargetGroup};
use aws_sdk_elasticloadbalancingv2::types as sdk;
use std::collections::{BTreeMap, BTreeSet};

/// The documented limit of names in one load balancer query; AWS names none for target groups.
const NAMES_MAX: usize = 20;
const PAGE_MAX: i32 = 400;

pub(super) fn call<'a>(operation: &'static str, resource: &'a str, class: Class) -> Call<'a> {
    Call { service: "elasticloadbalancing", operation, resource, class, says: None }
}

/// A page of a list and the marker of the next.
type Page<T> = Result<Answer<(Vec<T>, Option<String>)>, Failure>;

impl Account {
    /// DescribeLoadBalancers by name: `None` only if AWS says that there is none.
    pub async fn load_balancer(&self, name: &str) -> Result<Option<LoadBalancer>, AccountError> {
        let call = call("DescribeLoadBalancers", name, Class::Read);
        let found = self
            .call(call, || async {
                answer(self.balancing.describe_load_balancers().names(name).send().await)?.read(|out| {
                    let found = out.load_balancers.unwrap_or_default().into_iter().map(load_balancer).collect::<Result<Vec<_>, _>>()?;
                    Ok(found.into_iter().find(|lb| lb.name == name).ok_or("the reply names another load balancer")?)
                })
            })
            .await;
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.code == "LoadBalancerNotFound" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// DescribeListeners of a load balancer, by port.
    pub async fn listeners(&self, load_balancer: &str) -> Result<Vec<Listener>, AccountError> {
        let call = call("DescribeListeners", load_balancer, Class::Read);
        let raw = self.all_pages(call, async |marker| self.listeners_page(Some(load_balancer), &[], marker).await).await?;
        let mut listeners: Vec<Listener> = raw.into_iter().map(listener).collect();
        listeners.sort_by(|a, b| (a.port, &a.arn).cmp(&(b.port, &b.arn)));
        Ok(listeners)
    }

    /// DescribeRules of a listener in the order of their evaluation, the default last.
    pub async fn rules(&self, listener: &str) -> Result<Vec<Rule>, AccountError> {
        let call = call("DescribeRules", listener, Class::Read);
        let raw = self.all_pages(call, async |marker| self.rules_page(Some(listener), &[], marker).await).await?;
        let mut rules: Vec<Rule> = raw.into_iter().map(|raw| rule(raw, listener)).collect();
        rules.sort_by_key(|r| (r.priority.parse::<u32>().unwrap_or(u32::MAX), r.arn.clone()));
        Ok(rules)
    }

    /// DescribeTargetGroups by name: one that does not exist is not in the map.
    pub async fn target_groups(&self, names: &[&str]) -> Result<BTreeMap<String, TargetGroup>, AccountError> {
        let names: Vec<String> = names.iter().collect::<BTreeSet<_>>().into_iter().map(|n| n.to_string()).collect();
        let mut found = BTreeMap::new();
        for names in names.chunks(NAMES_MAX) {
            let resource = names.join(" ");
            let call = call("DescribeTargetGroups", &resource, Class::Read);
            let groups = match self.all_pages(call, async |marker| self.target_groups_page(names, marker).await).await {
                // One unknown name spoils the whole query: ask for all there are.
                Err(error) if error.code == "TargetGroupNotFound" => {
                    self.all_pages(call, async |marker| self.target_groups_page(&[], marker).await).await?
                }
                groups => groups?,
            };
            found.extend(groups.into_iter().filter(|g| names.contains(&g.name)).map(|g| (g.name.clone(), g)));
        }
        Ok(found)
    }

    /// DescribeTargetGroupAttributes.
    pub async fn target_group_attributes(&self, target_group: &str) -> Result<BTreeMap<String, String>, AccountError> {
        self.call(call("DescribeTargetGroupAttributes", target_group, Class::Read), || async {
            let request = self.balancing.describe_target_group_attributes().target_group_arn(target_group);
            answer(request.send().await)?.read(|out| {
                let attributes = out.attributes.ok_or("the reply lacks `Attributes`")?;
                Ok(attributes.into_iter().filter_map(|a| Some((a.key?, a.value.unwrap_or_default()))).collect())
            })
        })
        .await
    }

    /// DescribeTargetHealth, by target.
    pub async fn target_health(&self, target_group: &str) -> Result<Vec<Target>, AccountError> {
        self.call(call("DescribeTargetHealth", target_group, Class::Read), || async {
            answer(self.balancing.describe_target_health().target_group_arn(target_group).send().await)?.read(|out| {
                let targets = out.target_health_descriptions.unwrap_or_default();
                let mut targets: Vec<Target> = targets.into_iter().map(target).collect::<Result<_, _>>()?;
                targets.sort_by(|a, b| a.id.cmp(&b.id));
                Ok(targets)
            })
        })
        .await
    }

    /// The listeners with these ARNs, as the SDK has them.
    pub(super) async fn raw_listeners(&self, arns: &[String]) -> Result<Vec<sdk::Listener>, AccountError> {
        let resource = arns.join(" ");
        self.all_pages(call("DescribeListeners", &resource, Class::Read), async |marker| self.listeners_page(None, arns, marker).await)
            .await
    }

    /// The rules with these ARNs, as the SDK has them.
    pub(super) async fn raw_rules(&self, arns: &[String]) -> Result<Vec<sdk::Rule>, AccountError> {
        let resource = arns.join(" ");
        self.all_pages(call("DescribeRules", &resource, Class::Read), async |marker| self.rules_page(None, arns, marker).await).await
    }

    async fn all_pages<T: Clone + Send + Sync + 'static>(
        &self,
        call: Call<'_>,
        page: impl AsyncFn(Option<String>) -> Page<T>,
    ) -> Result<Vec<T>, AccountError> {
        let mut all = Vec::new();
        let mut pages = Pages::default();
        loop {
            let (items, next) = self.call(pages.next(call), || page(pages.token.clone())).await?;
            all.extend(items);
            if !pages.go_on(next).map_err(|what| endless(call, what))? {
                return Ok(all);
            }
        }
    }

    async fn listeners_page(&self, load_balancer: Option<&str>, arns: &[String], marker: Option<String>) -> Page<sdk::Listener> {
        let request = self.balancing.describe_listeners().set_load_balancer_arn(load_balancer.map(String::from));
        let request = request.set_listener_arns((!arns.is_empty()).then(|| arns.to_vec())).set_marker(marker);
        let request = if arns.is_empty() { request.page_size(PAGE_MAX) } else { request };
        answer(request.send().await)?.read(|out| {
            let listeners = out.listeners.unwrap_or_default();
            if listeners.iter().any(|l| l.listener_arn.is_none() || l.port.is_none() || l.default_actions.is_none()) {
                return Err("a listener lacks its ARN, port or actions".into());
            }
            Ok((listeners, out.next_marker))
        })
    }

    async fn rules_page(&self, listener: Option<&str>, arns: &[String], marker: Option<String>) -> Page<sdk::Rule> {
        let request = self.balancing.describe_rules().set_listener_arn(listener.map(String::from));
        let request = request.set_rule_arns((!arns.is_empty()).then(|| arns.to_vec())).set_marker(marker);
        let request = if arns.is_empty() { request.page_size(PAGE_MAX) } else { request };
        answer(request.send().await)?.read(|out| {
            let rules = out.rules.unwrap_or_default();
            if rules.iter().any(|r| r.rule_arn.is_none() || r.priority.is_none() || r.actions.is_none()) {
                return Err("a rule lacks its ARN, priority or actions".into());
            }
            Ok((rules, out.next_marker))
        })
    }

    async fn target_groups_page(&self, names: &[String], marker: Option<String>) -> Page<TargetGroup> {
        let request = self.balancing.describe_target_groups().set_marker(marker);
        let request = if names.is_empty() { request.page_size(PAGE_MAX) } else { request.set_names(Some(names.to_vec())) };
        answer(request.send().await)?.read(|out| {
            let groups = out.target_groups.unwrap_or_default().into_iter().map(target_group).collect::<Result<Vec<_>, _>>()?;
            Ok((groups, out.next_marker))
        })
    }
}

fn load_balancer(from: sdk::LoadBalancer) -> Result<LoadBalancer, String> {
    let lacks = |what: &str| format!("a load balancer lacks `{what}`");
    Ok(LoadBalancer {
        arn: from.load_balancer_arn.ok_or_else(|| lacks("LoadBalancerArn"))?,
        name: from.load_balancer_name.ok_or_else(|| lacks("LoadBalancerName"))?,
        dns_name: from.dns_name.unwrap_or_default(),
    })
}

fn listener(from: sdk::Listener) -> Listener {
    Listener {
        arn: from.listener_arn.unwrap_or_default(),
        port: from.port.and_then(|p| u16::try_from(p).ok()).unwrap_or_default(),
        protocol: from.protocol.map(|p| p.as_str().to_string()).unwrap_or_default(),
        forward: forward(from.default_actions.as_deref().unwrap_or_default()),
    }
}

fn rule(from: sdk::Rule, listener: &str) -> Rule {
    let mut rule = Rule {
        arn: from.rule_arn.unwrap_or_default(),
        listener: listener.to_string(),
        priority: from.priority.unwrap_or_default(),
        paths: Vec::new(),
        hosts: Vec::new(),
        other_conditions: Vec::new(),
        forward: forward(from.actions.as_deref().unwrap_or_default()),
    };
    for condition in from.conditions.unwrap_or_default() {
        add_condition(&mut rule, condition);
    }
    rule
}

/// Paths and hosts come in the condition's own configuration, or in `Values` from the time before there was one.
fn add_condition(rule: &mut Rule, condition: sdk::RuleCondition) {
    let field = condition.field.unwrap_or_default();
    let old = condition.values.unwrap_or_default();
    let (mut values, regexes, list) = match field.as_str() {
        "path-pattern" => {
            let config = condition.path_pattern_config;
            let regexes = config.as_ref().and_then(|c| c.regex_values.clone()).unwrap_or_default();
            (config.and_then(|c| c.values).unwrap_or_default(), regexes, &mut rule.paths)
        }
        "host-header" => {
            let config = condition.host_header_config;
            let regexes = config.as_ref().and_then(|c| c.regex_values.clone()).unwrap_or_default();
            (config.and_then(|c| c.values).unwrap_or_default(), regexes, &mut rule.hosts)
        }
        _ => return rule.other_conditions.push(field),
    };
    if values.is_empty() {
        values = old;
    }
    list.extend(values);
    if !regexes.is_empty() || condition.regex_values.is_some_and(|r| !r.is_empty()) {
        rule.other_conditions.push(format!("{field}-regex"));
    }
}

/// The forward action among a rule's actions; a single target group is one with weight 1.
pub(super) fn forward(actions: &[sdk::Action]) -> Option<Forward> {
    let action = actions.iter().find(|a| a.r#type == Some(sdk::ActionTypeEnum::Forward))?;
    let config = action.forward_config.as_ref();
    let groups = config.and_then(|c| c.target_groups.as_deref()).unwrap_or_default();
    let weight = |w: Option<i32>| w.map_or(1, |w| u32::try_from(w).unwrap_or(0));
    let mut weights: BTreeMap<String, u32> = groups.iter().filter_map(|g| Some((g.target_group_arn.clone()?, weight(g.weight)))).collect();
    if weights.is_empty() {
        weights.extend(action.target_group_arn.clone().map(|arn| (arn, 1)));
    }
    let stickiness = config.and_then(|c| c.target_group_stickiness_config.as_ref()).filter(|s| s.enabled == Some(true));
    let stickiness_seconds = stickiness.map(|s| s.duration_seconds.and_then(|d| u32::try_from(d).ok()).unwrap_or_default());
    Some(Forward { weights, stickiness_seconds })
}

fn target_group(from: sdk::TargetGroup) -> Result<TargetGroup, String> {
    let lacks = |what: &str| format!("a target group lacks `{what}`");
    let number = |n: Option<i32>| n.and_then(|n| u32::try_from(n).ok()).unwrap_or_default();
    Ok(TargetGroup {
        arn: from.target_group_arn.ok_or_else(|| lacks("TargetGroupArn"))?,
        name: from.target_group_name.ok_or_else(|| lacks("TargetGroupName"))?,
        port: from.port.and_then(|p| u16::try_from(p).ok()).unwrap_or_default(),
        // Else it is `traffic-port`.
        check_port: from.health_check_port.and_then(|port| port.parse().ok()),
        check_path: from.health_check_path.unwrap_or_default(),
        check_interval_seconds: number(from.health_check_interval_seconds),
        healthy_threshold: number(from.healthy_threshold_count),
        unhealthy_threshold: number(from.unhealthy_threshold_count),
        load_balancers: from.load_balancer_arns.unwrap_or_default(),
    })
}

fn target(from: sdk::TargetHealthDescription) -> Result<Target, String> {
    let lacks = |what: &str| format!("a target lacks `{what}`");
    let health = from.target_health.ok_or_else(|| lacks("TargetHealth"))?;
    Ok(Target {
        id: from.target.and_then(|t| t.id).ok_or_else(|| lacks("Id"))?,
        state: health.state.ok_or_else(|| lacks("State"))?.as_str().to_string(),
        reason: health.reason.map(|r| r.as_str().to_string()).unwrap_or_default(),
        description: health.description.unwrap_or_default(),
    })
}

/// ModifyRule or ModifyListener with these actions.
impl Account {
    pub(super) async fn set_rule_actions(&self, rule: &str, actions: &[sdk::Action]) -> Result<(), AccountError> {
        let words = format!("{actions:?}");
        self.call(call("ModifyRule", rule, Class::SetAbsolute).saying(&words), || async {
            let request = self.balancing.modify_rule().rule_arn(rule).set_actions(Some(actions.to_vec()));
            answer(request.send().await)?.read(|_| Ok(()))
        })
        .await
    }

    pub(super) async fn set_default_actions(&self, listener: &str, actions: &[sdk::Action]) -> Result<(), AccountError> {
        let words = format!("{actions:?}");
        self.call(call("ModifyListener", listener, Class::SetAbsolute).saying(&words), || async {
            let request = self.balancing.modify_listener().listener_arn(listener).set_default_actions(Some(actions.to_vec()));
            answer(request.send().await)?.read(|_| Ok(()))
        })
        .await
    }
}

/// For a route that is not there.
pub(super) fn not_found(operation: &'static str, resource: &str) -> AccountError {
    Failure::new(Kind::NotFound, "the reply does not contain it").into_error(&call(operation, resource, Class::Read), Kind::NotFound, 1)
}
