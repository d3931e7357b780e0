"""Elastic Load Balancing: names, zones, protection, certificates and priorities."""

import re
from typing import Any

from ministack.core.responses import get_region
from ministack.services import acm, alb, ec2

from sandbox.emulator.rules.hooks import Refusal, rule

API = "https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference"
NAME = re.compile(r"(?!internal-)(?!-)[A-Za-z0-9-]{1,32}(?<!-)")
HIGHEST_PRIORITY = 50000
REQUIRED_ZONES = 2  # of an application load balancer


@rule(alb, "_create_lb", source=f"{API}/API_CreateLoadBalancer.html")
def load_balancer_name(parameters: Any) -> Refusal | None:
    """The name of a load balancer has letters, digits and hyphens, and 32 of them at most."""
    name = alb._p(parameters, "Name") or ""
    if NAME.fullmatch(name):
        return None
    return Refusal(
        "ValidationError", f"The load balancer name '{name}' is not valid: letters, digits and hyphens, up to 32"
    )


@rule(alb, "_create_lb", source=f"{API}/API_CreateLoadBalancer.html")
def load_balancer_zones(parameters: Any) -> Refusal | None:
    """An application load balancer has subnets in at least two zones."""
    if alb._p(parameters, "Type", "application") != "application":
        return None
    subnets = [*alb._parse_member_list(parameters, "Subnets"), *mapped_subnets(parameters)]
    zones = {(ec2._subnets.get(subnet) or {}).get("AvailabilityZone") for subnet in subnets}
    if len(zones) < REQUIRED_ZONES:
        message = "At least two subnets in two different Availability Zones must be specified"
        return Refusal("ValidationError", message)
    return None


def mapped_subnets(parameters: Any) -> list[str]:
    """Return the subnets that a request maps to addresses."""
    subnets: list[str] = []
    while subnet := alb._p(parameters, f"SubnetMappings.member.{len(subnets) + 1}.SubnetId"):
        subnets.append(subnet)
    return subnets


@rule(alb, "_delete_lb", source=f"{API}/API_DeleteLoadBalancer.html")
def protected_load_balancer(parameters: Any) -> Refusal | None:
    """A load balancer with deletion protection cannot be deleted."""
    arn = alb._p(parameters, "LoadBalancerArn")
    if {"Key": "deletion_protection.enabled", "Value": "true"} in (alb._lb_attrs.get(arn) or []):
        message = f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
        return Refusal("OperationNotPermitted", message)
    return None


@rule(alb, "_create_listener", source=f"{API}/API_CreateListener.html")
def duplicate_listener(parameters: Any) -> Refusal | None:
    """A load balancer has one listener for each port."""
    balancer, port = alb._p(parameters, "LoadBalancerArn"), alb._p(parameters, "Port")
    ports = [str(entry.get("Port")) for entry in alb._listeners.values() if entry.get("LoadBalancerArn") == balancer]
    if port and str(port) in ports:
        return Refusal("DuplicateListener", "A listener already exists on this port for this load balancer")
    return None


@rule(alb, "_create_listener", source=f"{API}/API_CreateListener.html")
def listener_certificate(parameters: Any) -> Refusal | None:
    """The certificate of a listener is issued, and in the listener's region."""
    arn = alb._p(parameters, "Certificates.member.1.CertificateArn")
    if arn and arn.startswith("arn:aws:acm:") and not is_issued(arn, get_region()):
        return Refusal(
            "UnsupportedCertificate",
            f"The certificate '{arn}' must have a fully-qualified domain name, a supported signature, and a supported "
            "key size.",
        )
    return None


def is_issued(arn: str, region: str) -> bool:
    """Tell whether a certificate exists in a region and is issued."""
    found = [certificate for key, certificate in acm._certificates._data.items() if key[-1] == arn]
    return arn.split(":")[3:4] == [region] and any(certificate["Status"] == "ISSUED" for certificate in found)


@rule(alb, "_create_rule", source=f"{API}/API_CreateRule.html")
def rule_priority(parameters: Any) -> Refusal | None:
    """The priority of a listener's rule is between 1 and 50000, and no other rule of the listener has it."""
    listener, priority = alb._p(parameters, "ListenerArn"), alb._p(parameters, "Priority")
    if not (priority and priority.isdigit() and 1 <= int(priority) <= HIGHEST_PRIORITY):
        return Refusal("ValidationError", f"Priority '{priority}' must be in the range 1-50000")
    used = [str(entry.get("Priority")) for entry in alb._rules.values() if entry.get("ListenerArn") == listener]
    return Refusal("PriorityInUse", f"Priority '{priority}' is currently in use") if priority in used else None
