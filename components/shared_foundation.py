"""What an environment's foundation provides to its services. No service changes any of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.policies.documents import ServiceScope
from settings.models import Environment


@dataclass(frozen=True, kw_only=True)
class ServiceNetwork:
    """Where a service's servers and load balancers run, and who can connect to them."""

    vpc_id: pulumi.Input[str]
    """ID of the VPC that contains all the subnets."""

    public_subnet_ids: Mapping[str, pulumi.Input[str]]
    """Subnets of load balancers, by tier and zone (`public-a`): at least two zones, or AWS refuses the load balancer.

    Each must have its route to the internet gateway, which AWS also requires.
    """

    application_subnet_ids: Mapping[str, pulumi.Input[str]]
    """Subnets of servers, by tier and zone (`application-a`). Without a route to the internet, no server starts."""

    zone_id: pulumi.Input[str]
    """ID of the hosted zone that contains the service's hosts."""

    access_log_bucket: pulumi.Input[str]
    """Bucket for access logs. Its policy must let load balancers write, or AWS refuses the load balancer."""

    allowed_cidrs: tuple[str, ...]
    """IPv4 and IPv6 ranges that can connect to a dedicated load balancer. If empty, nobody can."""


@dataclass(frozen=True, kw_only=True)
class SharedLoadBalancerRef:
    """The shared load balancer, as services need it to add their rules and records."""

    listener_arn: pulumi.Input[str]
    """ARN of the HTTPS listener that rules are added to."""

    dns_name: pulumi.Input[str]
    """DNS name of the load balancer, the target of records."""

    zone_id: pulumi.Input[str]
    """ID of the hosted zone of that DNS name, which AWS owns."""

    arn_suffix: pulumi.Input[str]
    """Last part of the ARN, by which CloudWatch identifies the load balancer."""

    security_group_id: pulumi.Input[str]
    """The load balancer's security group. Each service adds an egress rule to its own servers."""


@dataclass(frozen=True, kw_only=True)
class SharedFoundation:
    """What every service of one environment receives."""

    environment_name: str
    """Name of the environment, such as `beta`. It is part of fixed names and of tags."""

    region: str
    """AWS region, such as `us-east-1`."""

    account_id: str
    """ID of the AWS account, 12 digits. A wrong ID makes policies grant nothing."""

    environment: Environment
    """The environment's settings: domain, durability and operations."""

    network: ServiceNetwork
    """Where servers and load balancers run."""

    data_subnet_ids: Mapping[str, pulumi.Input[str]]
    """Subnets of databases, by tier and zone (`data-a`): at least two zones, without a route to the internet."""

    shared_load_balancer: SharedLoadBalancerRef
    """The environment's shared load balancer."""

    cdn_log_bucket: pulumi.Input[str]
    """Bucket for the access logs of buckets and distributions. It must accept ACLs, which CloudFront needs."""

    cdn_log_bucket_domain: pulumi.Input[str]
    """Domain name of that bucket, as CloudFront takes it."""

    alarm_topic_arn: pulumi.Input[str]
    """SNS topic that alarms are sent to."""

    deploy_identity_provider_arn: pulumi.Input[str] | None
    """IAM identity provider for GitHub's workflows. None: no deploy roles are created."""

    def scope_of(self, service: str) -> ServiceScope:
        """Return what a service's policies are limited to."""
        return ServiceScope(
            environment=self.environment_name, service=service, region=self.region, account_id=self.account_id
        )
