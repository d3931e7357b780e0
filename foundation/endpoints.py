"""Creates the VPC's endpoints, through which servers reach AWS services without leaving the VPC."""

from collections.abc import Callable, Iterable, Sequence

import pulumi
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.ec2.vpc_endpoint import VpcEndpoint

from components.constants import HTTPS_PORT
from components.security_group_rules import RuleLabel, allow_from_cidr


def s3_endpoint(
    name: str,
    *,
    vpc_id: pulumi.Input[str],
    region: str,
    route_table_ids: Sequence[pulumi.Input[str]],
    tags: Callable[[str], dict[str, str]],
    parent: pulumi.Resource,
) -> None:
    """Create the endpoint of S3, which costs nothing. tags: returns the tags of a part of the network."""
    VpcEndpoint(
        f"{name}-s3",
        vpc_id=vpc_id,
        service_name=f"com.amazonaws.{region}.s3",
        vpc_endpoint_type="Gateway",
        route_table_ids=route_table_ids,
        tags=tags("s3"),
        opts=pulumi.ResourceOptions(parent=parent),
    )


def interface_endpoints(
    name: str,
    services: Iterable[str],
    *,
    vpc_id: pulumi.Input[str],
    vpc_cidr: str,
    region: str,
    subnet_ids: Sequence[pulumi.Input[str]],
    tags: Callable[[str], dict[str, str]],
    parent: pulumi.Resource,
) -> None:
    """Create an endpoint for each AWS service in each of the subnets, and the security group that lets the VPC connect.

    tags: returns the tags of a part of the network.
    """
    opts = pulumi.ResourceOptions(parent=parent)
    group = SecurityGroup(
        f"{name}-endpoints",
        description="AWS services inside the VPC",
        vpc_id=vpc_id,
        tags=tags("endpoints"),
        opts=opts,
    )
    allow_from_cidr(
        RuleLabel(f"{name}-endpoints-from-vpc", "HTTPS from the VPC"),
        security_group_id=group.id,
        port=HTTPS_PORT,
        cidr=vpc_cidr,
        tags=tags("endpoints"),
        parent=parent,
    )
    for service in services:
        part = service.replace(".", "-")
        VpcEndpoint(
            f"{name}-{part}",
            vpc_id=vpc_id,
            service_name=f"com.amazonaws.{region}.{service}",
            vpc_endpoint_type="Interface",
            private_dns_enabled=True,
            subnet_ids=subnet_ids,
            security_group_ids=[group.id],
            tags=tags(part),
            opts=opts,
        )
