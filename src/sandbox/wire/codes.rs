//! Error codes that AWS declares for the operations that bgx calls (botocore's service models 1.43), asserted of the sandbox's own replies.

/// What the services' front doors and parsers answer to a request that is wrong in itself, undeclared (AWS pages "Common errors").
const COMMON: [&str; 13] = [
    "InvalidAction",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "MalformedInput",
    "MalformedQueryString",
    "MissingAction",
    "MissingParameter",
    "NotImplemented",
    "NotSimulated",
    "SerializationException",
    "UnknownOperationException",
    "ValidationError",
    "ValidationException",
];

/// By operation.
const DECLARED: [(&str, &[&str]); 27] = [
    ("UpdateAutoScalingGroup", &["ScalingActivityInProgress", "ResourceContention", "ServiceLinkedRoleFailure"]),
    ("SetDesiredCapacity", &["ScalingActivityInProgress", "ResourceContention"]),
    ("SuspendProcesses", &["ResourceInUse", "ResourceContention"]),
    ("ResumeProcesses", &["ResourceInUse", "ResourceContention"]),
    ("EnterStandby", &["ResourceContention"]),
    ("ExitStandby", &["ResourceContention"]),
    ("TerminateInstanceInAutoScalingGroup", &["ScalingActivityInProgress", "ResourceContention"]),
    ("StartInstanceRefresh", &["LimitExceeded", "ResourceContention", "InstanceRefreshInProgress"]),
    ("CancelInstanceRefresh", &["LimitExceeded", "ResourceContention", "ActiveInstanceRefreshNotFound"]),
    ("DescribeInstanceRefreshes", &["InvalidNextToken", "ResourceContention"]),
    ("DescribeAutoScalingGroups", &["InvalidNextToken", "ResourceContention"]),
    ("DescribeScalingActivities", &["InvalidNextToken", "ResourceContention"]),
    ("DescribeLoadBalancers", &["LoadBalancerNotFound"]),
    ("DescribeListeners", &["ListenerNotFound", "LoadBalancerNotFound", "UnsupportedProtocol"]),
    ("DescribeRules", &["ListenerNotFound", "RuleNotFound", "UnsupportedProtocol"]),
    ("DescribeTargetGroups", &["LoadBalancerNotFound", "TargetGroupNotFound"]),
    ("DescribeTargetHealth", &["InvalidTarget", "TargetGroupNotFound", "HealthUnavailable"]),
    ("RegisterTargets", &["TargetGroupNotFound", "TooManyTargets", "InvalidTarget", "TooManyRegistrationsForTargetId"]),
    ("DeregisterTargets", &["TargetGroupNotFound", "InvalidTarget"]),
    ("ModifyListener", MODIFIED),
    ("ModifyRule", MODIFIED),
    ("GetParameter", &["InternalServerError", "InvalidKeyId", "ParameterNotFound", "ParameterVersionNotFound"]),
    ("GetParameters", &["InternalServerError", "InvalidKeyId"]),
    (
        "PutParameter",
        &[
            "HierarchyLevelLimitExceededException",
            "HierarchyTypeMismatch",
            "InternalServerError",
            "InvalidAllowedPatternException",
            "InvalidKeyId",
            "ParameterAlreadyExists",
            "ParameterLimitExceeded",
            "ParameterMaxVersionLimitExceeded",
            "ParameterPatternMismatchException",
            "TooManyUpdates",
            "UnsupportedParameterType",
        ],
    ),
    ("DeleteParameter", &["InternalServerError", "ParameterNotFound"]),
    (
        "PutObject",
        &[
            "NoSuchBucket",
            "PreconditionFailed",
            "ConditionalRequestConflict",
            "NoSuchKey",
            "InvalidRequest",
            "BadDigest",
            "IncompleteBody",
            "InvalidArgument",
        ],
    ),
    ("GetObject", &["NoSuchBucket", "NoSuchKey", "InvalidObjectState", "PreconditionFailed", "InvalidArgument"]),
];

const MODIFIED: &[&str] = &[
    "IncompatibleProtocols",
    "InvalidLoadBalancerAction",
    "ListenerNotFound",
    "OperationNotPermitted",
    "PriorRequestNotComplete",
    "RuleNotFound",
    "TargetGroupAssociationLimit",
    "TargetGroupNotFound",
    "TooManyActions",
    "TooManyRegistrationsForTargetId",
    "TooManyTargets",
    "TooManyUniqueTargetGroupsPerLoadBalancer",
    "UnsupportedProtocol",
];

/// Whether an operation can be refused with this code; `None`: its codes are not known here.
pub fn may_answer(operation: &str, code: &str) -> Option<bool> {
    let declared = DECLARED.iter().find(|(known, _)| *known == operation)?;
    Some(declared.1.contains(&code) || COMMON.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_codes_of_its_own() {
        assert_eq!(may_answer("PutParameter", "ParameterAlreadyExists"), Some(true));
        assert_eq!(may_answer("GetParameter", "ParameterAlreadyExists"), Some(false));
        assert_eq!(may_answer("UpdateAutoScalingGroup", "ValidationError"), Some(true));
        assert_eq!(may_answer("SomethingElse", "ValidationError"), None);
    }
}
