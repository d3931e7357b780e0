"""Routes a service's requests through the environment's shared load balancer."""

import pulumi
from pulumi_aws.lb import ListenerRuleActionArgsDict, ListenerRuleConditionArgsDict
from pulumi_aws.lb.listener_rule import ListenerRule
from pulumi_aws.lb.target_group import TargetGroup

from components.constants import HTTPS_PORT
from components.instance_group_args import LoadBalancedInstanceGroupArgs
from components.routing import Routing, allow_load_balancer_to_servers
from components.server_alarms import http_alarms
from components.subdomain_record import AliasTarget
from components.target_groups import http_target_group
from settings.service_spec import SharedLoadBalancerRule


def shared_load_balancer_routing(
    name: str, args: LoadBalancedInstanceGroupArgs, rule: SharedLoadBalancerRule, *, parent: pulumi.Resource
) -> Routing:
    """Create a target group, the listener rules that forward and redirect requests, and alarms."""
    shared = args.shared_load_balancer
    target_group = http_target_group(name, args, parent=parent)
    _forward_rule(name, args, rule, target_group, parent)
    for index, host in enumerate(args.spec.redirect_hosts_in(args.domain), 1):
        _redirect_rule(name, args, host, rule.priority + index, parent)
    allow_load_balancer_to_servers(
        name,
        args,
        load_balancer_group_id=shared.security_group_id,
        ports={"http": args.spec.port},
        parent=parent,
    )
    return Routing(
        target_groups={"http": target_group},
        alias=AliasTarget(dns_name=shared.dns_name, zone_id=shared.zone_id),
        stopping_alarms=http_alarms(name, args, shared.arn_suffix, target_group, parent=parent),
    )


def _forward_rule(
    name: str,
    args: LoadBalancedInstanceGroupArgs,
    rule: SharedLoadBalancerRule,
    target_group: TargetGroup,
    parent: pulumi.Resource,
) -> None:
    """Forward the requests for the service's host and path to its servers."""
    conditions: list[ListenerRuleConditionArgsDict] = [{"host_header": {"values": [args.spec.host_in(args.domain)]}}]
    if rule.path:
        conditions.append({"path_pattern": {"values": [rule.path, f"{rule.path}/*"]}})
    ListenerRule(
        f"{name}-rule",
        listener_arn=args.shared_load_balancer.listener_arn,
        priority=rule.priority,
        conditions=conditions,
        actions=[{"type": "forward", "target_group_arn": target_group.arn}],
        tags=args.tags,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _redirect_rule(
    name: str, args: LoadBalancedInstanceGroupArgs, host: str, priority: int, parent: pulumi.Resource
) -> None:
    """Redirect the requests for another host to the service's host."""
    redirect: ListenerRuleActionArgsDict = {
        "type": "redirect",
        "redirect": {
            "host": args.spec.host_in(args.domain),
            "status_code": "HTTP_301",
            "protocol": "HTTPS",
            "port": str(HTTPS_PORT),
        },
    }
    ListenerRule(
        f"{name}-redirect-{host.split('.', 1)[0]}",
        listener_arn=args.shared_load_balancer.listener_arn,
        priority=priority,
        conditions=[{"host_header": {"values": [host]}}],
        actions=[redirect],
        tags=args.tags,
        opts=pulumi.ResourceOptions(parent=parent),
    )
