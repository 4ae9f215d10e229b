//! HTTP straight to an instance's private address, as an operator inside the network sends it.

use super::{Instance, Lifecycle, Time, World};

/// Compilers that every instance lists.
const COMPILERS: [&str; 6] = ["g132", "g141", "clang1810", "clang1910", "rustc1830", "go1231"];

/// Where an instance without a target group listens.
const ROUTER_PORT: u16 = 80;

/// What a request to an instance gets back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceReply {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
}

fn text(status: u16, body: impl Into<String>) -> InstanceReply {
    InstanceReply { status, content_type: "text/plain; charset=utf-8", body: body.into() }
}

impl World {
    /// HTTP to the private address of an instance: `GET` of the health check path, `/version`, `/api/compilers`, `POST /admin/clear-cache`;
    /// `None`: nobody listens there. An application listens on the ports of its target groups, a router on port 80.
    pub fn instance_http(&mut self, (ip, port): (&str, u16), method: &str, path: &str) -> Option<InstanceReply> {
        let now = self.now;
        let instance = self.instances.values().find(|i| i.private_ip == ip)?;
        let groups = self.groups.get(&instance.group).map(|group| group.target_groups.as_slice()).unwrap_or_default();
        let mut services = groups.iter().filter_map(|arn| self.target_groups.get(arn)).filter(|group| group.port == port);
        let (router, service) = (groups.is_empty(), services.next());
        let served = if router { port == ROUTER_PORT } else { service.is_some() };
        if !served || !instance.listens(now) {
            return None;
        }
        if !instance.answers(now) {
            return Some(text(503, "Service Unavailable"));
        }
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let (id, version) = (instance.id.clone(), instance.version.clone().unwrap_or_default());
        Some(match (method, path) {
            ("GET" | "HEAD", p) if p == service.map_or("/healthcheck", |group| &group.path) => text(200, "Everything is awesome"),
            ("GET", "/version") => text(200, version),
            ("GET", p) if is_compilers(p) => compilers(),
            ("POST", "/admin/clear-cache") if router => {
                self.record_call("instance", "POST /admin/clear-cache", &id, String::new());
                text(200, "OK")
            }
            _ => text(404, "Not Found"),
        })
    }
}

impl Instance {
    /// The machine is there and its application has started; it may have broken since.
    pub(super) fn listens(&self, now: Time) -> bool {
        let up = match self.lifecycle {
            Lifecycle::InService | Lifecycle::Standby | Lifecycle::Terminating => true,
            Lifecycle::Pending | Lifecycle::Terminated => false,
        };
        up && self.interrupted_at.is_none_or(|end| now < end) && self.answers_from.is_some_and(|from| from <= now)
    }
}

/// `/api/compilers`, also below one path segment: `/beta/api/compilers`.
fn is_compilers(path: &str) -> bool {
    path.strip_suffix("/api/compilers").is_some_and(|prefix| prefix.is_empty() || prefix.rfind('/') == Some(0))
}

fn compilers() -> InstanceReply {
    let ids: Vec<String> = COMPILERS.iter().map(|id| format!(r#"{{"id":"{id}"}}"#)).collect();
    InstanceReply { status: 200, content_type: "application/json; charset=utf-8", body: format!("[{}]", ids.join(",")) }
}
