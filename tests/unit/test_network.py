"""Network: ranges of subnets, routes, NAT gateways, and the default security group."""

import ipaddress

from foundation.subnets import TIERS, ZONE_LETTERS, subnet_cidr, subnet_ipv6
from mocks.aws import Run
from tests.unit.conftest import program_run


def test_data_subnets_have_no_route_to_the_internet(prod: Run) -> None:
    """Their route table has no route at all."""
    tables = {route.inputs["routeTableId"] for route in prod.of("ec2/route:Route").values()}
    assert "network-data-routes-id" not in tables
    assert {f"network-application-{letter}-routes-id" for letter in "abc"} < tables


def test_prod_has_a_nat_gateway_in_each_zone_and_alpha_has_one() -> None:
    """In prod, the failure of a zone cuts no other zone off."""
    assert sorted(program_run("prod").of("ec2/natGateway:NatGateway")) == [
        "network-nat-a",
        "network-nat-b",
        "network-nat-c",
    ]
    assert sorted(program_run("alpha").of("ec2/natGateway:NatGateway")) == ["network-nat-a"]


def test_subnets_never_overlap() -> None:
    """Each tier and zone letter has its own range."""
    ranges = [
        ipaddress.IPv4Network(subnet_cidr("10.0.0.0/16", tier, f"us-east-1{letter}"))
        for tier in TIERS
        for letter in ZONE_LETTERS
    ]
    assert len(ranges) == 24
    assert not [(a, b) for index, a in enumerate(ranges) for b in ranges[index + 1 :] if a.overlaps(b)]


def test_a_subnet_keeps_its_range_when_a_zone_is_added() -> None:
    """The range comes from the tier and the zone's letter, not from a position in a list."""
    assert subnet_cidr("10.0.0.0/16", "data", "us-east-1c") == "10.0.144.0/21"
    assert subnet_ipv6("2600:1f18:1234:5600::/56", "data", "us-east-1c") == "2600:1f18:1234:5612::/64"


def test_the_default_security_group_has_no_rules(prod: Run) -> None:
    """By default its members could connect to each other (EC2.2)."""
    group = prod.one("ec2/defaultSecurityGroup:DefaultSecurityGroup", "network-default-group").inputs
    assert (group["ingress"], group["egress"]) == ([], [])
