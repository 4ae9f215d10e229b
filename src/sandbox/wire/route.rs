//! Which service a request is for: by host name, or on a shared loopback port by what else the request says of itself.

use super::github::ENTERPRISE;
use crate::sandbox::Request;
use crate::sandbox::world::{Fault, World};
use std::net::Ipv4Addr;

/// Where notices of a run go in the sandbox.
const WEBHOOK_HOST: &str = "webhook.sandbox";
const GITHUB_HOST: &str = "api.github.com";

/// What the sandbox simulates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    AutoScaling,
    LoadBalancing,
    Ssm,
    S3,
    Sts,
    CloudWatch,
    /// The application on an instance, at its private address.
    Instance,
    /// Whoever takes notices outside of AWS.
    Webhook,
    GitHub,
}

impl Service {
    /// As in host names and in fault rules.
    pub fn name(self) -> &'static str {
        match self {
            Service::AutoScaling => "autoscaling",
            Service::LoadBalancing => "elasticloadbalancing",
            Service::Ssm => "ssm",
            Service::S3 => "s3",
            Service::Sts => "sts",
            Service::CloudWatch => "monitoring",
            Service::Instance => "instance",
            Service::Webhook => "webhook",
            Service::GitHub => "github",
        }
    }

    /// The XML namespace of its answers.
    pub fn namespace(self) -> &'static str {
        match self {
            Service::AutoScaling => "http://autoscaling.amazonaws.com/doc/2011-01-01/",
            Service::LoadBalancing => "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
            Service::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
            Service::S3 => "http://s3.amazonaws.com/doc/2006-03-01/",
            Service::Ssm | Service::CloudWatch | Service::Instance | Service::Webhook | Service::GitHub => "",
        }
    }

    fn named(name: &str) -> Option<Service> {
        let all = [Service::AutoScaling, Service::LoadBalancing, Service::Ssm, Service::S3, Service::Sts, Service::CloudWatch];
        all.into_iter().find(|s| s.name() == name)
    }
}

/// The service a request is for.
pub fn service(request: &Request) -> Result<Service, Fault> {
    if let Some(labels) = request.host.strip_suffix(".amazonaws.com") {
        return by_labels(labels).ok_or_else(|| unknown(&format!("the sandbox does not simulate `{}`", request.host)));
    }
    if request.host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_private()) {
        return Ok(Service::Instance);
    }
    if request.host == WEBHOOK_HOST {
        return Ok(Service::Webhook);
    }
    if request.host == GITHUB_HOST {
        return Ok(Service::GitHub);
    }
    let enterprise = || request.path.starts_with(ENTERPRISE).then_some(Ok(Service::GitHub));
    by_scope(request).or_else(enterprise).or_else(|| by_target(request)).or_else(|| by_version(request)).unwrap_or_else(|| {
        Err(unknown(&format!(
            "cannot tell which service `{} {}{}` is for: the host names none, and there is no `authorization` scope, `x-amz-target` or `Version`",
            request.method, request.host, request.path
        )))
    })
}

/// The region that a request is for: of an instance where it runs, else by host name or, on a shared port, by the scope of its signature.
pub fn region(service: Service, request: &Request, world: &World) -> String {
    let named = match service {
        Service::AutoScaling | Service::LoadBalancing | Service::Ssm | Service::CloudWatch | Service::Sts | Service::S3 => {
            asked_region(request)
        }
        Service::Instance => {
            let runs = |there: &&World| there.instances.values().any(|instance| instance.private_ip == request.host);
            world.regions().find(runs).map(|there| there.region.clone())
        }
        Service::Webhook | Service::GitHub => None,
    };
    named.unwrap_or_else(|| world.region.clone())
}

/// The region that a request names.
pub fn asked_region(request: &Request) -> Option<String> {
    let is_region = |label: &&str| label.split('-').count() >= 3 && label.ends_with(|c: char| c.is_ascii_digit());
    if let Some(labels) = request.host.strip_suffix(".amazonaws.com") {
        let last = labels.rsplit('.').next()?;
        return Some(last.strip_prefix("s3-").unwrap_or(last)).filter(is_region).map(str::to_owned);
    }
    scope(request)?.get(2).map(String::as_str).filter(is_region).map(str::to_owned)
}

/// `autoscaling.us-east-1`, `s3.us-east-1`, `my.bucket.s3.us-east-1`, `s3`.
fn by_labels(labels: &str) -> Option<Service> {
    let first = labels.split('.').next().unwrap_or(labels);
    match Service::named(first) {
        Some(service) => Some(service),
        None => labels.split('.').any(|label| label == "s3" || label.starts_with("s3-")).then_some(Service::S3),
    }
}

/// Parts of `Credential=AKID/20261121/us-east-1/autoscaling/aws4_request`, in the header or in a presigned address.
fn scope(request: &Request) -> Option<Vec<String>> {
    let header = request.header("authorization").and_then(|text| text.split_once("Credential=")).map(|(_, rest)| rest.to_owned());
    let presigned = || form_urlencoded::parse(request.query.as_bytes()).find(|(n, _)| n == "X-Amz-Credential").map(|(_, v)| v.into_owned());
    let scope = header.or_else(presigned)?;
    Some(scope.split([',', ' ']).next()?.split('/').map(str::to_owned).collect())
}

fn by_scope(request: &Request) -> Option<Result<Service, Fault>> {
    let scope = scope(request)?;
    let name = scope.get(3)?;
    Some(Service::named(name).ok_or_else(|| unknown(&format!("the sandbox does not simulate `{name}`"))))
}

fn by_target(request: &Request) -> Option<Result<Service, Fault>> {
    let target = request.header("x-amz-target")?;
    Some(if target.starts_with("AmazonSSM.") {
        Ok(Service::Ssm)
    } else if target.starts_with("GraniteServiceVersion20100801.") {
        Ok(Service::CloudWatch)
    } else {
        Err(unknown(&format!("the sandbox does not simulate `{target}`")))
    })
}

fn by_version(request: &Request) -> Option<Result<Service, Fault>> {
    let text: &[u8] = if request.body.is_empty() { request.query.as_bytes() } else { &request.body };
    let (_, version) = form_urlencoded::parse(text).find(|(name, _)| name == "Version")?;
    Some(match version.as_ref() {
        "2011-01-01" => Ok(Service::AutoScaling),
        "2015-12-01" => Ok(Service::LoadBalancing),
        "2011-06-15" => Ok(Service::Sts),
        other => Err(unknown(&format!("the sandbox does not simulate API version `{other}`"))),
    })
}

fn unknown(message: &str) -> Fault {
    Fault::new(400, "UnknownService", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: &str, headers: &[(&str, &str)], query: &str, body: &str) -> Request {
        Request {
            method: "POST".into(),
            host: host.into(),
            port: 443,
            path: "/".into(),
            query: query.into(),
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            body: body.into(),
        }
    }

    #[test]
    fn hosts_name_their_service() {
        for (host, service_) in [
            ("autoscaling.us-east-1.amazonaws.com", Service::AutoScaling),
            ("elasticloadbalancing.us-east-1.amazonaws.com", Service::LoadBalancing),
            ("ssm.eu-west-2.amazonaws.com", Service::Ssm),
            ("sts.amazonaws.com", Service::Sts),
            ("monitoring.us-east-1.amazonaws.com", Service::CloudWatch),
            ("s3.us-east-1.amazonaws.com", Service::S3),
            ("a.dotted.bucket.s3.us-east-1.amazonaws.com", Service::S3),
            ("bucket.s3.amazonaws.com", Service::S3),
            ("10.0.3.4", Service::Instance),
            ("api.github.com", Service::GitHub),
        ] {
            assert_eq!(service(&request(host, &[], "", "")), Ok(service_), "{host}");
        }
    }

    #[test]
    fn on_a_shared_port_the_credential_scope_decides() {
        let scope = "AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/elasticloadbalancing/aws4_request, SignedHeaders=host";
        assert_eq!(service(&request("127.0.0.1", &[("authorization", scope)], "", "Version=2011-01-01")), Ok(Service::LoadBalancing));
        let presigned = "X-Amz-Credential=AKID%2F20261121%2Fus-east-1%2Fs3%2Faws4_request";
        assert_eq!(service(&request("127.0.0.1", &[], presigned, "")), Ok(Service::S3));
    }

    #[test]
    fn without_a_signature_the_target_or_the_version_decides() {
        assert_eq!(service(&request("localhost", &[("x-amz-target", "AmazonSSM.GetParameter")], "", "{}")), Ok(Service::Ssm));
        assert_eq!(service(&request("localhost", &[], "", "Action=X&Version=2015-12-01")), Ok(Service::LoadBalancing));
        assert_eq!(service(&request("localhost", &[], "Action=X&Version=2011-06-15", "")), Ok(Service::Sts));
    }

    #[test]
    fn a_request_without_a_service_is_told_so() {
        for host in ["127.0.0.1", "sqs.us-east-1.amazonaws.com", "example.com"] {
            let fault = service(&request(host, &[], "", "")).unwrap_err();
            assert_eq!((fault.status, fault.code.as_str()), (400, "UnknownService"), "{host}");
        }
    }
}
