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
# The values of a load balancer's attributes: a range, or the words that are allowed.
# Source: LoadBalancerAttribute of the API reference.
ATTRIBUTES: dict[str, range | frozenset[str]] = {
    "idle_timeout.timeout_seconds": range(1, 4001),
    "client_keep_alive.seconds": range(60, 604801),
}
BOOLEAN = frozenset({"true", "false"})
KNOWN_ATTRIBUTES = re.compile(
    r"(access_logs|connection_logs|health_check_logs)\.s3\.(enabled|bucket|prefix)"
    r"|deletion_protection\.enabled|idle_timeout\.timeout_seconds|client_keep_alive\.seconds"
    r"|routing\.http2?\.[a-z0-9_.]+|waf\.fail_open\.enabled|ipv6\.deny_all_igw_traffic|zonal_shift\.config\.enabled"
    r"|load_balancing\.cross_zone\.enabled|dns_record\.client_routing_policy|secondary_ips\.[a-z0-9_.]+"
)
MAXIMUM_CONDITION_VALUES = 5
CHECK_SECONDS = range(5, 301)  # between two health checks
CHECK_COUNTS = range(2, 11)  # how many checks decide
APPLICATION_PROTOCOLS = frozenset({"HTTP", "HTTPS"})
TLS_POLICY = re.compile(
    r"ELBSecurityPolicy-(TLS13-1-[0-3]-(Res-|Ext[0-2]-)?(FIPS-)?(PQ-)?|FS-|TLS-|2016-08|2015)[A-Za-z0-9-]*"
)


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


@rule(alb, "_create_tg", source=f"{API}/API_CreateTargetGroup.html")
def target_group_name(parameters: Any) -> Refusal | None:
    """The name of a target group has letters, digits and hyphens, and 32 of them at most."""
    name = alb._p(parameters, "Name") or ""
    if NAME.fullmatch(name):
        return None
    return Refusal("ValidationError", f"Target group name '{name}' is not valid: letters, digits and hyphens, up to 32")


@rule(alb, "_create_tg", "_modify_tg", source=f"{API}/API_CreateTargetGroup.html")
def health_check_times(parameters: Any) -> Refusal | None:
    """A health check runs every 5 to 300 seconds, ends before the next one, and counts 2 to 10 times."""
    group = alb._tgs.get(alb._p(parameters, "TargetGroupArn")) or {}

    def number(field: str, default: int) -> int:
        return int(alb._p(parameters, field) or group.get(field) or default)

    interval = number("HealthCheckIntervalSeconds", 30)
    timeout = number("HealthCheckTimeoutSeconds", min(5, interval - 1))
    thresholds = [number(field, 2) for field in ("HealthyThresholdCount", "UnhealthyThresholdCount")]
    if interval not in CHECK_SECONDS:
        return Refusal("ValidationError", f"Health check interval '{interval}' must be between 5 and 300")
    if timeout >= interval and alb._p(parameters, "Protocol") in APPLICATION_PROTOCOLS:
        return Refusal("ValidationError", "Health check interval must be greater than the timeout.")
    if not all(threshold in CHECK_COUNTS for threshold in thresholds):
        return Refusal("ValidationError", "Health check thresholds must be between 2 and 10")
    return None


@rule(alb, "_create_tg", source=f"{API}/API_CreateTargetGroup.html")
def target_group_network(parameters: Any) -> Refusal | None:
    """The VPC of a target group exists."""
    vpc = alb._p(parameters, "VpcId")
    return Refusal("ValidationError", f"The VPC ID '{vpc}' is not found") if vpc and vpc not in ec2._vpcs else None


@rule(alb, "_delete_tg", source=f"{API}/API_DeleteTargetGroup.html")
def target_group_in_use(parameters: Any) -> Refusal | None:
    """A target group that a listener or a rule forwards to cannot be deleted."""
    arn = alb._p(parameters, "TargetGroupArn")
    actions = [action for listener in alb._listeners.values() for action in listener.get("DefaultActions") or []]
    actions += [action for entry in alb._rules.values() for action in entry.get("Actions") or []]
    if any(action.get("TargetGroupArn") == arn for action in actions):
        return Refusal("ResourceInUse", f"Target group '{arn}' is currently in use by a listener or a rule")
    return None


@rule(alb, "_modify_lb_attrs", source=f"{API}/API_LoadBalancerAttribute.html")
def load_balancer_attributes(parameters: Any) -> Refusal | None:
    """An attribute of a load balancer is one that AWS knows, with a value that it allows."""
    index = 1
    while key := alb._p(parameters, f"Attributes.member.{index}.Key"):
        value, allowed = alb._p(parameters, f"Attributes.member.{index}.Value"), ATTRIBUTES.get(key)
        if not KNOWN_ATTRIBUTES.fullmatch(key):
            return Refusal("ValidationError", f"Load balancer attribute key '{key}' is not recognized")
        if isinstance(allowed, range) and not (value.isdecimal() and int(value) in allowed):
            message = f"'{key}' value '{value}' must be between {allowed[0]} and {allowed[-1]} inclusive"
            return Refusal("ValidationError", message)
        if key.endswith(".enabled") and value not in BOOLEAN:
            return Refusal("ValidationError", f"'{key}' value '{value}' must be true or false")
        index += 1
    return None


@rule(
    alb,
    "_create_rule",
    "_modify_rule",
    source="https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html",
)
def condition_values(parameters: Any) -> Refusal | None:
    """A rule has at most five values in its conditions."""
    values = [key for key in parameters if key.startswith("Conditions.") and is_value(key)]
    listed = {key for key in values if "Config." in key}
    if len(listed or values) > MAXIMUM_CONDITION_VALUES:
        return Refusal("ValidationError", f"A rule can only have '{MAXIMUM_CONDITION_VALUES}' condition values")
    return None


def is_value(key: str) -> bool:
    """Tell whether a parameter is a value of a condition."""
    return ".Values.member." in key


@rule(alb, "_create_listener", source=f"{API}/API_CreateListener.html")
def listener_protocol(parameters: Any) -> Refusal | None:
    """A listener of an application load balancer speaks HTTP or HTTPS, and HTTPS needs a certificate."""
    balancer = alb._lbs.get(alb._p(parameters, "LoadBalancerArn")) or {}
    protocol = alb._p(parameters, "Protocol")
    is_application = balancer.get("Type", "application") == "application"
    if is_application and protocol and protocol not in APPLICATION_PROTOCOLS:
        return Refusal("ValidationError", f"Listener protocol '{protocol}' must be one of 'HTTPS, HTTP'")
    if protocol in {"HTTPS", "TLS"} and not alb._p(parameters, "Certificates.member.1.CertificateArn"):
        return Refusal("ValidationError", f"A certificate must be specified for {protocol} listeners")
    return None


@rule(
    alb,
    "_create_listener",
    "_modify_listener",
    source="https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html",
)
def tls_policy(parameters: Any) -> Refusal | None:
    """The TLS policy of a listener is one of AWS's."""
    policy = alb._p(parameters, "SslPolicy")
    if policy and not TLS_POLICY.fullmatch(policy):
        return Refusal("SSLPolicyNotFound", f"SSL policy '{policy}' not found")
    return None
