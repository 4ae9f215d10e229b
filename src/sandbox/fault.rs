//! Rules that spoil a chosen call, or make the world misbehave between two calls; seeded by their place, never by chance.

/// The rules in force, consulted in order.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub rules: Vec<Rule>,
}

/// Spoils the calls that match it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Service as in the host name: `autoscaling`, `elasticloadbalancing`, `ssm`, `s3`, `sts`; `None`: any.
    pub service: Option<String>,
    /// Operation, e.g. `ModifyRule`; `None`: any.
    pub operation: Option<String>,
    /// Matching calls to let through first.
    pub skip: u32,
    /// Matching calls to spoil after that; `u32::MAX`: all.
    pub times: u32,
    pub effect: Effect,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Refused with this error; nothing happens.
    Error { status: u16, code: String, message: String },
    /// The connection breaks before the call is carried out.
    ResetBefore,
    /// The call is carried out, then the connection breaks.
    ResetAfter,
    /// No reply ever comes; the call is not carried out.
    HangBefore,
    /// No reply ever comes; the call is carried out.
    HangAfter,
    /// 200 with this body in place of the reply; the call is not carried out.
    Body { content_type: String, body: String },
}
