//! User traffic: requests by listener weight and target health, integrated between two changes of the world.

use super::{Time, Users, World};

/// What a request to an instance gets back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceReply {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
}

impl World {
    /// Moves the world to `to`: boots, checks, drains, policies, interruptions, propagation and traffic, in the order in which they fall due.
    pub fn advance(&mut self, to: Time) {
        let _ = to;
        todo!()
    }

    /// What the users of `env` saw from `since` until now.
    pub fn users(&self, env: &str, since: Time) -> Users {
        let _ = (env, since);
        todo!()
    }

    /// HTTP to the private address of an instance: `GET /healthcheck`, `/version`, `/api/compilers`, `POST /admin/clear-cache`; `None`: nobody listens there.
    pub fn instance_http(&mut self, ip: &str, method: &str, path: &str) -> Option<InstanceReply> {
        let _ = (ip, method, path);
        todo!()
    }
}
