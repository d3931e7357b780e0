"""Creates the alarms of a service's servers.

What users notice ends a deployment: errors, or too few healthy servers. The alarm for unhealthy servers
only informs, because each new server is unhealthy while it starts.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws.cloudwatch.metric_alarm import MetricAlarm
from pulumi_aws.lb.target_group import TargetGroup

from components.instance_group_args import LoadBalancedInstanceGroupArgs

MAXIMUM_ERRORS_PER_MINUTE = 10
ALARM_MINUTES = 5
UNHEALTHY_MINUTES = 10  # longer than a server takes to start
GOOD_MINUTES = 2  # this many good minutes within the period do not prevent an alarm


@dataclass(frozen=True, kw_only=True)
class _Condition:
    """When an alarm starts: when a metric is beyond its threshold for long enough."""

    metric: str
    statistic: str
    threshold: float
    comparison: str = "GreaterThanThreshold"
    minutes: int = ALARM_MINUTES

    def describe(self) -> str:
        """Return the condition as text."""
        direction = "below" if self.comparison == "LessThanThreshold" else "above"
        bad_minutes = self.minutes - GOOD_MINUTES
        return f"{self.metric} {direction} {self.threshold:g} in {bad_minutes} of {self.minutes} minutes"


SERVER_ERRORS = _Condition(metric="HTTPCode_Target_5XX_Count", statistic="Sum", threshold=MAXIMUM_ERRORS_PER_MINUTE)
UNHEALTHY_SERVERS = _Condition(metric="UnHealthyHostCount", statistic="Maximum", threshold=0, minutes=UNHEALTHY_MINUTES)


def http_alarms(
    name: str,
    args: LoadBalancedInstanceGroupArgs,
    load_balancer_arn_suffix: pulumi.Input[str],
    target_group: TargetGroup,
    *,
    parent: pulumi.Resource,
) -> list[MetricAlarm]:
    """Create the alarms of an HTTP service, and return those that end a deployment."""
    alarms = _Alarms(name, args, "AWS/ApplicationELB", load_balancer_arn_suffix, parent)
    alarms.create("unhealthy", target_group, UNHEALTHY_SERVERS)
    return [
        alarms.create("errors", target_group, SERVER_ERRORS),
        alarms.create("too-few", target_group, _too_few_servers(args)),
    ]


def tcp_alarms(
    name: str,
    args: LoadBalancedInstanceGroupArgs,
    load_balancer_arn_suffix: pulumi.Input[str],
    target_groups: Mapping[int, TargetGroup],
    *,
    parent: pulumi.Resource,
) -> list[MetricAlarm]:
    """Create the alarms of each TCP port, and return those that end a deployment."""
    alarms = _Alarms(name, args, "AWS/NetworkELB", load_balancer_arn_suffix, parent)
    for port, target_group in target_groups.items():
        alarms.create(f"unhealthy-{port}", target_group, UNHEALTHY_SERVERS)
    return [
        alarms.create(f"too-few-{port}", target_group, _too_few_servers(args))
        for port, target_group in target_groups.items()
    ]


def _too_few_servers(args: LoadBalancedInstanceGroupArgs) -> _Condition:
    """Return the condition that fewer servers are healthy than must always run."""
    return _Condition(
        metric="HealthyHostCount",
        statistic="Maximum",
        threshold=args.sizing.instances.minimum,
        comparison="LessThanThreshold",
    )


@dataclass(frozen=True)
class _Alarms:
    """Creates the alarms of one load balancer's target groups."""

    name: str
    args: LoadBalancedInstanceGroupArgs
    namespace: str
    load_balancer_arn_suffix: pulumi.Input[str]
    parent: pulumi.Resource

    def create(self, part: str, target_group: TargetGroup, condition: _Condition) -> MetricAlarm:
        """Create one alarm, which evaluates its metric every minute."""
        return MetricAlarm(
            f"{self.name}-{part}",
            alarm_description=f"{self.name}: {condition.describe()}",
            namespace=self.namespace,
            metric_name=condition.metric,
            dimensions={"LoadBalancer": self.load_balancer_arn_suffix, "TargetGroup": target_group.arn_suffix},
            statistic=condition.statistic,
            period=60,
            evaluation_periods=condition.minutes,
            datapoints_to_alarm=condition.minutes - GOOD_MINUTES,
            threshold=condition.threshold,
            comparison_operator=condition.comparison,
            treat_missing_data="notBreaching",  # load balancers report no errors while there are no requests
            alarm_actions=[self.args.alarm_topic_arn],
            ok_actions=[self.args.alarm_topic_arn],
            tags=self.args.tags,
            opts=pulumi.ResourceOptions(parent=self.parent),
        )
