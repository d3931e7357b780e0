"""Requests about networks that AWS refuses."""

from collections.abc import Callable
from typing import Any

from tests.engine.aws_requests.account import REGION, Account, Requests


def route_twice(account: Account, *, count: int) -> None:
    """Add the same route to a table once or twice."""
    ec2 = account.client("ec2")
    table = ec2.create_route_table(VpcId=account.vpc)["RouteTable"]["RouteTableId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    other = account.new_vpc()
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=other)
    table = ec2.create_route_table(VpcId=other)["RouteTable"]["RouteTableId"]
    for _ in range(count):
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)


def delete_vpc(account: Account, *, has_subnet: bool) -> None:
    """Delete a VPC with or without a subnet."""
    ec2, vpc = account.client("ec2"), account.new_vpc()
    if has_subnet:
        ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")
    ec2.delete_vpc(VpcId=vpc)


def delete_gateway(account: Account, *, is_attached: bool) -> None:
    """Delete an internet gateway that is attached to a VPC, or not."""
    ec2 = account.client("ec2")
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    if is_attached:
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=account.new_vpc())
    ec2.delete_internet_gateway(InternetGatewayId=gateway)


def second_gateway(account: Account, *, count: int) -> None:
    """Attach internet gateways to one VPC."""
    ec2, vpc = account.client("ec2"), account.new_vpc()
    for _ in range(count):
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)


def associated_table(account: Account, *, is_associated: bool) -> None:
    """Delete a route table that a subnet uses, or not."""
    ec2, vpc = account.client("ec2"), account.new_vpc()
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    if is_associated:
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    ec2.delete_route_table(RouteTableId=table)


def named_group(account: Account, name: str, *, count: int = 1) -> None:
    """Create security groups of one name in one VPC."""
    for _ in range(count):
        account.client("ec2").create_security_group(GroupName=name, Description="g", VpcId=account.vpc)


def many_rules(account: Account, count: int) -> None:
    """Add incoming rules to a group."""
    ranges = [{"CidrIp": f"10.{index}.0.0/16"} for index in range(count)]
    account.ingress(account.new_group(), IpRanges=ranges)


def in_vpc(block: str) -> Callable[[Account], object]:
    """Return a request that creates a VPC."""
    return lambda account: account.client("ec2").create_vpc(CidrBlock=block)


def range_of_rule(block: str) -> Callable[[Account], object]:
    """Return a request that allows a range."""
    return lambda account: account.ingress(account.new_group(), IpRanges=[{"CidrIp": block}])


def flow_log(account: Account, **arguments: Any) -> None:
    """Create a flow log."""
    answer = account.client("ec2").create_flow_logs(
        **{
            "ResourceIds": [account.vpc],
            "ResourceType": "VPC",
            "TrafficType": "ALL",
            "LogDestinationType": "s3",
            "LogDestination": f"arn:aws:s3:::{account.name()}",
            **arguments,
        }
    )
    assert answer["FlowLogIds"]


REQUESTS: Requests = {
    "a VPC larger than /16": (in_vpc("10.0.0.0/15"), "InvalidVpc.Range", in_vpc("10.0.0.0/16")),
    "a VPC smaller than /28": (in_vpc("10.0.0.0/29"), "InvalidVpc.Range", in_vpc("10.0.0.0/28")),
    "a subnet smaller than /28": (
        lambda account: account.subnet("10.7.250.0/29"),
        "InvalidSubnet.Range",
        lambda account: account.subnet("10.7.250.0/28"),
    ),
    "a subnet in another region's zone": (
        lambda account: account.subnet("10.7.251.0/24", AvailabilityZone="us-west-2a"),
        "InvalidParameterValue",
        lambda account: account.subnet("10.7.251.0/24", AvailabilityZone=f"{REGION}c"),
    ),
    "the same route twice": (
        lambda account: route_twice(account, count=2),
        "RouteAlreadyExists",
        lambda account: route_twice(account, count=1),
    ),
    "deleting a VPC with a subnet": (
        lambda account: delete_vpc(account, has_subnet=True),
        "DependencyViolation",
        lambda account: delete_vpc(account, has_subnet=False),
    ),
    "deleting an attached internet gateway": (
        lambda account: delete_gateway(account, is_attached=True),
        "DependencyViolation",
        lambda account: delete_gateway(account, is_attached=False),
    ),
    "two internet gateways": (
        lambda account: second_gateway(account, count=2),
        "Resource.AlreadyAssociated",
        lambda account: second_gateway(account, count=1),
    ),
    "deleting a route table in use": (
        lambda account: associated_table(account, is_associated=True),
        "DependencyViolation",
        lambda account: associated_table(account, is_associated=False),
    ),
    "a group's name like an identifier": (
        lambda account: named_group(account, "sg-web"),
        "InvalidParameterValue",
        lambda account: named_group(account, "web-sg"),
    ),
    "two groups of one name": (
        lambda account: named_group(account, "twins", count=2),
        "InvalidGroup.Duplicate",
        lambda account: named_group(account, "only", count=1),
    ),
    "61 rules": (
        lambda account: many_rules(account, 61),
        "RulesPerSecurityGroupLimitExceeded",
        lambda account: many_rules(account, 60),
    ),
    "a range with host bits": (
        range_of_rule("10.0.0.1/8"),
        "InvalidParameterValue",
        range_of_rule("10.0.0.0/8"),
    ),
    "a range that is none": (range_of_rule("everyone"), "InvalidParameterValue", None),
    "a rule for an unknown group": (
        lambda account: account.ingress(IpRanges=[], UserIdGroupPairs=[{"GroupId": "sg-0123456789abcdef0"}]),
        "InvalidGroup.NotFound",
        lambda account: account.ingress(IpRanges=[], UserIdGroupPairs=[{"GroupId": account.new_group()}]),
    ),
    "a flow log every two minutes": (
        lambda account: flow_log(account, MaxAggregationInterval=120),
        "InvalidParameter",
        lambda account: flow_log(account, MaxAggregationInterval=60),
    ),
}
