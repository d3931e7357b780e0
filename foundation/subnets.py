"""Which subnet has which range. Pure functions.

A subnet's number comes from its tier and its zone's letter, never from its position in a list, so adding a zone changes
no other subnet. 3 tiers with 8 letters each fit into 32 subnets, so a subnet's prefix is 5 bits longer than the VPC's.
"""

import ipaddress
from typing import Final

TIERS: Final = ("public", "application", "data")
ZONE_LETTERS: Final = "abcdefgh"
SUBNET_BITS: Final = 5
IPV6_SUBNET_PREFIX: Final = 64  # AWS allows no other size


def zone_letter(zone: str) -> str:
    """Return a zone's letter, such as `a` for us-east-1a."""
    return zone[-1]


def subnet_number(tier: str, zone: str) -> int:
    """Return a subnet's number among the 32 of the VPC."""
    return TIERS.index(tier) * len(ZONE_LETTERS) + ZONE_LETTERS.index(zone_letter(zone))


def subnet_cidr(vpc_cidr: str, tier: str, zone: str) -> str:
    """Return a subnet's IPv4 range."""
    network = ipaddress.IPv4Network(vpc_cidr)
    prefix = network.prefixlen + SUBNET_BITS
    first = int(network.network_address) + subnet_number(tier, zone) * 2 ** (network.max_prefixlen - prefix)
    return str(ipaddress.IPv4Network((first, prefix)))


def subnet_ipv6(vpc_block: str, tier: str, zone: str) -> str:
    """Return a subnet's IPv6 range: a /64 of the /56 that AWS assigned to the VPC."""
    network = ipaddress.IPv6Network(vpc_block)
    first = int(network.network_address) + (subnet_number(tier, zone) << network.max_prefixlen - IPV6_SUBNET_PREFIX)
    return str(ipaddress.IPv6Network((first, IPV6_SUBNET_PREFIX)))
