"""EC2: security groups, subnets, NAT gateways and user data."""

import base64
import ipaddress
import re
from typing import Any

from ministack.services import alb, ec2, rds

from sandbox.emulator.rules.hooks import Refusal, rule

API = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference"
ISSUES = "https://github.com/hashicorp/terraform-provider-aws/issues"
DESCRIPTION = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}")
CHARACTERS = "a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
LARGEST_PORT = 65535
PORT_PROTOCOLS = frozenset({"tcp", "udp", "6", "17"})
LARGEST_USER_DATA = 16 * 1024  # bytes before they are encoded


@rule(ec2, "_create_security_group", source=f"{API}/API_CreateSecurityGroup.html")
def security_group_description(parameters: Any) -> Refusal | None:
    """The description of a security group has only certain characters, and 255 of them at most."""
    text = ec2._p(parameters, "GroupDescription")
    return None if not text or DESCRIPTION.fullmatch(text) else invalid_description("security group", text)


@rule(ec2, "_authorize_sg_ingress", "_authorize_sg_egress", source=f"{ISSUES}/18874")
def rule_description(parameters: Any) -> Refusal | None:
    """The description of a security group's rule has only certain characters, and 255 of them at most."""
    texts = [str(value[0] if isinstance(value, list) else value) for key, value in parameters.items() if is_text(key)]
    wrong = [text for text in texts if text and not DESCRIPTION.fullmatch(text)]
    return invalid_description("rule", wrong[0]) if wrong else None


def is_text(key: str) -> bool:
    """Tell whether a parameter is the description of a rule."""
    return key.startswith("IpPermissions.") and key.endswith(".Description")


def invalid_description(kind: str, text: str) -> Refusal:
    """Return the refusal of a description."""
    del text  # AWS does not repeat it
    message = f"Invalid {kind} description. Valid descriptions are strings less than 256 characters from the following"
    return Refusal("InvalidParameterValue", f"{message} set: {CHARACTERS.replace('&', '&amp;')}")


@rule(ec2, "_authorize_sg_ingress", "_authorize_sg_egress", source=f"{API}/API_IpPermission.html")
def rule_ports(parameters: Any) -> Refusal | None:
    """The ports of a TCP or UDP rule are between 0 and 65535, and the first is not above the last."""
    for permission in ec2._parse_ip_permissions(parameters, "IpPermissions"):
        if permission["IpProtocol"] not in PORT_PROTOCOLS:
            continue
        first, last = permission.get("FromPort"), permission.get("ToPort")
        if first is None or last is None or not 0 <= first <= last <= LARGEST_PORT:
            return Refusal("InvalidParameterValue", f"Invalid TCP/UDP port range ({first}:{last})")
    return None


@rule(ec2, "_authorize_sg_ingress", source=f"{API}/API_AuthorizeSecurityGroupIngress.html")
def duplicate_ingress_rule(parameters: Any) -> Refusal | None:
    """A security group does not have the same incoming rule twice."""
    return duplicate_rule(parameters, "IpPermissions")


@rule(ec2, "_authorize_sg_egress", source=f"{API}/API_AuthorizeSecurityGroupEgress.html")
def duplicate_egress_rule(parameters: Any) -> Refusal | None:
    """A security group does not have the same outgoing rule twice."""
    return duplicate_rule(parameters, "IpPermissionsEgress")


def duplicate_rule(parameters: Any, direction: str) -> Refusal | None:
    """Return the refusal of a rule that a group already has."""
    group = ec2._security_groups.get(ec2._p(parameters, "GroupId"))
    for permission in ec2._parse_ip_permissions(parameters, "IpPermissions") if group else ():
        if any(ec2._rules_match(permission, existing) for existing in group[direction]):
            return Refusal("InvalidPermission.Duplicate", "the specified rule already exists")
    return None


@rule(ec2, "_delete_security_group", source=f"{API}/API_DeleteSecurityGroup.html")
def security_group_in_use(parameters: Any) -> Refusal | None:
    """A security group that another group's rule, a load balancer or a database uses cannot be deleted."""
    group = ec2._p(parameters, "GroupId")
    users = [
        other
        for other, content in ec2._security_groups.items()
        if other != group and group in referenced_groups(content["IpPermissions"] + content["IpPermissionsEgress"])
    ]
    users += [arn for arn, balancer in alb._lbs.items() if group in (balancer.get("SecurityGroups") or [])]
    users += [
        name
        for name, database in rds._instances.items()
        if group in [entry["VpcSecurityGroupId"] for entry in database.get("VpcSecurityGroups") or []]
    ]
    return Refusal("DependencyViolation", f"resource {group} has a dependent object") if users else None


def referenced_groups(permissions: list[Any]) -> set[str]:
    """Return the groups that rules name."""
    return {pair.get("GroupId") for permission in permissions for pair in permission["UserIdGroupPairs"]}


@rule(ec2, "_create_subnet", source=f"{API}/API_CreateSubnet.html")
def subnet_range(parameters: Any) -> Refusal | None:
    """The range of a subnet is inside of its VPC's range and overlaps no other subnet."""
    vpc, text = ec2._vpcs.get(ec2._p(parameters, "VpcId")), ec2._p(parameters, "CidrBlock")
    if vpc is None or not text:
        return None
    block = ipaddress.ip_network(text)
    if not block.subnet_of(ipaddress.ip_network(vpc["CidrBlock"])):  # type: ignore[arg-type] # both are IPv4
        return Refusal("InvalidSubnet.Range", f"The CIDR '{block}' is invalid.")
    others = [subnet["CidrBlock"] for subnet in ec2._subnets.values() if subnet["VpcId"] == vpc["VpcId"]]
    if any(block.overlaps(ipaddress.ip_network(other)) for other in others):
        return Refusal("InvalidSubnet.Conflict", f"The CIDR '{block}' conflicts with another subnet")
    return None


@rule(ec2, "_delete_subnet", source=f"{API}/API_DeleteSubnet.html")
def subnet_in_use(parameters: Any) -> Refusal | None:
    """A subnet with a load balancer or a NAT gateway in it cannot be deleted."""
    subnet = ec2._p(parameters, "SubnetId")
    has_balancer = any(subnet in (balancer.get("Subnets") or []) for balancer in alb._lbs.values())
    gateways = [gateway for gateway in ec2._nat_gateways.values() if gateway["State"] == "available"]
    if has_balancer or any(gateway["SubnetId"] == subnet for gateway in gateways):
        return Refusal("DependencyViolation", f"The subnet '{subnet}' has dependencies and cannot be deleted.")
    return None


@rule(ec2, "_create_nat_gateway", source=f"{API}/API_CreateNatGateway.html")
def elastic_ip_in_use(parameters: Any) -> Refusal | None:
    """An Elastic IP address belongs to one NAT gateway at a time."""
    address = ec2._p(parameters, "AllocationId")
    gateways = [gateway for gateway in ec2._nat_gateways.values() if gateway["State"] == "available"]
    if address and any(gateway.get("AllocationId") == address for gateway in gateways):
        return Refusal("Resource.AlreadyAssociated", f"resource {address} is already associated with another resource")
    return None


@rule(
    ec2,
    "_create_launch_template",
    "_create_launch_template_version",
    source="https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html",
)
def user_data_size(parameters: Any) -> Refusal | None:
    """User data has at most 16 KB before it is encoded."""
    text = ec2._p(parameters, "LaunchTemplateData.UserData")
    try:
        size = len(base64.b64decode(text or "", validate=True))
    except ValueError:
        return Refusal("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.")
    if size > LARGEST_USER_DATA:
        return Refusal("InvalidUserData.Malformed", "User data is limited to 16384 bytes")
    return None
