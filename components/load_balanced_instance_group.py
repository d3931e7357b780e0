"""The servers of one service behind a load balancer: they run the release's container, and scale by themselves."""

import pulumi

from components import type_tokens
from components.auto_scaling import auto_scaling_group, cpu_scaling_policy
from components.dedicated_load_balancers import (
    dedicated_load_balancer_routing,
    dedicated_network_load_balancer_routing,
)
from components.instance_group_args import LoadBalancedInstanceGroupArgs
from components.launch_template import launch_template
from components.routing import Routing
from components.shared_load_balancer_rules import shared_load_balancer_routing
from components.subdomain_record import AliasTarget
from settings.service_spec import DedicatedLoadBalancer, DedicatedNetworkLoadBalancer


class LoadBalancedInstanceGroup(pulumi.ComponentResource):
    """A launch template, an Auto Scaling group with its scaling policy, target groups, alarms, and the routing to them.

    The routing is a rule of the shared load balancer, or a dedicated load balancer with its security group and
    certificate. A new release replaces the servers a few at a time, and an alarm stops it.

    Does not create the host's record, which one service may own for several, nor the servers' role, security group, key
    and log group, which its caller shares with other parts of the service. Does not set the desired number of servers:
    scaling decides it. Does not wait until a deployment has finished, nor return to the previous release if its servers
    fail: `./infra up` does both.
    """

    group_name: pulumi.Output[str]
    launch_template_id: pulumi.Output[str]
    launch_template_version: pulumi.Output[int]
    target_group_arns: dict[str, pulumi.Output[str]]
    alias: AliasTarget

    def __init__(
        self, name: str, args: LoadBalancedInstanceGroupArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Create the routing, then the servers."""
        super().__init__(type_tokens.LOAD_BALANCED_INSTANCE_GROUP, name, None, opts)
        routing = self._routing(name, args)
        template = launch_template(name, args, parent=self)
        group = auto_scaling_group(name, args, template, routing, parent=self)
        cpu_scaling_policy(name, group, parent=self)
        self.alias = routing.alias
        self.group_name = group.name
        self.launch_template_id = template.id
        self.launch_template_version = template.latest_version
        self.target_group_arns = {part: target_group.arn for part, target_group in routing.target_groups.items()}
        self.register_outputs(
            {
                "group_name": self.group_name,
                "launch_template_id": self.launch_template_id,
                "launch_template_version": self.launch_template_version,
                "target_group_arns": self.target_group_arns,
            }
        )

    def _routing(self, name: str, args: LoadBalancedInstanceGroupArgs) -> Routing:
        """Create what brings requests to the servers."""
        balancer = args.spec.balancer
        if isinstance(balancer, DedicatedNetworkLoadBalancer):
            return dedicated_network_load_balancer_routing(name, args, balancer, parent=self)
        if isinstance(balancer, DedicatedLoadBalancer):
            return dedicated_load_balancer_routing(name, args, balancer, parent=self)
        return shared_load_balancer_routing(name, args, balancer, parent=self)
