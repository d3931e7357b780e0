"""How requests reach a service's servers, whatever kind of load balancer they pass."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws.cloudwatch.metric_alarm import MetricAlarm
from pulumi_aws.lb.target_group import TargetGroup

from components.instance_group_args import LoadBalancedInstanceGroupArgs
from components.security_group_rules import RuleLabel, allow_between_groups
from components.subdomain_record import AliasTarget


@dataclass(frozen=True, kw_only=True)
class Routing:
    """What the servers and the host need to know about their load balancer."""

    target_groups: Mapping[str, TargetGroup]
    """The target groups that the servers join, by part (`http`, `tcp-25`)."""

    alias: AliasTarget
    """The load balancer, as the target of the host's record."""

    stopping_alarms: list[MetricAlarm]
    """The alarms that end a deployment."""


def allow_load_balancer_to_servers(
    name: str,
    args: LoadBalancedInstanceGroupArgs,
    *,
    load_balancer_group_id: pulumi.Input[str],
    ports: Mapping[str, int],
    parent: pulumi.Resource,
) -> None:
    """Let a load balancer connect to the servers. ports: the servers' TCP ports, by their part of the rules' names."""
    for part, port in ports.items():
        allow_between_groups(
            client_group_id=load_balancer_group_id,
            server_group_id=args.server_security_group_id,
            port=port,
            egress=RuleLabel(f"{name}-door-to-servers-{part}", f"To the servers of {name}"),
            ingress=RuleLabel(f"{name}-servers-from-door-{part}", f"From the balancer of {name}"),
            tags=args.tags,
            parent=parent,
        )
