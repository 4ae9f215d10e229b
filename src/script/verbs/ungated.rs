//! Verbs of a playbook that is played without the gate: the bare calls of an algorithm that has no safer ones.

use super::environment::own_color;
use super::{Answer, field, perform, text, with};
use crate::account::Action;
use crate::run::{Run, RunError};
use crate::script::verb::{Effect, Kind, Param, Verb};
use crate::script::{Call, Record};
use rhai::{Array, Dynamic};

pub static VERBS: &[Verb] = &[
    Verb {
        name: "color_named",
        params: &[Param::required("name", Kind::Text, "name of a colour")],
        options: &[],
        returns: "the colour, with name and asg",
        summary: "A colour by its name; nothing is read.",
        errors: &["failed"],
        example: "color_named(\"blue\")",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: color_named,
    },
    Verb {
        name: "members",
        params: &[Param::required("color", Kind::Color, "a colour")],
        options: &[],
        returns: "a list of instances, each with id and lifecycle",
        summary: "The instances that a group lists, from one DescribeAutoScalingGroups.",
        errors: &["denied", "failed"],
        example: "members(color_named(\"blue\"))",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: members,
    },
    Verb {
        name: "routes",
        params: &[],
        options: &[],
        returns: "a list of labels",
        summary: "The rules and default actions of the environment, in the order of bgx.toml.",
        errors: &["denied", "failed"],
        example: "routes()",
        effect: Effect::Read,
        since: 1,
        deprecated: None,
        call: routes,
    },
    Verb {
        name: "forward",
        params: &[
            Param::required("route", Kind::Text, "one of routes()"),
            Param::required("color", Kind::Color, "the colour that gets all its traffic"),
        ],
        options: &[],
        returns: "true",
        summary: "Replaces the forward action of one route by one target group, whatever its health.",
        errors: &["denied", "failed"],
        example: "forward(routes()[0], color_named(\"green\"))",
        effect: Effect::Write,
        since: 1,
        deprecated: None,
        call: forward,
    },
];

fn color_named(call: &Call) -> Answer {
    let name = call.text(0);
    let names =
        with(call, async |run| run.env.color(&name).cloned().ok_or_else(|| RunError::failed(format!("there is no colour `{name}`"))))?;
    Ok(Dynamic::from(Record::new("color", [("name", Dynamic::from(names.name)), ("asg", Dynamic::from(names.asg))])))
}

fn members(call: &Call) -> Answer {
    let color = call.record(0);
    let group = with(call, async |run| {
        let asg = own_color(run, &color)?.asg;
        super::reads::read_group(run, "members", &asg).await
    })?;
    let record = |id: &str, lifecycle: &str| {
        let fields = [("id", Dynamic::from(id.to_owned())), ("lifecycle", Dynamic::from(lifecycle.to_owned())), ("address", text(None))];
        Dynamic::from(Record::new("instance", fields))
    };
    Ok(Dynamic::from(group.instances.iter().map(|i| record(&i.id, &i.lifecycle)).collect::<Array>()))
}

fn routes(call: &Call) -> Answer {
    let labels = with(call, async |run| {
        let topology = run.topology().await?;
        Ok(topology.routes.iter().map(|route| Dynamic::from(route.label.clone())).collect::<Array>())
    })?;
    Ok(Dynamic::from(labels))
}

fn forward(call: &Call) -> Answer {
    let (label, color) = (call.text(0), call.record(1));
    let action = with(call, async |run: &mut Run| {
        let topology = run.topology().await?;
        let route = topology.routes.iter().find(|route| route.label == label);
        let route = route.ok_or_else(|| RunError::failed(format!("there is no route `{label}`")))?;
        let weights = topology.weights(route, &[(field(&color, "name"), 1)]);
        Ok(Action::Forward { env: run.env.name.clone(), routes: vec![route.clone()], weights })
    })?;
    perform(call, action, false).map(Dynamic::from)
}
