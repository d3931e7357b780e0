"""Requests about load balancers, servers and their alarms that AWS refuses."""

import base64
from typing import Any

from tests.engine.aws_requests.account import Account, Request, Requests


def group(account: Account, **arguments: Any) -> str:
    """Create a target group and return its ARN."""
    arguments = {"Name": account.name(), "Protocol": "HTTP", "Port": 80, "VpcId": account.vpc, **arguments}
    arn: str = account.client("elbv2").create_target_group(**arguments)["TargetGroups"][0]["TargetGroupArn"]
    return arn


def delete_target_group(account: Account, *, is_used: bool) -> None:
    """Delete a target group that a listener forwards to, or not."""
    arn = group(account)
    if is_used:
        account.listener(account.balancer(), action={"Type": "forward", "TargetGroupArn": arn})
    account.client("elbv2").delete_target_group(TargetGroupArn=arn)


def attribute(key: str, value: str) -> Request:
    """Return a request that changes an attribute of a load balancer."""

    def send(account: Account) -> None:
        account.client("elbv2").modify_load_balancer_attributes(
            LoadBalancerArn=account.balancer(), Attributes=[{"Key": key, "Value": value}]
        )

    return send


def paths(account: Account, count: int) -> None:
    """Create a rule with path patterns."""
    action = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
    condition = {"Field": "path-pattern", "Values": [f"/{index}" for index in range(count)]}
    account.client("elbv2").create_rule(
        ListenerArn=account.listener(account.balancer()), Priority=1, Conditions=[condition], Actions=[action]
    )


def tls(account: Account, policy: str) -> None:
    """Create an HTTPS listener with a TLS policy."""
    certificate = {"CertificateArn": account.certificate("us-east-1")}
    account.listener(account.balancer(), Protocol="HTTPS", Port=443, SslPolicy=policy, Certificates=[certificate])


def alarm(**arguments: Any) -> Request:
    """Return a request that creates an alarm."""

    def send(account: Account) -> None:
        account.client("cloudwatch").put_metric_alarm(
            **{
                "AlarmName": account.name(),
                "MetricName": "CPUUtilization",
                "Namespace": "AWS/EC2",
                "Statistic": "Average",
                "Period": 60,
                "EvaluationPeriods": 5,
                "Threshold": 80,
                "ComparisonOperator": "GreaterThanThreshold",
                **arguments,
            }
        )

    return send


def servers_of(instance_type: str, version: str = "1") -> Request:
    """Return a request that creates a group of servers of an instance type."""

    def send(account: Account) -> None:
        data = {"UserData": base64.b64encode(b"#").decode(), "InstanceType": instance_type}
        created = account.client("ec2").create_launch_template(
            LaunchTemplateName=account.name(), LaunchTemplateData=data
        )
        account.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=account.name(),
            LaunchTemplate={"LaunchTemplateId": created["LaunchTemplate"]["LaunchTemplateId"], "Version": version},
            MinSize=0,
            MaxSize=1,
            VPCZoneIdentifier=account.subnet_ids[0],
        )

    return send


def template_named(name: str, count: int) -> Request:
    """Return a request that creates launch templates of one name."""

    def send(account: Account) -> None:
        for _ in range(count):
            account.client("ec2").create_launch_template(
                LaunchTemplateName=name, LaunchTemplateData={"InstanceType": "t4g.small"}
            )

    return send


def policy(target: float) -> Request:
    """Return a request that creates a scaling policy with a target for CPU utilization."""

    def send(account: Account) -> None:
        account.client("autoscaling").put_scaling_policy(
            AutoScalingGroupName=account.group_with_refresh(),
            PolicyName="p",
            PolicyType="TargetTrackingScaling",
            TargetTrackingConfiguration={
                "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
                "TargetValue": target,
            },
        )

    return send


def log_group(days: int) -> Request:
    """Return a request that keeps logs for some days."""

    def send(account: Account) -> None:
        client, name = account.client("logs"), account.name()
        client.create_log_group(logGroupName=name)
        client.put_retention_policy(logGroupName=name, retentionInDays=days)

    return send


REQUESTS: Requests = {
    "a target group's name of 33 characters": (
        lambda account: group(account, Name="g" * 33),
        "ValidationError",
        lambda account: group(account, Name="g" * 32),
    ),
    "a target group's name with an underscore": (lambda account: group(account, Name="a_b"), "ValidationError", None),
    "a health check every 4 seconds": (
        lambda account: group(account, HealthCheckIntervalSeconds=4),
        "ValidationError",
        lambda account: group(account, HealthCheckIntervalSeconds=5),
    ),
    "a health check that lasts as long as its interval": (
        lambda account: group(account, HealthCheckIntervalSeconds=10, HealthCheckTimeoutSeconds=10),
        "ValidationError",
        lambda account: group(account, HealthCheckIntervalSeconds=10, HealthCheckTimeoutSeconds=9),
    ),
    "a threshold of 1": (
        lambda account: group(account, HealthyThresholdCount=1),
        "ValidationError",
        lambda account: group(account, HealthyThresholdCount=2),
    ),
    "a target group in an unknown VPC": (
        lambda account: group(account, VpcId="vpc-0123456789abcdef0"),
        "ValidationError",
        group,
    ),
    "deleting a target group in use": (
        lambda account: delete_target_group(account, is_used=True),
        "ResourceInUse",
        lambda account: delete_target_group(account, is_used=False),
    ),
    "an idle timeout of 4001 seconds": (
        attribute("idle_timeout.timeout_seconds", "4001"),
        "ValidationError",
        attribute("idle_timeout.timeout_seconds", "4000"),
    ),
    "an unknown attribute": (attribute("idle_timeout.seconds", "60"), "ValidationError", None),
    "a rule with six paths": (
        lambda account: paths(account, 6),
        "ValidationError",
        lambda account: paths(account, 5),
    ),
    "HTTPS without a certificate": (
        lambda account: account.listener(account.balancer(), Protocol="HTTPS", Port=443),
        "ValidationError",
        lambda account: tls(account, "ELBSecurityPolicy-TLS13-1-2-2021-06"),
    ),
    "an unknown TLS policy": (lambda account: tls(account, "ELBSecurityPolicy-TLS9"), "SSLPolicyNotFound", None),
    "TCP on an application load balancer": (
        lambda account: account.listener(account.balancer(), Protocol="TCP", Port=25),
        "ValidationError",
        lambda account: account.listener(account.balancer(), Protocol="HTTP", Port=25),
    ),
    "an alarm every 45 seconds": (alarm(Period=45), "InvalidParameterValue", alarm(Period=120)),
    "an alarm over two days": (
        alarm(Period=3600, EvaluationPeriods=200),
        "ValidationError",
        alarm(Period=3600, EvaluationPeriods=24),
    ),
    "more bad periods than periods": (
        alarm(EvaluationPeriods=3, DatapointsToAlarm=4),
        "ValidationError",
        alarm(EvaluationPeriods=4, DatapointsToAlarm=3),
    ),
    "servers of an unknown type": (servers_of("t4g.tiny"), "ValidationError", servers_of("t4g.nano")),
    "two launch templates of one name": (
        template_named("twins", 2),
        "InvalidLaunchTemplateName.AlreadyExistsException",
        template_named("only", 1),
    ),
    "a launch template's name with a space": (
        template_named("a b", 1),
        "InvalidLaunchTemplateName.MalformedException",
        template_named("a-b", 1),
    ),
    "logs for 31 days": (log_group(31), "InvalidParameterException", log_group(30)),
    "a scaling target of 0": (policy(0), "ValidationError", policy(50)),
}
