"""Runs every operation of the sandbox through boto3: `boto3_sandbox.py http://127.0.0.1:PORT`.

Another implementation of AWS's formats than the Rust SDK reads what the sandbox writes. It needs any world with an
environment whose colours are in use and idle; it changes that world and gives back what it can. Exit 0: all is well.
"""

import datetime
import sys
import time
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

SETTLE_SECONDS_MAX = 60


def client(service, endpoint):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=Config(retries={"mode": "standard", "max_attempts": 8}, s3={"addressing_style": "path"}),
    )


def refused(code, status, call, **arguments):
    """The call fails with this code and HTTP status; returns the error."""
    try:
        call(**arguments)
    except ClientError as error:
        got = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        assert got == (code, status), f"{got}: {error}"
        return error.response["Error"]["Message"]
    raise AssertionError(f"{call.__name__} was not refused with {code}")


def eventually(what, holds):
    """Reads may be stale for a while after a write."""
    end = time.monotonic() + SETTLE_SECONDS_MAX
    while not holds():
        assert time.monotonic() < end, f"never came true: {what}"
        time.sleep(0.1)


def instances_of(asg, name):
    [group] = asg.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return group["Instances"]


def check_sts(sts):
    identity = sts.get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::{identity['Account']}:assumed-role/deployer/bgx", identity
    assert identity["ResponseMetadata"]["RequestId"]


def check_groups(asg):
    pages = asg.get_paginator("describe_auto_scaling_groups").paginate(PaginationConfig={"PageSize": 1})
    one_by_one = [group for page in pages for group in page["AutoScalingGroups"]]
    at_once = asg.describe_auto_scaling_groups(MaxRecords=100)["AutoScalingGroups"]
    assert [group["AutoScalingGroupName"] for group in one_by_one] == [group["AutoScalingGroupName"] for group in at_once]
    for group in at_once:
        assert group["MinSize"] <= group["DesiredCapacity"] <= group["MaxSize"], group
        assert group["CreatedTime"].tzinfo is not None
        assert group["AutoScalingGroupARN"].endswith(group["AutoScalingGroupName"])
    bare = asg.describe_auto_scaling_groups(IncludeInstances=False)["AutoScalingGroups"]
    assert not any(group["Instances"] for group in bare)
    assert asg.describe_auto_scaling_groups(AutoScalingGroupNames=["nobody"])["AutoScalingGroups"] == []
    message = refused("ValidationError", 400, asg.describe_auto_scaling_groups, AutoScalingGroupNames=[f"g{n}" for n in range(51)])
    assert message == "The number of group names that may be passed in is limited to 50"
    refused("InvalidNextToken", 400, asg.describe_auto_scaling_groups, NextToken="bogus")
    refused("InvalidAction", 400, asg.describe_tags)
    for policy in asg.describe_policies()["ScalingPolicies"]:
        assert policy["TargetTrackingConfiguration"]["TargetValue"] > 0, policy


def check_group_changes(asg, name):
    [before] = asg.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    bounds = {key: before[key] for key in ("MinSize", "MaxSize", "DesiredCapacity")}
    assert asg.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=0, MaxSize=4, DesiredCapacity=1)

    def sees(**wanted):
        [group] = asg.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return all(group[key] == value for key, value in wanted.items())

    eventually("the new bounds", lambda: sees(MinSize=0, MaxSize=4, DesiredCapacity=1))
    asg.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=2, HonorCooldown=False)
    eventually("the new size", lambda: sees(DesiredCapacity=2) and len(instances_of(asg, name)) == 2)
    message = refused("ValidationError", 400, asg.set_desired_capacity, AutoScalingGroupName=name, DesiredCapacity=5)
    assert message == "New SetDesiredCapacity value 5 is above max value 4 for the AutoScalingGroup.", message
    message = refused("ValidationError", 400, asg.update_auto_scaling_group, AutoScalingGroupName="nobody", MinSize=1)
    assert "AutoScalingGroup name not found" in message, message
    activities = asg.describe_scaling_activities(AutoScalingGroupName=name)["Activities"]
    assert activities and all(activity["Cause"] and activity["StartTime"] for activity in activities), activities
    [same] = asg.describe_scaling_activities(ActivityIds=[activities[0]["ActivityId"]])["Activities"]
    assert same["AutoScalingGroupName"] == name

    asg.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=["AlarmNotification", "AZRebalance"])

    def suspended():
        [group] = asg.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return {process["ProcessName"] for process in group["SuspendedProcesses"]}

    eventually("the suspended processes", lambda: suspended() >= {"AlarmNotification", "AZRebalance"})
    asg.resume_processes(AutoScalingGroupName=name)
    eventually("no suspended processes", lambda: suspended() == set())
    return bounds


def check_instances(asg, name):
    [instance, *_] = [i["InstanceId"] for i in instances_of(asg, name)]
    asg.set_instance_protection(AutoScalingGroupName=name, InstanceIds=[instance], ProtectedFromScaleIn=True)

    def listed():
        [one] = asg.describe_auto_scaling_instances(InstanceIds=[instance, "i-nobody"])["AutoScalingInstances"]
        assert one["AutoScalingGroupName"] == name and one["HealthStatus"] == "HEALTHY", one
        return one

    eventually("the protection", lambda: listed()["ProtectedFromScaleIn"])
    asg.set_instance_protection(AutoScalingGroupName=name, InstanceIds=[instance], ProtectedFromScaleIn=False)
    eventually("an instance in service", lambda: listed()["LifecycleState"] == "InService")
    asg.enter_standby(AutoScalingGroupName=name, InstanceIds=[instance], ShouldDecrementDesiredCapacity=True)
    eventually("the standby", lambda: listed()["LifecycleState"] == "Standby")
    [activity] = asg.exit_standby(AutoScalingGroupName=name, InstanceIds=[instance])["Activities"]
    assert "moved out of standby" in activity["Cause"], activity
    eventually("the way back", lambda: listed()["LifecycleState"] == "InService")
    activity = asg.terminate_instance_in_auto_scaling_group(InstanceId=instance, ShouldDecrementDesiredCapacity=True)["Activity"]
    assert activity["AutoScalingGroupName"] == name and activity["Progress"] < 100, activity
    refused("ValidationError", 400, asg.terminate_instance_in_auto_scaling_group, InstanceId="i-nobody", ShouldDecrementDesiredCapacity=False)


def check_refreshes(asg, name):
    wish = {"AutoScalingGroupName": name, "Strategy": "Rolling", "Preferences": {"MinHealthyPercentage": 75, "InstanceWarmup": 30}}
    started = asg.start_instance_refresh(**wish)["InstanceRefreshId"]

    def newest():
        [refresh, *_] = asg.describe_instance_refreshes(AutoScalingGroupName=name)["InstanceRefreshes"]
        assert refresh["InstanceRefreshId"] == started and refresh["Preferences"] == wish["Preferences"] | {"MaxHealthyPercentage": 100}, refresh
        return refresh["Status"]

    refused("InstanceRefreshInProgress", 400, asg.start_instance_refresh, **wish)
    refused("IrreversibleInstanceRefresh", 400, asg.rollback_instance_refresh, AutoScalingGroupName=name)
    assert asg.cancel_instance_refresh(AutoScalingGroupName=name)["InstanceRefreshId"] == started
    eventually("the end of the refresh", lambda: newest() == "Cancelled")
    refused("ActiveInstanceRefreshNotFound", 400, asg.cancel_instance_refresh, AutoScalingGroupName=name)


def check_load_balancers(elb):
    [balancer, *_] = elb.describe_load_balancers()["LoadBalancers"]
    assert balancer["State"]["Code"] == "active" and balancer["Type"] == "application", balancer
    [same] = elb.describe_load_balancers(Names=[balancer["LoadBalancerName"]])["LoadBalancers"]
    assert same == balancer
    refused("LoadBalancerNotFound", 400, elb.describe_load_balancers, Names=["nobody"])
    listeners = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    pages = elb.get_paginator("describe_listeners").paginate(LoadBalancerArn=balancer["LoadBalancerArn"], PaginationConfig={"PageSize": 1})
    assert [listener for page in pages for listener in page["Listeners"]] == listeners
    refused("ListenerNotFound", 400, elb.describe_listeners, ListenerArns=["arn:nobody"])
    rules = [rule for listener in listeners for rule in elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]]
    assert sum(rule["IsDefault"] for rule in rules) == len(listeners)
    assert all(rule["Priority"] == "default" for rule in rules if rule["IsDefault"])
    refused("RuleNotFound", 400, elb.describe_rules, RuleArns=["arn:nobody"])
    return balancer, listeners, rules


def check_target_groups(elb, balancer):
    groups = elb.describe_target_groups()["TargetGroups"]
    in_use = elb.describe_target_groups(LoadBalancerArn=balancer["LoadBalancerArn"])["TargetGroups"]
    assert in_use and all(group["LoadBalancerArns"] for group in in_use)
    [same] = elb.describe_target_groups(Names=[groups[0]["TargetGroupName"]])["TargetGroups"]
    assert same == groups[0]
    refused("TargetGroupNotFound", 400, elb.describe_target_groups, Names=["nobody"])
    refused("ValidationError", 400, elb.describe_target_groups, Names=[f"t{n}" for n in range(21)])
    attributes = elb.describe_target_group_attributes(TargetGroupArn=groups[0]["TargetGroupArn"])["Attributes"]
    assert {"deregistration_delay.timeout_seconds", "stickiness.enabled"} <= {attribute["Key"] for attribute in attributes}
    return groups, in_use


def check_rules(elb, rules, listeners, idle):
    def forwards(action):
        return [(group["TargetGroupArn"], group["Weight"]) for group in action["ForwardConfig"]["TargetGroups"]]

    [rule, *_] = [rule for rule in rules if not rule["IsDefault"] and rule["Actions"][0]["Type"] == "forward"]
    [action] = rule["Actions"]
    live = action["TargetGroupArn"]
    assert forwards(action) == [(live, 1)], action
    assert rule["Conditions"][0]["Field"] in ("path-pattern", "host-header"), rule
    wanted = [(live, 100), (idle, 0)]
    config = {"TargetGroups": [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in wanted]}
    arguments = {"RuleArn": rule["RuleArn"], "Actions": [{"Type": "forward", "ForwardConfig": config}]}
    [changed] = elb.modify_rule(**arguments)["Rules"]
    assert forwards(changed["Actions"][0]) == wanted and "TargetGroupArn" not in changed["Actions"][0], changed

    def seen():
        [now] = elb.describe_rules(RuleArns=[rule["RuleArn"]])["Rules"]
        return now["Actions"]

    eventually("the new weights", lambda: forwards(seen()[0]) == wanted)
    elb.modify_rule(RuleArn=rule["RuleArn"], Actions=[{"Type": "forward", "TargetGroupArn": live}])
    eventually("the old action", lambda: seen() == [action])
    default = next(rule for rule in rules if rule["IsDefault"])
    refused("OperationNotPermitted", 400, elb.modify_rule, RuleArn=default["RuleArn"], Actions=[action])
    refused("RuleNotFound", 400, elb.modify_rule, RuleArn="arn:nobody", Actions=[action])

    old = listeners[0]["DefaultActions"]
    fixed = {"StatusCode": "503", "ContentType": "text/plain", "MessageBody": "<closed> & \"bye\""}
    new = [{"Type": "fixed-response", "FixedResponseConfig": fixed}]
    [changed] = elb.modify_listener(ListenerArn=listeners[0]["ListenerArn"], DefaultActions=new)["Listeners"]
    assert changed["DefaultActions"] == new, changed
    elb.modify_listener(ListenerArn=listeners[0]["ListenerArn"], DefaultActions=old)
    refused("ListenerNotFound", 400, elb.modify_listener, ListenerArn="arn:nobody", DefaultActions=new)


def check_targets(elb, live):
    health = elb.describe_target_health(TargetGroupArn=live)["TargetHealthDescriptions"]
    assert any(target["TargetHealth"]["State"] == "healthy" for target in health), health
    assert all("Reason" not in target["TargetHealth"] for target in health if target["TargetHealth"]["State"] == "healthy")
    target = {"Id": next(target["Target"]["Id"] for target in health if target["TargetHealth"]["State"] == "healthy")}

    def state():
        [one] = elb.describe_target_health(TargetGroupArn=live, Targets=[target])["TargetHealthDescriptions"]
        return one["TargetHealth"]["State"]

    elb.deregister_targets(TargetGroupArn=live, Targets=[target])
    eventually("draining", lambda: state() in ("draining", "unused"))
    elb.register_targets(TargetGroupArn=live, Targets=[target])
    eventually("registered again", lambda: state() in ("initial", "healthy"))
    stranger = [{"Id": "i-0123456789abcdef0"}]
    [one] = elb.describe_target_health(TargetGroupArn=live, Targets=stranger)["TargetHealthDescriptions"]
    assert one["TargetHealth"] == {
        "State": "unused",
        "Reason": "Target.NotRegistered",
        "Description": "Target is not registered to the target group",
    }, one
    elb.deregister_targets(TargetGroupArn=live, Targets=stranger)
    refused("InvalidTarget", 400, elb.register_targets, TargetGroupArn=live, Targets=stranger)
    refused("TargetGroupNotFound", 400, elb.describe_target_health, TargetGroupArn="arn:nobody")


def check_parameters(ssm):
    name = "/boto3/one"
    assert ssm.put_parameter(Name=name, Value="1", Type="String")["Version"] == 1
    refused("ParameterAlreadyExists", 400, ssm.put_parameter, Name=name, Value="2", Type="String")
    assert ssm.put_parameter(Name=name, Value="2", Overwrite=True)["Version"] == 2
    eventually("version 2", lambda: ssm.get_parameter(Name=name)["Parameter"]["Version"] == 2)
    old = ssm.get_parameter(Name=f"{name}:1")["Parameter"]
    assert (old["Value"], old["Selector"], old["Name"]) == ("1", ":1", name), old
    several = ssm.get_parameters(Names=[name, "/boto3/nobody"])
    assert [parameter["Value"] for parameter in several["Parameters"]] == ["2"]
    assert several["InvalidParameters"] == ["/boto3/nobody"]
    ssm.put_parameter(Name="/boto3/deep/er", Value="x", Type="String")
    assert len(ssm.get_parameters_by_path(Path="/boto3")["Parameters"]) == 1
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path="/boto3", Recursive=True, PaginationConfig={"PageSize": 1})
    assert sorted(parameter["Name"] for page in pages for parameter in page["Parameters"]) == ["/boto3/deep/er", name]
    for each in (name, "/boto3/deep/er"):
        ssm.delete_parameter(Name=each)
    refused("ParameterNotFound", 400, ssm.get_parameter, Name=name)
    refused("ParameterNotFound", 400, ssm.delete_parameter, Name=name)
    refused("UnknownOperationException", 400, ssm.list_documents)


def check_commands(ssm, instance):
    arguments = {"DocumentName": "AWS-RunShellScript", "InstanceIds": [instance], "Parameters": {"commands": ["true"]}, "Comment": "from boto3"}
    sent = ssm.send_command(**arguments)["Command"]
    assert sent["Comment"] in [command["Comment"] for command in ssm.list_commands(InstanceId=instance)["Commands"]]
    assert sent["CommandId"] in [command["CommandId"] for command in ssm.list_commands()["Commands"]]

    def ended():
        try:
            return ssm.get_command_invocation(CommandId=sent["CommandId"], InstanceId=instance)["Status"] == "Success"
        except ssm.exceptions.InvocationDoesNotExist:
            return False

    eventually("the end of the command", ended)
    refused("InvalidInstanceId", 400, ssm.send_command, **{**arguments, "InstanceIds": ["i-nobody"]})


def check_nodes(ssm):
    pages = ssm.get_paginator("describe_instance_information").paginate(PaginationConfig={"PageSize": 5})
    nodes = [node for page in pages for node in page["InstanceInformationList"]]
    assert nodes and all(node["PingStatus"] == "Online" and node["IPAddress"] for node in nodes), nodes
    ids = [{"Key": "InstanceIds", "Values": [nodes[0]["InstanceId"]]}]
    [one] = ssm.describe_instance_information(Filters=ids)["InstanceInformationList"]
    assert one["IPAddress"] == nodes[0]["IPAddress"]
    refused("InvalidInstanceId", 400, ssm.describe_instance_information, Filters=[{"Key": "InstanceIds", "Values": ["i-nobody"]}])
    return nodes


def check_objects(s3, bucket):
    s3.head_bucket(Bucket=bucket)
    key = "boto3/é +&?.txt"
    put = s3.put_object(Bucket=bucket, Key=key, Body=b"one", IfNoneMatch="*", ContentType="text/plain", Metadata={"run": "42"})
    refused("PreconditionFailed", 412, s3.put_object, Bucket=bucket, Key=key, Body=b"two", IfNoneMatch="*")
    got = s3.get_object(Bucket=bucket, Key=key)
    assert (got["Body"].read(), got["ETag"], got["ContentType"], got["Metadata"]) == (b"one", put["ETag"], "text/plain", {"run": "42"}), got
    head = s3.head_object(Bucket=bucket, Key=key)
    assert (head["ContentLength"], head["LastModified"]) == (3, got["LastModified"])
    second = s3.put_object(Bucket=bucket, Key=key, Body=b"two", IfMatch=put["ETag"], ChecksumAlgorithm="SHA256")
    refused("PreconditionFailed", 412, s3.put_object, Bucket=bucket, Key=key, Body=b"three", IfMatch=put["ETag"])
    copied = s3.copy_object(Bucket=bucket, Key="boto3/copy", CopySource={"Bucket": bucket, "Key": key})
    assert copied["CopyObjectResult"]["ETag"] == second["ETag"]
    refused("PreconditionFailed", 412, s3.copy_object, Bucket=bucket, Key="boto3/copy", CopySource={"Bucket": bucket, "Key": key}, IfNoneMatch="*")
    with open(__file__, "rb") as text:
        s3.upload_fileobj(text, bucket, "boto3/script")
    with open(__file__, "rb") as text:
        assert s3.get_object(Bucket=bucket, Key="boto3/script")["Body"].read() == text.read()
    keys = sorted([key, "boto3/copy", "boto3/script"])
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="boto3/", PaginationConfig={"PageSize": 2})
    assert [found["Key"] for page in pages for found in page["Contents"]] == keys
    top = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert "boto3/" in [prefix["Prefix"] for prefix in top["CommonPrefixes"]]
    refused("PreconditionFailed", 412, s3.delete_object, Bucket=bucket, Key=key, IfMatch=put["ETag"])
    for each in keys:
        s3.delete_object(Bucket=bucket, Key=each)
    refused("NoSuchKey", 404, s3.get_object, Bucket=bucket, Key=key)
    refused("404", 404, s3.head_object, Bucket=bucket, Key=key)
    refused("NoSuchKey", 404, s3.put_object, Bucket=bucket, Key=key, Body=b"x", IfMatch=put["ETag"])
    refused("NoSuchBucket", 404, s3.list_objects_v2, Bucket="no-bucket")
    refused("NotImplemented", 501, s3.create_multipart_upload, Bucket=bucket, Key=key)


def check_cloudwatch(watch, balancer):
    """Today's boto3 speaks awsJson 1.0 with CloudWatch; the CBOR of the same operations is read by the Rust SDK in its own tests."""
    assert watch.meta.service_model.resolved_protocol in ("json", "smithy-rpc-v2-cbor"), watch.meta.service_model.resolved_protocol
    now = watch.describe_alarms()["ResponseMetadata"]["HTTPHeaders"]["date"]
    now = datetime.datetime.strptime(now, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=datetime.timezone.utc)
    dimensions = [{"Name": "LoadBalancer", "Value": balancer["LoadBalancerArn"].split(":loadbalancer/")[1]}]
    metric = {"Namespace": "AWS/ApplicationELB", "MetricName": "RequestCount", "Dimensions": dimensions}
    queries = [{"Id": "n", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}]
    span = {"StartTime": now - datetime.timedelta(minutes=10), "EndTime": now}
    [result] = watch.get_metric_data(MetricDataQueries=queries, **span)["MetricDataResults"]
    assert result["StatusCode"] == "Complete" and all(value > 0 for value in result["Values"]), result
    assert result["Timestamps"] == sorted(result["Timestamps"], reverse=True), result
    refused("ValidationError", 400, watch.get_metric_data, MetricDataQueries=queries, StartTime=span["EndTime"], EndTime=span["StartTime"])
    assert watch.describe_alarms(AlarmNames=["nobody"])["MetricAlarms"] == []
    refused("UnknownOperationException", 400, watch.list_metrics)
    watch.put_metric_data(Namespace="boto3", MetricData=[{"MetricName": "n", "Value": 2.5, "Timestamp": now}])
    queries = [{"Id": "own", "MetricStat": {"Metric": {"Namespace": "boto3", "MetricName": "n"}, "Period": 60, "Stat": "Sum"}}]
    span = {"StartTime": now - datetime.timedelta(minutes=1), "EndTime": now + datetime.timedelta(minutes=1)}
    [result] = watch.get_metric_data(MetricDataQueries=queries, **span)["MetricDataResults"]
    assert result["Values"] == [2.5], result
    refused("InvalidParameterValue", 400, watch.put_metric_data, Namespace="AWS/X", MetricData=[{"MetricName": "n", "Value": 1}])


def check_instance_over_proxy(endpoint, nodes):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": endpoint}))
    answers = []
    for node in nodes:
        try:
            answers.append(opener.open(f"http://{node['IPAddress']}/healthcheck", timeout=10).read())
        except urllib.error.HTTPError as error:
            assert error.code in (502, 503), error
    assert b"Everything is awesome" in answers, answers


def main(endpoint):
    names = ("autoscaling", "elbv2", "ssm", "s3", "sts", "cloudwatch")
    asg, elb, ssm, s3, sts, watch = (client(name, endpoint) for name in names)
    check_sts(sts)
    check_groups(asg)
    balancer, listeners, rules = check_load_balancers(elb)
    groups, in_use = check_target_groups(elb, balancer)
    idle = next(group["TargetGroupArn"] for group in groups if not group["LoadBalancerArns"])
    of_idle = next(
        group["AutoScalingGroupName"]
        for group in asg.describe_auto_scaling_groups(MaxRecords=100)["AutoScalingGroups"]
        if idle in group["TargetGroupARNs"]
    )
    check_rules(elb, rules, listeners, idle)
    live = next(
        group["TargetGroupArn"]
        for group in in_use
        if any(t["TargetHealth"]["State"] == "healthy" for t in elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"])
    )
    check_targets(elb, live)
    before = check_group_changes(asg, of_idle)
    check_instances(asg, of_idle)
    check_refreshes(asg, of_idle)
    asg.update_auto_scaling_group(AutoScalingGroupName=of_idle, **before)
    check_parameters(ssm)
    nodes = check_nodes(ssm)
    check_objects(s3, sys.argv[2] if len(sys.argv) > 2 else "compiler-explorer")
    check_instance_over_proxy(endpoint, nodes)
    check_commands(ssm, nodes[0]["InstanceId"])
    check_cloudwatch(watch, balancer)
    print("boto3 and the sandbox agree")


if __name__ == "__main__":
    main(sys.argv[1])
