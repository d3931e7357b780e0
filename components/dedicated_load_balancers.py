"""Routes a service's requests through its own load balancer: HTTPS for WebSockets, or TCP for mail."""

from collections.abc import Sequence

import pulumi
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.lb.listener import Listener
from pulumi_aws.lb.load_balancer import LoadBalancer
from pulumi_aws.lb.target_group import TargetGroup

from components.certificate import dns_validated_certificate
from components.constants import HTTP_PORT, HTTPS_PORT, TLS_POLICY
from components.instance_group_args import LoadBalancedInstanceGroupArgs
from components.listeners import https_listener, https_redirect_listener
from components.routing import Routing, allow_load_balancer_to_servers
from components.security_group_rules import allow_from_cidrs
from components.server_alarms import http_alarms, tcp_alarms
from components.subdomain_record import AliasTarget
from components.target_groups import http_target_group, tcp_target_group
from settings.service_spec import DedicatedLoadBalancer, DedicatedNetworkLoadBalancer

DEFAULT_IDLE_TIMEOUT_SECONDS = 60  # AWS's own default


def dedicated_load_balancer_routing(
    name: str, args: LoadBalancedInstanceGroupArgs, spec: DedicatedLoadBalancer, *, parent: pulumi.Resource
) -> Routing:
    """Create an HTTPS load balancer with its certificate, a redirect from HTTP, a sticky target group, and alarms."""
    websocket = args.release.websocket
    security_group = _security_group(name, args, (HTTPS_PORT, HTTP_PORT), args.network.allowed_cidrs, parent)
    load_balancer = _load_balancer(
        name,
        args,
        "application",
        security_group,
        idle_timeout_seconds=websocket.idle_timeout_seconds if websocket else DEFAULT_IDLE_TIMEOUT_SECONDS,
        parent=parent,
    )
    target_group = http_target_group(
        name,
        args,
        deregistration_delay_seconds=spec.deregistration_delay_seconds,
        sticky=True,
        parent=parent,
    )
    _http_listeners(name, args, load_balancer, target_group, parent)
    allow_load_balancer_to_servers(
        name, args, load_balancer_group_id=security_group.id, ports={"http": args.spec.port}, parent=parent
    )
    return Routing(
        target_groups={"http": target_group},
        alias=AliasTarget(dns_name=load_balancer.dns_name, zone_id=load_balancer.zone_id),
        stopping_alarms=http_alarms(name, args, load_balancer.arn_suffix, target_group, parent=parent),
    )


def dedicated_network_load_balancer_routing(
    name: str, args: LoadBalancedInstanceGroupArgs, spec: DedicatedNetworkLoadBalancer, *, parent: pulumi.Resource
) -> Routing:
    """Create a TCP load balancer with a listener, a target group and alarms for each port."""
    ipv4_ranges = [cidr for cidr in args.network.allowed_cidrs if ":" not in cidr]
    security_group = _security_group(name, args, spec.ports, ipv4_ranges, parent)
    load_balancer = _load_balancer(name, args, "network", security_group, parent=parent)
    target_groups = {port: tcp_target_group(name, args, port, parent=parent) for port in spec.ports}
    certificate_arn = _certificate_arn(name, args, parent) if spec.tls_ports else None
    for port, target_group in target_groups.items():
        is_tls = port in spec.tls_ports
        Listener(
            f"{name}-listen-{port}",
            load_balancer_arn=load_balancer.arn,
            port=port,
            protocol="TLS" if is_tls else "TCP",
            ssl_policy=TLS_POLICY if is_tls else None,
            certificate_arn=certificate_arn if is_tls else None,
            default_actions=[{"type": "forward", "target_group_arn": target_group.arn}],
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=parent),
        )
    allow_load_balancer_to_servers(
        name,
        args,
        load_balancer_group_id=security_group.id,
        ports={str(port): port for port in spec.ports},
        parent=parent,
    )
    return Routing(
        target_groups={f"tcp-{port}": target_group for port, target_group in target_groups.items()},
        alias=AliasTarget(dns_name=load_balancer.dns_name, zone_id=load_balancer.zone_id, has_ipv6=False),
        stopping_alarms=tcp_alarms(name, args, load_balancer.arn_suffix, target_groups, parent=parent),
    )


def _security_group(
    name: str,
    args: LoadBalancedInstanceGroupArgs,
    ports: Sequence[int],
    allowed_cidrs: Sequence[str],
    parent: pulumi.Resource,
) -> SecurityGroup:
    """Create the load balancer's security group. Only the allowed ranges can connect."""
    group = SecurityGroup(
        f"{name}-door",
        description=f"{name}: the balancer of this service only",
        vpc_id=args.network.vpc_id,
        revoke_rules_on_delete=True,
        tags=args.tags,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    allow_from_cidrs(
        f"{name}-door",
        security_group_id=group.id,
        ports=ports,
        cidrs=allowed_cidrs,
        tags=args.tags,
        parent=parent,
    )
    return group


def _load_balancer(
    name: str,
    args: LoadBalancedInstanceGroupArgs,
    load_balancer_type: str,
    security_group: SecurityGroup,
    *,
    parent: pulumi.Resource,
    idle_timeout_seconds: int | None = None,
) -> LoadBalancer:
    """Create a public load balancer. idle_timeout_seconds: when it closes a silent connection.

    An application load balancer is dual-stack. A network load balancer has only IPv4: it would translate IPv6 to the
    servers' IPv4, and they would see its address in place of the client's. Source: User guide for Network Load
    Balancers, "Client IP preservation".
    """
    is_application = load_balancer_type == "application"
    return LoadBalancer(
        f"{name}-lb",
        load_balancer_type=load_balancer_type,
        internal=False,
        ip_address_type="dualstack" if is_application else "ipv4",
        subnets=list(args.network.public_subnet_ids.values()),
        security_groups=[security_group.id],
        idle_timeout=idle_timeout_seconds,
        drop_invalid_header_fields=True if is_application else None,
        enable_cross_zone_load_balancing=True,
        enable_deletion_protection=args.protect_load_balancer,
        access_logs={"enabled": True, "bucket": args.network.access_log_bucket, "prefix": name},
        tags=args.tags,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _http_listeners(
    name: str,
    args: LoadBalancedInstanceGroupArgs,
    load_balancer: LoadBalancer,
    target_group: TargetGroup,
    parent: pulumi.Resource,
) -> None:
    """Forward HTTPS requests to the servers, and redirect HTTP requests to HTTPS."""
    https_listener(
        f"{name}-listen-https",
        load_balancer_arn=load_balancer.arn,
        certificate_arn=_certificate_arn(name, args, parent),
        default_action={"type": "forward", "target_group_arn": target_group.arn},
        tags=args.tags,
        parent=parent,
    )
    https_redirect_listener(f"{name}-listen-http", load_balancer_arn=load_balancer.arn, tags=args.tags, parent=parent)


def _certificate_arn(name: str, args: LoadBalancedInstanceGroupArgs, parent: pulumi.Resource) -> pulumi.Output[str]:
    """Create the certificate of the service's host."""
    return dns_validated_certificate(
        name, host=args.spec.host_in(args.domain), zone_id=args.network.zone_id, tags=args.tags, parent=parent
    )
