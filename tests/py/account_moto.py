"""Seeds a moto server with a small blue-green environment and prints its ARNs as JSON."""

import json
import sys

import boto3


def client(service):
    return boto3.client(
        service, endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="bgx", aws_secret_access_key="bgx"
    )


ec2, elb, asg, ssm, s3 = (client(s) for s in ("ec2", "elbv2", "autoscaling", "ssm", "s3"))

vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
subnets = [
    ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"]["SubnetId"]
    for n, zone in ((1, "a"), (2, "b"))
]
lb = elb.create_load_balancer(Name="GccExplorerApp", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]


def target_group(name):
    reply = elb.create_target_group(
        Name=name, Protocol="HTTP", Port=80, VpcId=vpc, HealthCheckPath="/healthcheck", HealthCheckIntervalSeconds=10
    )
    return reply["TargetGroups"][0]["TargetGroupArn"]


groups = {name: target_group(name) for name in ("Beta-Blue", "Beta-Green")}
to_blue = [{"Type": "forward", "TargetGroupArn": groups["Beta-Blue"]}]
listeners = [
    elb.create_listener(LoadBalancerArn=lb, Protocol="HTTP", Port=port, DefaultActions=to_blue)["Listeners"][0]["ListenerArn"]
    for port in (80, 8080)
]
sticky = [
    {
        "Type": "forward",
        "ForwardConfig": {
            "TargetGroups": [{"TargetGroupArn": groups["Beta-Blue"], "Weight": 1}],
            "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 60},
        },
    }
]
conditions = [{"Field": "path-pattern", "Values": ["/beta*"]}, {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X", "Values": ["1"]}}]
rule = elb.create_rule(ListenerArn=listeners[0], Priority=10, Conditions=conditions, Actions=sticky)["Rules"][0]["RuleArn"]
elb.create_rule(
    ListenerArn=listeners[0], Priority=2, Conditions=[{"Field": "host-header", "Values": ["b.example.com"]}], Actions=to_blue
)

asg.create_launch_configuration(LaunchConfigurationName="lc", ImageId="ami-12c6146b", InstanceType="t2.medium")
for color, name, size in (("blue", "Beta-Blue", 2), ("green", "Beta-Green", 0)):
    asg.create_auto_scaling_group(
        AutoScalingGroupName=f"beta-{color}",
        LaunchConfigurationName="lc",
        MinSize=0,
        MaxSize=4,
        DesiredCapacity=size,
        VPCZoneIdentifier=",".join(subnets),
        TargetGroupARNs=[groups[name]],
        HealthCheckType="ELB",
        HealthCheckGracePeriod=240,
    )
asg.suspend_processes(AutoScalingGroupName="beta-blue", ScalingProcesses=["AZRebalance"])

ssm.put_parameter(Name="/ce/beta/active-color", Value="blue", Type="String")
for n in range(12):
    ssm.put_parameter(Name=f"/many/{n:02}", Value=str(n), Type="String")
ssm.put_parameter(Name="/secret", Value="s", Type="SecureString")
s3.create_bucket(Bucket="compiler-explorer")
s3.put_object(Bucket="compiler-explorer", Key="version/beta", Body=b"gh-1")
s3.put_object(Bucket="compiler-explorer", Key="dist/a b+c.json", Body=b"{}")
for n in range(1005):
    s3.put_object(Bucket="compiler-explorer", Key=f"many/{n:04}", Body=b"x")

print(json.dumps({"lb": lb, "groups": groups, "listeners": listeners, "rule": rule}))
