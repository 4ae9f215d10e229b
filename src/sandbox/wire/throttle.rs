//! API rates: token buckets per account, with AWS's errors when they are empty.

use super::Service;
use crate::sandbox::world::{Fault, Throttle, World};

/// The size of one bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    pub bucket: &'static str,
    pub capacity: f64,
    pub per_second: f64,
}

const fn limit(bucket: &'static str, capacity: f64, per_second: f64) -> Limit {
    Limit { bucket, capacity, per_second }
}

/// The buckets of a new account. Those of elbv2 are published (Elastic Load Balancing API Reference, "Request throttling");
/// the others are not and are to be varied: a bucket that stands in `World::throttles` goes before this table.
pub const LIMITS: [Limit; 7] = [
    limit("elbv2", 40.0, 10.0),
    limit("elbv2-describe", 40.0, 10.0),
    limit("elbv2-mutate", 20.0, 3.0),
    limit("elbv2-targets", 20.0, 4.0),
    limit("autoscaling", 20.0, 5.0),
    limit("ssm-get", 40.0, 40.0),
    limit("ssm-put", 5.0, 3.0),
];

/// Takes one token from each bucket that this call needs, or from none.
pub fn admit(world: &mut World, service: Service, operation: &str) -> Result<(), Fault> {
    let names = buckets(service, operation);
    let mut taken = Vec::new();
    for name in names {
        let mut bucket = filled(world, name);
        if bucket.tokens < 1.0 {
            return Err(rate_exceeded(service.name()));
        }
        bucket.tokens -= 1.0;
        taken.push((*name, bucket));
    }
    for (name, bucket) in taken {
        world.throttles.insert(name.to_owned(), bucket);
    }
    Ok(())
}

fn buckets(service: Service, operation: &str) -> &'static [&'static str] {
    match service {
        Service::LoadBalancing if operation.starts_with("Describe") => &["elbv2", "elbv2-describe"],
        Service::LoadBalancing if matches!(operation, "RegisterTargets" | "DeregisterTargets") => &["elbv2", "elbv2-targets"],
        Service::LoadBalancing => &["elbv2", "elbv2-mutate"],
        Service::AutoScaling => &["autoscaling"],
        Service::Ssm if operation.starts_with("Get") || operation.starts_with("Describe") => &["ssm-get"],
        Service::Ssm => &["ssm-put"],
        Service::S3 | Service::Sts | Service::Instance => &[],
    }
}

/// The bucket as it stands at the present moment.
fn filled(world: &World, name: &str) -> Throttle {
    let known = world.throttles.get(name).copied();
    let mut bucket = known.unwrap_or_else(|| {
        let limit = LIMITS.iter().find(|limit| limit.bucket == name).expect("every bucket that a call needs is in the table");
        Throttle { capacity: limit.capacity, per_second: limit.per_second, tokens: limit.capacity, at: world.now }
    });
    let seconds = world.now.since(bucket.at) as f64 / 1000.0;
    bucket.tokens = (bucket.tokens + seconds * bucket.per_second).min(bucket.capacity);
    bucket.at = world.now;
    bucket
}

/// The error of a service (by its name) that is asked too often.
pub fn rate_exceeded(service: &str) -> Fault {
    match service {
        "ssm" => Fault::new(400, "ThrottlingException", "Rate exceeded"),
        "s3" => Fault::new(503, "SlowDown", "Please reduce your request rate."),
        _ => Fault::new(400, "Throttling", "Rate exceeded"),
    }
}
