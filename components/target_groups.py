"""Creates target groups, in which a load balancer finds a service's servers."""

import pulumi
from pulumi_aws.lb.target_group import TargetGroup

from components.instance_group_args import LoadBalancedInstanceGroupArgs

DEREGISTRATION_SECONDS = 30  # for short requests; AWS's default of 300 would only slow deployments down
STICKINESS_SECONDS = 24 * 3600


def http_target_group(
    name: str,
    args: LoadBalancedInstanceGroupArgs,
    *,
    parent: pulumi.Resource,
    deregistration_delay_seconds: int = DEREGISTRATION_SECONDS,
    sticky: bool = False,
) -> TargetGroup:
    """Create the target group of a service that speaks HTTP.

    deregistration_delay_seconds: how long a server that is being removed keeps its open connections.
    sticky: whether a client reaches the same server again.
    """
    return TargetGroup(
        f"{name}-http",
        port=args.spec.port,
        protocol="HTTP",
        target_type="instance",
        vpc_id=args.network.vpc_id,
        deregistration_delay=deregistration_delay_seconds,
        health_check={
            "enabled": True,
            "path": args.spec.health_path,
            "protocol": "HTTP",
            "matcher": "200",
            "interval": 15,
            "timeout": 5,
            "healthy_threshold": 2,
            "unhealthy_threshold": 3,
        },
        stickiness={"enabled": sticky, "type": "lb_cookie", "cookie_duration": STICKINESS_SECONDS},
        tags=args.tags,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def tcp_target_group(
    name: str, args: LoadBalancedInstanceGroupArgs, port: int, *, parent: pulumi.Resource
) -> TargetGroup:
    """Create the target group of one TCP port."""
    return TargetGroup(
        f"{name}-{port}",
        port=port,
        protocol="TCP",
        target_type="instance",
        vpc_id=args.network.vpc_id,
        deregistration_delay=DEREGISTRATION_SECONDS,
        preserve_client_ip="true",  # mail servers judge a sender by its address
        health_check={
            "enabled": True,
            "protocol": "TCP",
            "port": str(port),
            "interval": 10,
            "healthy_threshold": 2,
            "unhealthy_threshold": 2,
        },
        tags=args.tags,
        opts=pulumi.ResourceOptions(parent=parent),
    )
