"""boto3 over `bgx sandbox serve` of examples/two-regions: `boto3_regions.py URL`. One port answers for both regions."""

import sys

import boto3
from botocore.exceptions import ClientError


def client(service, region):
    return boto3.client(
        service, endpoint_url=sys.argv[1], region_name=region, aws_access_key_id="bgx", aws_secret_access_key="bgx"
    )


def group(region):
    [found] = client("autoscaling", region).describe_auto_scaling_groups(AutoScalingGroupNames=["shop-blue"])["AutoScalingGroups"]
    return found


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return error.response
    raise AssertionError(f"{code} was to come")


for region, size in (("us-east-1", 2), ("eu-west-1", 3)):
    assert group(region)["DesiredCapacity"] == size
    assert f":{region}:" in group(region)["AutoScalingGroupARN"]
    assert {i["AvailabilityZone"][:-1] for i in group(region)["Instances"]} == {region}

client("autoscaling", "eu-west-1").update_auto_scaling_group(AutoScalingGroupName="shop-green", MaxSize=9)
sizes = [client("autoscaling", region).describe_auto_scaling_groups()["AutoScalingGroups"] for region in ("us-east-1", "eu-west-1")]
assert [{g["AutoScalingGroupName"]: g["MaxSize"] for g in groups}["shop-green"] for groups in sizes] == [4, 9]

assert client("autoscaling", "ap-south-1").describe_auto_scaling_groups()["AutoScalingGroups"] == []
refused("LoadBalancerNotFound", client("elbv2", "ap-south-1").describe_load_balancers, Names=["shop"])
[balancer] = client("elbv2", "eu-west-1").describe_load_balancers(Names=["shop"])["LoadBalancers"]
arn = balancer["LoadBalancerArn"]
error = refused("ValidationError", client("elbv2", "us-east-1").describe_listeners, LoadBalancerArn=arn)
assert error["Error"]["Message"] == f"'{arn}' is not a valid load balancer ARN"

assert client("s3", "eu-west-1").get_object(Bucket="shop-builds-eu", Key="version/blue")["Body"].read()
assert client("s3", "us-east-1").head_bucket(Bucket="shop-state")
assert client("sts", "ap-south-1").get_caller_identity()["Account"] == client("sts", "us-east-1").get_caller_identity()["Account"]
print("boto3 and both regions agree")
