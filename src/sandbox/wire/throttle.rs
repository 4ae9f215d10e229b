//! API rates: token buckets per account, with AWS's errors when they are empty.

use super::Service;
use crate::sandbox::world::{Fault, Throttle, Time, World};

/// Takes one token from each bucket that this call needs, or from none. A bucket that the world does not have limits nothing.
pub fn admit(world: &mut World, service: Service, operation: &str) -> Result<(), Fault> {
    let mut needed = Vec::new();
    for name in buckets(service, operation) {
        needed.extend(world.throttles.get(*name).map(|bucket| (*name, filled(*bucket, world.now))));
    }
    if needed.iter().any(|(_, bucket)| bucket.tokens < 1.0) {
        world.note_throttled(service.name(), operation);
        return Err(rate_exceeded(service.name()));
    }
    for (name, bucket) in needed {
        world.throttles.insert(name.to_owned(), Throttle { tokens: bucket.tokens - 1.0, ..bucket });
    }
    Ok(())
}

fn buckets(service: Service, operation: &str) -> &'static [&'static str] {
    match service {
        Service::LoadBalancing if operation.starts_with("Describe") => &["elbv2", "elbv2-describe"],
        Service::LoadBalancing if matches!(operation, "RegisterTargets" | "DeregisterTargets") => &["elbv2", "elbv2-targets"],
        Service::LoadBalancing => &["elbv2", "elbv2-mutate"],
        Service::AutoScaling => &["autoscaling"],
        // Run Command has rates of its own, which are not published.
        Service::Ssm if operation.contains("Command") => &[],
        Service::Ssm if operation.starts_with("Get") || operation.starts_with("Describe") => &["ssm-get"],
        Service::Ssm => &["ssm-put"],
        Service::CloudWatch if operation == "DescribeAlarms" => &["alarms"],
        Service::CloudWatch => &["metrics"],
        Service::S3 | Service::Sts | Service::Instance | Service::Webhook | Service::GitHub => &[],
    }
}

/// The bucket as it stands at the present moment.
fn filled(bucket: Throttle, now: Time) -> Throttle {
    let seconds = now.since(bucket.at) as f64 / 1000.0;
    Throttle { tokens: (bucket.tokens + seconds * bucket.per_second).min(bucket.capacity), at: now, ..bucket }
}

/// The error of a service (by its name) that is asked too often.
pub fn rate_exceeded(service: &str) -> Fault {
    match service {
        "ssm" => Fault::new(400, "ThrottlingException", "Rate exceeded"),
        "s3" => Fault::new(503, "SlowDown", "Please reduce your request rate."),
        "github" => Fault::new(429, "", "You have exceeded a secondary rate limit."),
        _ => Fault::new(400, "Throttling", "Rate exceeded"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::world::Happening;

    fn tokens(world: &World, bucket: &str) -> f64 {
        world.throttles[bucket].tokens
    }

    #[test]
    fn a_call_that_is_refused_costs_nothing() {
        let mut world = World::new(&crate::sandbox::tests::spec());
        world.throttles.get_mut("elbv2-mutate").expect("a bucket").tokens = 0.0;
        let before = tokens(&world, "elbv2");
        assert_eq!(admit(&mut world, Service::LoadBalancing, "ModifyRule"), Err(rate_exceeded("elasticloadbalancing")));
        assert_eq!(tokens(&world, "elbv2"), before);
        let refused = Happening::Throttled { service: "elasticloadbalancing".to_owned(), operation: "ModifyRule".to_owned() };
        assert_eq!(world.log.last().map(|entry| &entry.what), Some(&refused), "and stands in the log");
        assert_eq!(admit(&mut world, Service::LoadBalancing, "RegisterTargets"), Ok(()));
        assert_eq!((tokens(&world, "elbv2"), tokens(&world, "elbv2-targets")), (39.0, 19.0));
    }

    #[test]
    fn a_bucket_fills_to_its_size_and_no_further() {
        let bucket = Throttle { capacity: 20.0, per_second: 3.0, tokens: 1.0, at: Time(0) };
        assert_eq!(filled(bucket, Time(2_000)).tokens, 7.0);
        assert_eq!(filled(bucket, Time(86_400_000)).tokens, 20.0);
    }

    #[test]
    fn a_bucket_that_is_not_there_limits_nothing() {
        let mut world = World::new(&crate::sandbox::tests::spec());
        world.throttles.clear();
        for _ in 0..1000 {
            assert_eq!(admit(&mut world, Service::LoadBalancing, "ModifyRule"), Ok(()));
        }
    }
}
