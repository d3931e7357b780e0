"""Creates the Auto Scaling group of a service's servers, and the policy that scales it."""

import pulumi
from pulumi_aws.autoscaling import GroupInstanceRefreshArgsDict, Metric
from pulumi_aws.autoscaling.group import Group
from pulumi_aws.autoscaling.policy import Policy as ScalingPolicy
from pulumi_aws.ec2.launch_template import LaunchTemplate

from components.instance_group_args import LoadBalancedInstanceGroupArgs
from components.routing import Routing

WARM_UP_SECONDS = 120  # from a server's start until its metrics count
CPU_TARGET_PERCENT = 50.0  # the rest of the zones can then take over the load of one that fails


def auto_scaling_group(
    name: str,
    args: LoadBalancedInstanceGroupArgs,
    template: LaunchTemplate,
    routing: Routing,
    *,
    parent: pulumi.Resource,
) -> Group:
    """Create the group of servers. A new version of the launch template replaces them a few at a time."""
    return Group(
        f"{name}-group",
        # desired_capacity is not set: scaling decides it, and `up` must not reset it.
        min_size=args.sizing.instances.minimum,
        max_size=args.sizing.instances.maximum,
        vpc_zone_identifiers=list(args.network.application_subnet_ids.values()),
        target_group_arns=[target_group.arn for target_group in routing.target_groups.values()],
        health_check_type="ELB",
        health_check_grace_period=WARM_UP_SECONDS,
        default_instance_warmup=WARM_UP_SECONDS,
        capacity_rebalance=True,
        # A number, not $Latest: only a new number starts an instance refresh.
        launch_template={"id": template.id, "version": template.latest_version.apply(str)},
        instance_refresh=_instance_refresh(args, routing),
        enabled_metrics=[
            Metric.GROUP_DESIRED_CAPACITY,
            Metric.GROUP_IN_SERVICE_INSTANCES,
            Metric.GROUP_PENDING_INSTANCES,
            Metric.GROUP_TOTAL_INSTANCES,
        ],
        metrics_granularity="1Minute",
        tags=[{"key": key, "value": value, "propagate_at_launch": False} for key, value in sorted(args.tags.items())],
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _instance_refresh(args: LoadBalancedInstanceGroupArgs, routing: Routing) -> GroupInstanceRefreshArgsDict:
    """Return how servers are replaced: new ones start beside the old ones, and an alarm ends the deployment.

    AWS does not roll it back: the provider changes the group's version before it starts the refresh, so the version to
    return to would be the failing one (hashicorp/terraform-provider-aws#34189). `./infra up` does (ADR 18).

    A refresh does not start while one of its alarms is firing. So a release that fixes the cause is deployed without
    alarms.
    """
    alarms = [alarm.name for alarm in routing.stopping_alarms]
    return {
        "strategy": "Rolling",
        "preferences": {
            "min_healthy_percentage": 100,
            "max_healthy_percentage": 150,
            "instance_warmup": str(WARM_UP_SECONDS),
            "auto_rollback": False,
            "skip_matching": True,
            "alarm_specification": None if args.sizing.deploy_despite_alarms else {"alarms": alarms},
        },
    }


def cpu_scaling_policy(name: str, group: Group, *, parent: pulumi.Resource) -> ScalingPolicy:
    """Create the policy that adds and removes servers to keep the average CPU utilization at its target."""
    return ScalingPolicy(
        f"{name}-scaling",
        autoscaling_group_name=group.name,
        policy_type="TargetTrackingScaling",
        target_tracking_configuration={
            "predefined_metric_specification": {"predefined_metric_type": "ASGAverageCPUUtilization"},
            "target_value": CPU_TARGET_PERCENT,
        },
        opts=pulumi.ResourceOptions(parent=parent),
    )
