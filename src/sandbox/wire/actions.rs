//! Actions of listeners and rules, from awsQuery parameters and to XML.

use super::Xml;
use super::query::{Form, not_simulated};
use crate::sandbox::world::{Action, Fault, Weighted};

/// Reads `Actions.member.N…`, in the order of `Order` where it is given.
pub fn parse(form: &Form, name: &str) -> Result<Vec<Action>, Fault> {
    let mut ordered = Vec::new();
    for item in form.items(name) {
        ordered.push((item.number("Order")?.unwrap_or(0), action(&item)?));
    }
    ordered.sort_by_key(|(order, _)| *order);
    Ok(ordered.into_iter().map(|(_, action)| action).collect())
}

fn action(item: &Form) -> Result<Action, Fault> {
    item.only(&["Type", "Order", "TargetGroupArn", "ForwardConfig", "FixedResponseConfig", "RedirectConfig"])?;
    match item.required("Type")? {
        "forward" => forward(item),
        "fixed-response" => fixed_response(item),
        "redirect" => redirect(item),
        other => Err(not_simulated(other)),
    }
}

/// `TargetGroupArn` alone, `ForwardConfig` alone, or both when they name the same one target group.
fn forward(item: &Form) -> Result<Action, Fault> {
    let alone = item.get("TargetGroupArn");
    let config = item.under("ForwardConfig");
    let groups = config.as_ref().map(|config| config.items("TargetGroups")).unwrap_or_default();
    let several = groups.len() > 1;
    let mut targets = Vec::new();
    for group in groups {
        let weight = group.number("Weight")?;
        if several && weight.is_none() {
            return Err(validation("You must specify a weight for each target group of a forward action with more than one target group"));
        }
        targets.push(Weighted { target_group: group.required("TargetGroupArn")?.to_owned(), weight: weight.unwrap_or(1) });
    }
    match (alone, targets.as_slice()) {
        (None, []) => return Err(validation("A target group ARN must be specified for a forward action")),
        (Some(arn), []) => targets.push(Weighted { target_group: arn.to_owned(), weight: 1 }),
        (Some(arn), [one]) if one.target_group == arn => {}
        (Some(_), [_, ..]) => {
            return Err(validation(
                "You can specify both a target group ARN and a forward config only if the forward config has exactly that target group",
            ));
        }
        (None, [_, ..]) => {}
    }
    let sticky = config.and_then(|config| config.under("TargetGroupStickinessConfig"));
    let stickiness_seconds = match sticky {
        Some(sticky) if sticky.flag("Enabled")? == Some(true) => {
            let seconds = sticky.number("DurationSeconds")?;
            Some(seconds.ok_or_else(|| validation("You must specify the duration of target group stickiness"))?)
        }
        Some(_) | None => None,
    };
    Ok(Action::Forward { targets, stickiness_seconds })
}

fn fixed_response(item: &Form) -> Result<Action, Fault> {
    let config = item.under("FixedResponseConfig").ok_or_else(|| validation("A fixed-response action needs a FixedResponseConfig"))?;
    let code = config.required("StatusCode")?;
    let status = code.parse().ok().filter(|status| matches!(status, 200..=299 | 400..=599));
    Ok(Action::FixedResponse {
        status: status.ok_or_else(|| validation("The status code of a fixed response must be 2XX, 4XX or 5XX"))?,
        content_type: config.get("ContentType").map(str::to_owned),
        body: config.get("MessageBody").map(str::to_owned),
    })
}

fn redirect(item: &Form) -> Result<Action, Fault> {
    let config = item.under("RedirectConfig").ok_or_else(|| validation("A redirect action needs a RedirectConfig"))?;
    let text = |name: &str| config.get(name).map(str::to_owned);
    let status = config.required("StatusCode")?;
    if !["HTTP_301", "HTTP_302"].contains(&status) {
        return Err(validation("The status code of a redirect must be HTTP_301 or HTTP_302"));
    }
    Ok(Action::Redirect {
        status: status.to_owned(),
        protocol: text("Protocol"),
        port: text("Port"),
        host: text("Host"),
        path: text("Path"),
        query: text("Query"),
    })
}

/// Writes a list of actions. A forward to one target group is echoed in both of its forms.
pub fn write(xml: &mut Xml, name: &str, actions: &[Action]) {
    let several = actions.len() > 1;
    xml.members(name, actions.iter().enumerate(), |xml, (place, action)| {
        write_one(xml, action);
        if several {
            xml.leaf("Order", place + 1);
        }
    });
}

fn write_one(xml: &mut Xml, action: &Action) {
    match action {
        Action::Forward { targets, stickiness_seconds } => write_forward(xml, targets, *stickiness_seconds),
        Action::FixedResponse { status, content_type, body } => {
            xml.leaf("Type", "fixed-response").within("FixedResponseConfig", |xml| {
                xml.leaf_if("MessageBody", body.as_ref()).leaf("StatusCode", status).leaf_if("ContentType", content_type.as_ref());
            });
        }
        Action::Redirect { status, protocol, port, host, path, query } => {
            // What a redirect leaves out keeps the value of the request, and AWS says so in full.
            let or = |value: &Option<String>, kept: &str| value.clone().unwrap_or_else(|| kept.to_owned());
            xml.leaf("Type", "redirect").within("RedirectConfig", |xml| {
                xml.leaf("Protocol", or(protocol, "#{protocol}"))
                    .leaf("Port", or(port, "#{port}"))
                    .leaf("Host", or(host, "#{host}"))
                    .leaf("Path", or(path, "/#{path}"))
                    .leaf("Query", or(query, "#{query}"))
                    .leaf("StatusCode", status);
            });
        }
    }
}

fn write_forward(xml: &mut Xml, targets: &[Weighted], stickiness_seconds: Option<u32>) {
    xml.leaf("Type", "forward");
    if let [one] = targets {
        xml.leaf("TargetGroupArn", &one.target_group);
    }
    xml.within("ForwardConfig", |xml| {
        xml.members("TargetGroups", targets, |xml, target| {
            xml.leaf("TargetGroupArn", &target.target_group).leaf("Weight", target.weight);
        })
        .within("TargetGroupStickinessConfig", |xml| {
            xml.leaf("Enabled", stickiness_seconds.is_some()).leaf_if("DurationSeconds", stickiness_seconds);
        });
    });
}

fn validation(message: &str) -> Fault {
    Fault::new(400, "ValidationError", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Action>, Fault> {
        parse(&Form::parse(text.as_bytes()), "A")
    }

    fn to(targets: &[(&str, u32)]) -> Action {
        let targets = targets.iter().map(|(arn, weight)| Weighted { target_group: (*arn).to_owned(), weight: *weight }).collect();
        Action::Forward { targets, stickiness_seconds: None }
    }

    #[test]
    fn the_three_ways_to_write_a_forward_to_one_group_are_the_same() {
        let alone = "A.member.1.Type=forward&A.member.1.TargetGroupArn=x";
        let config = "A.member.1.Type=forward&A.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn=x";
        let both = format!("{config}&A.member.1.TargetGroupArn=x");
        for text in [alone, config, &both] {
            assert_eq!(parsed(text), Ok(vec![to(&[("x", 1)])]), "{text}");
        }
    }

    #[test]
    fn both_forms_must_name_the_same_group() {
        let text = "A.member.1.Type=forward&A.member.1.TargetGroupArn=y&A.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn=x";
        assert_eq!(parsed(text).unwrap_err().code, "ValidationError");
    }

    #[test]
    fn weights_are_read_and_weight_zero_is_kept() {
        let text = "A.member.1.Type=forward&A.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn=x&A.member.1.ForwardConfig.TargetGroups.member.1.Weight=100\
            &A.member.1.ForwardConfig.TargetGroups.member.2.TargetGroupArn=y&A.member.1.ForwardConfig.TargetGroups.member.2.Weight=0";
        assert_eq!(parsed(text), Ok(vec![to(&[("x", 100), ("y", 0)])]));
    }

    #[test]
    fn several_groups_need_weights() {
        let text = "A.member.1.Type=forward&A.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn=x\
            &A.member.1.ForwardConfig.TargetGroups.member.2.TargetGroupArn=y";
        assert_eq!(parsed(text).unwrap_err().code, "ValidationError");
    }

    #[test]
    fn every_action_survives_writing_and_reading() {
        // A redirect comes back in full; the others as they were sent.
        let text =
            "A.member.1.Type=fixed-response&A.member.1.FixedResponseConfig.StatusCode=404&A.member.1.FixedResponseConfig.MessageBody=no";
        assert_eq!(parsed(text), Ok(vec![Action::FixedResponse { status: 404, content_type: None, body: Some("no".into()) }]));
        let text = "A.member.1.Type=redirect&A.member.1.RedirectConfig.StatusCode=HTTP_301&A.member.1.RedirectConfig.Protocol=HTTPS";
        let actions = parsed(text).expect("it is complete");
        let mut xml = Xml::new();
        write(&mut xml, "Actions", &actions);
        let shown = xml.document("R", "");
        assert!(shown.contains("<Protocol>HTTPS</Protocol><Port>#{port}</Port><Host>#{host}</Host><Path>/#{path}</Path>"), "{shown}");
        assert!(!shown.contains("Order"), "{shown}");
    }

    #[test]
    fn one_group_is_echoed_twice_and_several_once() {
        let shown = |actions: &[Action]| {
            let mut xml = Xml::new();
            write(&mut xml, "Actions", actions);
            xml.document("R", "")
        };
        let one = shown(&[to(&[("x", 1)])]);
        assert!(one.contains("<TargetGroupArn>x</TargetGroupArn><ForwardConfig><TargetGroups><member><TargetGroupArn>x</TargetGroupArn><Weight>1</Weight>"), "{one}");
        let two = shown(&[to(&[("x", 1), ("y", 0)])]);
        assert!(two.contains("<Type>forward</Type><ForwardConfig>"), "{two}");
    }

    #[test]
    fn what_cannot_be_simulated_is_refused() {
        assert_eq!(parsed("A.member.1.Type=authenticate-oidc").unwrap_err().code, "NotSimulated");
    }
}
