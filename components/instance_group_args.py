"""The arguments of LoadBalancedInstanceGroup. The functions that create its parts take them too."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.shared_foundation import ServiceNetwork, SharedLoadBalancerRef
from settings.models import Release, Sizing
from settings.service_spec import ServiceSpec


@dataclass(frozen=True, kw_only=True)
class LoadBalancedInstanceGroupArgs:
    """What a group of servers runs, how large it is, and how requests reach it."""

    spec: ServiceSpec
    """The service: its load balancing, port, health path, host and redirects."""

    release: Release
    """What the servers run: container image, machine image, and the idle timeout of WebSocket connections."""

    sizing: Sizing
    """Instance type, number of servers, disk size, and whether firing alarms prevent a deployment."""

    domain: str
    """The environment's domain, which the service's hosts belong to."""

    region: str
    """AWS region of the servers and their logs."""

    network: ServiceNetwork
    """Where the servers and a dedicated load balancer run."""

    shared_load_balancer: SharedLoadBalancerRef
    """The environment's shared load balancer. Used only if the spec has a SharedLoadBalancerRule."""

    environment_variables: Mapping[str, pulumi.Input[str]]
    """Environment variables of the container. Never a secret: they can be read on the servers and in the state."""

    log_group_name: pulumi.Input[str]
    """CloudWatch log group of the containers' output. Without permission to write to it, no container starts."""

    instance_profile_arn: pulumi.Input[str]
    """Instance profile that gives the servers their role."""

    server_security_group_id: pulumi.Input[str]
    """The servers' security group. The group adds the rules for its load balancer."""

    key_arn: pulumi.Input[str]
    """KMS key of the disks. Its policy must let Auto Scaling use it, or no server starts."""

    alarm_topic_arn: pulumi.Input[str]
    """SNS topic that alarms are sent to, when they start and when they stop."""

    tags: dict[str, str]
    """Tags of every resource of the group. `Name` is replaced on servers, volumes and network interfaces."""

    protect_load_balancer: bool = True
    """Whether AWS refuses to delete a dedicated load balancer. Default: true."""
