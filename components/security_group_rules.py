"""Creates security group rules: from IP ranges, and between two security groups."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pulumi
from pulumi_aws.vpc.security_group_egress_rule import SecurityGroupEgressRule
from pulumi_aws.vpc.security_group_ingress_rule import SecurityGroupIngressRule

from components.constants import ANY_IPV4, ANY_IPV6, HTTPS_PORT


class RuleLabel(NamedTuple):
    """The resource name of a rule and its description in AWS, which must not contain an apostrophe."""

    name: str
    description: str


def allow_from_cidr(
    label: RuleLabel,
    *,
    security_group_id: pulumi.Input[str],
    port: int,
    cidr: str,
    tags: Mapping[str, str],
    parent: pulumi.Resource,
) -> None:
    """Let an IPv4 or IPv6 range connect to a TCP port of a security group's members."""
    is_ipv6 = ":" in cidr
    SecurityGroupIngressRule(
        label.name,
        security_group_id=security_group_id,
        description=label.description,
        cidr_ipv4=None if is_ipv6 else cidr,
        cidr_ipv6=cidr if is_ipv6 else None,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        tags=tags,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def allow_from_cidrs(
    name: str,
    *,
    security_group_id: pulumi.Input[str],
    ports: Iterable[int],
    cidrs: Iterable[str],
    tags: Mapping[str, str],
    parent: pulumi.Resource,
) -> None:
    """Let each range connect to each TCP port. The rules are named `<name>-<port>-from-<range>`."""
    ranges = list(cidrs)
    for port in ports:
        for cidr in ranges:
            allow_from_cidr(
                RuleLabel(f"{name}-{port}-from-{cidr_label(cidr)}", f"Port {port} from {cidr}"),
                security_group_id=security_group_id,
                port=port,
                cidr=cidr,
                tags=tags,
                parent=parent,
            )


def allow_https_to_internet(
    name: str, *, security_group_id: pulumi.Input[str], tags: Mapping[str, str], parent: pulumi.Resource
) -> None:
    """Let a security group's members connect to any HTTPS port, over IPv4 and IPv6."""
    for part, ipv4, ipv6 in (("ipv4", ANY_IPV4, None), ("ipv6", None, ANY_IPV6)):
        SecurityGroupEgressRule(
            f"{name}-https-out-{part}",
            security_group_id=security_group_id,
            description="HTTPS: AWS services, the registry, partners",
            cidr_ipv4=ipv4,
            cidr_ipv6=ipv6,
            ip_protocol="tcp",
            from_port=HTTPS_PORT,
            to_port=HTTPS_PORT,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=parent),
        )


def allow_between_groups(
    *,
    client_group_id: pulumi.Input[str],
    server_group_id: pulumi.Input[str],
    port: int,
    egress: RuleLabel,
    ingress: RuleLabel,
    tags: Mapping[str, str],
    parent: pulumi.Resource,
) -> None:
    """Let the members of one security group connect to a TCP port of another's.

    That takes two rules: egress for the clients, and ingress for the servers.
    """
    opts = pulumi.ResourceOptions(parent=parent)
    SecurityGroupEgressRule(
        egress.name,
        security_group_id=client_group_id,
        description=egress.description,
        referenced_security_group_id=server_group_id,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        tags=tags,
        opts=opts,
    )
    SecurityGroupIngressRule(
        ingress.name,
        security_group_id=server_group_id,
        description=ingress.description,
        referenced_security_group_id=client_group_id,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        tags=tags,
        opts=opts,
    )


def cidr_label(cidr: str) -> str:
    """Return a range as a part of a resource's name, such as `anywhere-ipv4` or `10-0-0-0-8`."""
    known = {ANY_IPV4: "anywhere-ipv4", ANY_IPV6: "anywhere-ipv6"}
    return known.get(cidr) or "".join(character if character.isalnum() else "-" for character in cidr).strip("-")
