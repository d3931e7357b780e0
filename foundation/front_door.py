"""The environment's shared HTTPS balancer. Services add rules to it; without one, it answers 404."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws.acm.certificate import Certificate
from pulumi_aws.acm.certificate_validation import CertificateValidation
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.lb.listener import Listener
from pulumi_aws.lb.load_balancer import LoadBalancer
from pulumi_aws.route53.record import Record
from pulumi_aws.vpc.security_group_ingress_rule import SecurityGroupIngressRule

from components.load_balanced_instance_group import SharedBalancer, cidr_label
from components.names import HTTP_PORT, HTTPS_PORT, TLS_POLICY, tags

TYPE = "hundredx:foundation:FrontDoor"
IDLE_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class FrontDoorArgs:
    """domain: the certificate is for it and every name right below it. allow: IP ranges that may connect."""

    environment: str
    domain: str
    vpc_id: pulumi.Input[str]
    public_subnet_ids: Mapping[str, pulumi.Input[str]]
    zone_id: pulumi.Input[str]
    access_log_bucket: pulumi.Input[str]
    allow: tuple[str, ...]
    protect: bool


class FrontDoor(pulumi.ComponentResource):
    """A dual-stack balancer with TLS 1.2 or newer, a redirect from HTTP, and access logs."""

    handle: SharedBalancer

    def __init__(self, name: str, args: FrontDoorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the balancer and its listeners."""
        super().__init__(TYPE, name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._own_tags = tags(args.environment, f"{args.environment}-front-door")
        group = self._security_group()
        balancer = LoadBalancer(
            f"{name}-lb",
            load_balancer_type="application",
            internal=False,
            ip_address_type="dualstack",
            subnets=list(args.public_subnet_ids.values()),
            security_groups=[group.id],
            idle_timeout=IDLE_TIMEOUT_SECONDS,
            drop_invalid_header_fields=True,
            desync_mitigation_mode="defensive",
            enable_deletion_protection=args.protect,
            access_logs={"enabled": True, "bucket": args.access_log_bucket, "prefix": name},
            tags=self._own_tags,
            opts=self._child,
        )
        listener = self._listeners(balancer)
        self.handle = SharedBalancer(listener.arn, balancer.dns_name, balancer.zone_id, balancer.arn_suffix, group.id)
        self.register_outputs({"listener_arn": listener.arn, "dns_name": balancer.dns_name})

    def _security_group(self) -> SecurityGroup:
        name, args = self._name, self._args
        # Without egress rules here: each service adds the way to its own servers.
        group = SecurityGroup(f"{name}-access", description="The front door", vpc_id=args.vpc_id, revoke_rules_on_delete=True, tags=self._own_tags, opts=self._child)
        for port in (HTTP_PORT, HTTPS_PORT):
            for cidr in args.allow:
                is_ipv6 = ":" in cidr
                SecurityGroupIngressRule(
                    f"{name}-{port}-from-{cidr_label(cidr)}",
                    security_group_id=group.id,
                    description=f"Port {port} from {cidr}",
                    cidr_ipv4=None if is_ipv6 else cidr,
                    cidr_ipv6=cidr if is_ipv6 else None,
                    ip_protocol="tcp",
                    from_port=port,
                    to_port=port,
                    tags=self._own_tags,
                    opts=self._child,
                )
        return group

    def _listeners(self, balancer: LoadBalancer) -> Listener:
        name = self._name
        Listener(
            f"{name}-http",
            load_balancer_arn=balancer.arn,
            port=HTTP_PORT,
            protocol="HTTP",
            default_actions=[{"type": "redirect", "redirect": {"port": str(HTTPS_PORT), "protocol": "HTTPS", "status_code": "HTTP_301"}}],
            tags=self._own_tags,
            opts=self._child,
        )
        return Listener(
            f"{name}-https",
            load_balancer_arn=balancer.arn,
            port=HTTPS_PORT,
            protocol="HTTPS",
            ssl_policy=TLS_POLICY,
            certificate_arn=self._certificate(),
            default_actions=[{"type": "fixed-response", "fixed_response": {"content_type": "text/plain", "message_body": "no such service", "status_code": "404"}}],
            tags=self._own_tags,
            opts=self._child,
        )

    def _certificate(self) -> pulumi.Output[str]:
        name, args = self._name, self._args
        certificate = Certificate(
            f"{name}-certificate",
            domain_name=args.domain,
            subject_alternative_names=[f"*.{args.domain}"],
            validation_method="DNS",
            key_algorithm="RSA_2048",
            tags=self._own_tags,
            opts=self._child,
        )
        # The domain and its wildcard are proved by one and the same record.
        proof = certificate.domain_validation_options[0]
        record = Record(
            f"{name}-proof",
            zone_id=args.zone_id,
            name=proof.resource_record_name.apply(str),
            type=proof.resource_record_type.apply(str),
            records=[proof.resource_record_value.apply(str)],
            ttl=300,
            allow_overwrite=True,
            opts=self._child,
        )
        return CertificateValidation(f"{name}-validation", certificate_arn=certificate.arn, validation_record_fqdns=[record.fqdn], opts=self._child).certificate_arn
