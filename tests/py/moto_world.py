"""Environment `beta` on a moto server: `moto_world.py seed URL` makes it, `moto_world.py read URL` prints it as JSON;
a REGION after that is another one than us-east-1, where the bucket always is.

moto knows no time, no health and no draining: every registered target is healthy at once and terminated instances stay
listed. What is read here says where traffic goes and how large the groups are, nothing about health.
"""

import json
import sys

import boto3

BUCKET = "compiler-explorer"
PREFIX = "/compiler-explorer/beta"
COLORS = {"blue": ("beta-blue", "Beta-Blue", 2), "green": ("beta-green", "Beta-Green", 0)}
BUILDS = (41000, 41001, 41002)
SERVING = "dist/gh/main/41000.tar.xz"
HOME = "us-east-1"
REGION = sys.argv[3] if len(sys.argv) > 3 else HOME


def client(service, endpoint):
    region = HOME if service == "s3" else REGION
    return boto3.client(
        service, endpoint_url=endpoint, region_name=region, aws_access_key_id="bgx", aws_secret_access_key="bgx"
    )


def network(ec2):
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    zones = ((1, f"{REGION}a"), (2, f"{REGION}b"))
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"] for n, zone in zones
    ]
    return vpc, subnets


def balancing(elb, vpc, subnets):
    """The load balancer with one listener on 443: /beta* goes to blue, everything else is answered with 404."""
    balancer = elb.create_load_balancer(Name="GccExplorerApp", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    groups = {
        name: elb.create_target_group(
            Name=name, Protocol="HTTP", Port=80, VpcId=vpc, HealthCheckPath="/healthcheck", HealthCheckIntervalSeconds=10
        )["TargetGroups"][0]["TargetGroupArn"]
        for _, name, _ in COLORS.values()
    }
    nothing = {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "nothing here"}
    listener = elb.create_listener(
        LoadBalancerArn=balancer,
        Protocol="HTTP",
        Port=443,
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": nothing}],
    )["Listeners"][0]["ListenerArn"]
    # moto notes which load balancer a target group belongs to only when a rule is created, never when one is modified: a
    # rule that no environment names stands in for that.
    for priority, path, name in ((110, "/beta*", "Beta-Blue"), (900, "/nobody*", "Beta-Green")):
        elb.create_rule(
            ListenerArn=listener,
            Priority=priority,
            Conditions=[{"Field": "path-pattern", "Values": [path]}],
            Actions=[{"Type": "forward", "TargetGroupArn": groups[name]}],
        )
    return groups


def scaling(ec2, asg, subnets, groups):
    template = ec2.create_launch_template(
        LaunchTemplateName="beta", LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": "t3.medium"}
    )["LaunchTemplate"]["LaunchTemplateId"]
    for name, target_group, size in COLORS.values():
        asg.create_auto_scaling_group(
            AutoScalingGroupName=name,
            LaunchTemplate={"LaunchTemplateId": template, "Version": "$Latest"},
            MinSize=0,
            MaxSize=10,
            DesiredCapacity=size,
            VPCZoneIdentifier=",".join(subnets),
            TargetGroupARNs=[groups[target_group]],
            HealthCheckType="ELB",
            HealthCheckGracePeriod=240,
        )


def storage(ssm, s3, groups):
    parameters = {"active-color": "blue", "active-target-group-arn": groups["Beta-Blue"], "blue-version": SERVING}
    for name, value in parameters.items():
        ssm.put_parameter(Name=f"{PREFIX}/{name}", Value=value, Type="String")
    if REGION != HOME:
        return
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="version/beta", Body=SERVING.encode())
    for number in BUILDS:
        s3.put_object(Bucket=BUCKET, Key=f"dist/gh/main/{number}.tar.xz", Body=b"a build")


def seed(endpoint):
    ec2, elb, asg, ssm, s3 = (client(name, endpoint) for name in ("ec2", "elbv2", "autoscaling", "ssm", "s3"))
    vpc, subnets = network(ec2)
    groups = balancing(elb, vpc, subnets)
    scaling(ec2, asg, subnets, groups)
    storage(ssm, s3, groups)


def weights(elb):
    """Target group name to weight, of the one rule for /beta*."""
    [balancer] = elb.describe_load_balancers(Names=["GccExplorerApp"])["LoadBalancers"]
    [listener] = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    rules = elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
    [rule] = [rule for rule in rules if rule["Conditions"] and rule["Conditions"][0]["Values"] == ["/beta*"]]
    [action] = rule["Actions"]
    if "ForwardConfig" not in action:
        return {action["TargetGroupArn"].split("/")[1]: 1}
    return {group["TargetGroupArn"].split("/")[1]: group["Weight"] for group in action["ForwardConfig"]["TargetGroups"]}


def sizes(asg):
    """Group name to its bounds, its instances in service and its suspended processes."""
    names = [name for name, _, _ in COLORS.values()]
    return {
        group["AutoScalingGroupName"]: {
            "desired": group["DesiredCapacity"],
            "min": group["MinSize"],
            "max": group["MaxSize"],
            "in_service": sum(instance["LifecycleState"] == "InService" for instance in group["Instances"]),
            "suspended": sorted(process["ProcessName"] for process in group["SuspendedProcesses"]),
        }
        for group in asg.describe_auto_scaling_groups(AutoScalingGroupNames=names)["AutoScalingGroups"]
    }


def read(endpoint):
    elb, asg, ssm, s3 = (client(name, endpoint) for name in ("elbv2", "autoscaling", "ssm", "s3"))
    parameters = ssm.get_parameters_by_path(Path=PREFIX)["Parameters"]
    found = {parameter["Name"].removeprefix(f"{PREFIX}/"): parameter["Value"] for parameter in parameters}
    found["active-target-group-arn"] = found["active-target-group-arn"].split("/")[1]
    key = s3.get_object(Bucket=BUCKET, Key="version/beta")["Body"].read().decode()
    print(json.dumps({"weights": weights(elb), "groups": sizes(asg), "parameters": found, "version_key": key}))


if __name__ == "__main__":
    {"seed": seed, "read": read}[sys.argv[1]](sys.argv[2])
