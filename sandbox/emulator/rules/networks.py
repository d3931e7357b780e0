"""EC2 networks: VPCs, subnets, gateways, route tables, flow logs and the ranges of rules."""

import ipaddress
from typing import Any

from ministack.core.responses import get_region
from ministack.services import ec2

from sandbox.emulator.rules.hooks import Refusal, rule

API = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference"
LARGEST_PREFIX, SMALLEST_PREFIX = 16, 28  # of a VPC's IPv4 range, and of a subnet's
RULES_PER_GROUP = 60  # for each direction and IP version
FLOW_LOG_SECONDS = frozenset({"60", "600"})


@rule(ec2, "_create_vpc", source=f"{API}/API_CreateVpc.html")
def vpc_size(parameters: Any) -> Refusal | None:
    """The IPv4 range of a VPC is between a /16 and a /28."""
    return wrong_size(parameters, "InvalidVpc.Range")


@rule(ec2, "_create_subnet", source=f"{API}/API_CreateSubnet.html")
def subnet_size(parameters: Any) -> Refusal | None:
    """The IPv4 range of a subnet is between a /16 and a /28."""
    return wrong_size(parameters, "InvalidSubnet.Range")


def wrong_size(parameters: Any, code: str) -> Refusal | None:
    """Return the refusal of an IPv4 range that is too large or too small for a VPC and its subnets."""
    text = ec2._p(parameters, "CidrBlock")
    if text and not LARGEST_PREFIX <= ipaddress.ip_network(text, strict=False).prefixlen <= SMALLEST_PREFIX:
        return Refusal(code, f"The CIDR '{text}' is invalid.")
    return None


@rule(ec2, "_create_subnet", source=f"{API}/API_CreateSubnet.html")
def subnet_zone(parameters: Any) -> Refusal | None:
    """The zone of a subnet is in the request's region."""
    zone, region = ec2._p(parameters, "AvailabilityZone"), get_region()
    if zone and not zone.startswith(region):
        message = f"Value ({zone}) for parameter availabilityZone is invalid. Subnets can only be created in {region}."
        return Refusal("InvalidParameterValue", message)
    return None


@rule(ec2, "_create_route", source=f"{API}/API_CreateRoute.html")
def duplicate_route(parameters: Any) -> Refusal | None:
    """A route table has one route for each range."""
    table = ec2._route_tables.get(ec2._p(parameters, "RouteTableId")) or {}
    for field in ("DestinationCidrBlock", "DestinationIpv6CidrBlock"):
        block = ec2._p(parameters, field)
        if block and any(route.get(field) == block for route in table.get("Routes") or []):
            return Refusal("RouteAlreadyExists", f"The route identified by {block} already exists.")
    return None


@rule(ec2, "_delete_internet_gateway", source=f"{API}/API_DeleteInternetGateway.html")
def attached_gateway(parameters: Any) -> Refusal | None:
    """An internet gateway that is attached to a VPC cannot be deleted."""
    identifier = ec2._p(parameters, "InternetGatewayId")
    if (ec2._internet_gateways.get(identifier) or {}).get("Attachments"):
        message = f"The internetGateway '{identifier}' has dependencies and cannot be deleted."
        return Refusal("DependencyViolation", message)
    return None


@rule(ec2, "_attach_internet_gateway", source=f"{API}/API_AttachInternetGateway.html")
def second_gateway(parameters: Any) -> Refusal | None:
    """A VPC has one internet gateway."""
    vpc = ec2._p(parameters, "VpcId")
    attached = [entry["VpcId"] for gateway in ec2._internet_gateways.values() for entry in gateway["Attachments"]]
    if vpc in attached:
        message = f"Network {vpc} already has an internet gateway attached"
        return Refusal("Resource.AlreadyAssociated", message)
    return None


@rule(ec2, "_delete_route_table", source=f"{API}/API_DeleteRouteTable.html")
def route_table_in_use(parameters: Any) -> Refusal | None:
    """A route table that a subnet uses cannot be deleted."""
    identifier = ec2._p(parameters, "RouteTableId")
    associations = (ec2._route_tables.get(identifier) or {}).get("Associations") or []
    if any(association.get("SubnetId") for association in associations):
        message = f"The routeTable '{identifier}' has dependencies and cannot be deleted."
        return Refusal("DependencyViolation", message)
    return None


@rule(ec2, "_create_security_group", source=f"{API}/API_CreateSecurityGroup.html")
def security_group_name(parameters: Any) -> Refusal | None:
    """The name of a security group does not begin like an identifier."""
    name = ec2._p(parameters, "GroupName")
    if name.startswith("sg-"):
        message = f"Invalid value '{name}' for groupName. Group names may not be in the format sg-*."
        return Refusal("InvalidParameterValue", message)
    return None


@rule(
    ec2,
    "_authorize_sg_ingress",
    "_authorize_sg_egress",
    source=f"{API}/API_IpRange.html",
)
def rule_ranges(parameters: Any) -> Refusal | None:
    """The range of a rule is a network address."""
    for permission in ec2._parse_ip_permissions(parameters, "IpPermissions"):
        ranges = [entry.get("CidrIp") for entry in permission.get("IpRanges") or []]
        ranges += [entry.get("CidrIpv6") for entry in permission.get("Ipv6Ranges") or []]
        for text in filter(None, ranges):
            try:
                ipaddress.ip_network(text)
            except ValueError:
                return Refusal("InvalidParameterValue", f"CIDR block {text} is malformed")
    return None


@rule(
    ec2,
    "_authorize_sg_ingress",
    "_authorize_sg_egress",
    source=f"{API}/API_AuthorizeSecurityGroupIngress.html",
)
def rule_groups(parameters: Any) -> Refusal | None:
    """The security group that a rule names exists."""
    for permission in ec2._parse_ip_permissions(parameters, "IpPermissions"):
        for pair in permission.get("UserIdGroupPairs") or []:
            group = pair.get("GroupId")
            if group and group not in ec2._security_groups:
                return Refusal("InvalidGroup.NotFound", f"The security group '{group}' does not exist")
    return None


@rule(
    ec2,
    "_authorize_sg_ingress",
    source="https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html",
)
def incoming_rules(parameters: Any) -> Refusal | None:
    """A security group has at most 60 incoming rules of each IP version, by default."""
    return too_many_rules(parameters, "IpPermissions")


@rule(
    ec2,
    "_authorize_sg_egress",
    source="https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html",
)
def outgoing_rules(parameters: Any) -> Refusal | None:
    """A security group has at most 60 outgoing rules of each IP version, by default."""
    return too_many_rules(parameters, "IpPermissionsEgress")


def too_many_rules(parameters: Any, direction: str) -> Refusal | None:
    """Return the refusal of rules beyond a group's quota. A rule for a group counts for both IP versions."""
    group = ec2._security_groups.get(ec2._p(parameters, "GroupId"))
    if group is None:
        return None
    permissions = [*group[direction], *ec2._parse_ip_permissions(parameters, "IpPermissions")]
    for field in ("IpRanges", "Ipv6Ranges"):
        sources = [permission.get(kind) or () for permission in permissions for kind in (field, "UserIdGroupPairs")]
        if sum(map(len, sources)) > RULES_PER_GROUP:
            message = "The maximum number of rules per security group has been reached."
            return Refusal("RulesPerSecurityGroupLimitExceeded", message)
    return None


@rule(ec2, "_create_flow_logs", source=f"{API}/API_CreateFlowLogs.html")
def flow_log_interval(parameters: Any) -> Refusal | None:
    """A flow log is written every 60 or 600 seconds."""
    seconds = ec2._p(parameters, "MaxAggregationInterval")
    if seconds and seconds not in FLOW_LOG_SECONDS:
        return Refusal("InvalidParameter", "Invalid Max Aggregation Interval. Valid values are 60 or 600 seconds")
    return None


@rule(ec2, "_create_launch_template", source=f"{API}/API_CreateLaunchTemplate.html")
def launch_template_name(parameters: Any) -> Refusal | None:
    """The name of a launch template has no spaces."""
    name = ec2._p(parameters, "LaunchTemplateName")
    if " " in name:
        message = (
            "Launch template name must be between 3 and 128 characters and may contain letters, numbers and (). -/_"
        )
        return Refusal("InvalidLaunchTemplateName.MalformedException", message)
    return None
