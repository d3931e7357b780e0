"""The environment's shared load balancer. Services add listener rules to it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.lb.listener import Listener
from pulumi_aws.lb.load_balancer import LoadBalancer

from components import type_tokens
from components.certificate import dns_validated_certificate
from components.constants import HTTP_PORT, HTTPS_PORT
from components.listeners import https_listener, https_redirect_listener
from components.security_group_rules import allow_from_cidrs
from components.shared_foundation import SharedLoadBalancerRef
from components.tags import resource_tags

IDLE_TIMEOUT_SECONDS = 60  # AWS's own default; services with longer connections have a dedicated load balancer


@dataclass(frozen=True, kw_only=True)
class SharedLoadBalancerArgs:
    """Where the load balancer runs, which hosts it serves, and who can connect."""

    environment: str
    """Name of the environment. It is part of tags."""

    domain: str
    """The environment's domain. The certificate covers it and every host directly below it, but no deeper ones."""

    vpc_id: pulumi.Input[str]
    """ID of the VPC that contains the subnets."""

    public_subnet_ids: Mapping[str, pulumi.Input[str]]
    """Public subnets, by tier and zone: at least two zones, or AWS refuses the load balancer."""

    zone_id: pulumi.Input[str]
    """ID of the domain's hosted zone. In another zone, the certificate is never issued."""

    access_log_bucket: pulumi.Input[str]
    """Bucket for access logs. Its policy must let load balancers write, or AWS refuses the load balancer."""

    allowed_cidrs: tuple[str, ...]
    """IPv4 and IPv6 ranges that can connect. If empty, nobody can."""

    protect: bool = True
    """Whether AWS refuses to delete the load balancer. Default: true."""


class SharedLoadBalancer(pulumi.ComponentResource):
    """A dual-stack HTTPS load balancer with certificate, security group, access logs and a redirect from HTTP.

    A request that no listener rule matches is answered with 404.

    Does not create listener rules, target groups or records, nor let itself connect to any server: each service adds
    those for itself. Does not attach a web application firewall.
    """

    ref: SharedLoadBalancerRef

    def __init__(self, name: str, args: SharedLoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the load balancer and its listeners."""
        super().__init__(type_tokens.SHARED_LOAD_BALANCER, name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = resource_tags(args.environment, f"{args.environment}-front-door")
        security_group = self._security_group()
        load_balancer = self._load_balancer(security_group)
        listener = self._listeners(load_balancer)
        self.ref = SharedLoadBalancerRef(
            listener_arn=listener.arn,
            dns_name=load_balancer.dns_name,
            zone_id=load_balancer.zone_id,
            arn_suffix=load_balancer.arn_suffix,
            security_group_id=security_group.id,
        )
        self.register_outputs({"listener_arn": listener.arn, "dns_name": load_balancer.dns_name})

    def _load_balancer(self, security_group: SecurityGroup) -> LoadBalancer:
        """Create the load balancer itself."""
        return LoadBalancer(
            f"{self._name}-lb",
            load_balancer_type="application",
            internal=False,
            ip_address_type="dualstack",
            subnets=list(self._args.public_subnet_ids.values()),
            security_groups=[security_group.id],
            idle_timeout=IDLE_TIMEOUT_SECONDS,
            drop_invalid_header_fields=True,
            desync_mitigation_mode="defensive",
            enable_deletion_protection=self._args.protect,
            access_logs={"enabled": True, "bucket": self._args.access_log_bucket, "prefix": self._name},
            tags=self._tags,
            opts=self._child,
        )

    def _security_group(self) -> SecurityGroup:
        """Create the load balancer's security group, without egress rules: each service adds one to its own servers."""
        group = SecurityGroup(
            f"{self._name}-access",
            description="The front door",
            vpc_id=self._args.vpc_id,
            revoke_rules_on_delete=True,
            tags=self._tags,
            opts=self._child,
        )
        allow_from_cidrs(
            self._name,
            security_group_id=group.id,
            ports=(HTTP_PORT, HTTPS_PORT),
            cidrs=self._args.allowed_cidrs,
            tags=self._tags,
            parent=self,
        )
        return group

    def _listeners(self, load_balancer: LoadBalancer) -> Listener:
        """Redirect HTTP requests to HTTPS, and return the HTTPS listener, which answers 404 on its own."""
        https_redirect_listener(f"{self._name}-http", load_balancer_arn=load_balancer.arn, tags=self._tags, parent=self)
        return https_listener(
            f"{self._name}-https",
            load_balancer_arn=load_balancer.arn,
            certificate_arn=self._certificate_arn(),
            default_action={
                "type": "fixed-response",
                "fixed_response": {
                    "content_type": "text/plain",
                    "message_body": "no such service",
                    "status_code": "404",
                },
            },
            tags=self._tags,
            parent=self,
        )

    def _certificate_arn(self) -> pulumi.Output[str]:
        """Create the certificate. The same record validates the domain and its wildcard."""
        return dns_validated_certificate(
            self._name,
            host=self._args.domain,
            alternative_names=[f"*.{self._args.domain}"],
            zone_id=self._args.zone_id,
            tags=self._tags,
            parent=self,
        )
