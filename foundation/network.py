"""The environment's VPC: public, application and data subnets in each zone, and their routes."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws.ec2.default_security_group import DefaultSecurityGroup
from pulumi_aws.ec2.egress_only_internet_gateway import EgressOnlyInternetGateway
from pulumi_aws.ec2.eip import Eip
from pulumi_aws.ec2.internet_gateway import InternetGateway
from pulumi_aws.ec2.nat_gateway import NatGateway
from pulumi_aws.ec2.route import Route
from pulumi_aws.ec2.route_table import RouteTable
from pulumi_aws.ec2.route_table_association import RouteTableAssociation
from pulumi_aws.ec2.subnet import Subnet
from pulumi_aws.ec2.vpc import Vpc

from components import type_tokens
from components.constants import ANY_IPV4, ANY_IPV6
from components.outputs import available_after
from components.tags import resource_tags
from foundation.endpoints import interface_endpoints, s3_endpoint
from foundation.flow_logs import flow_logs
from foundation.subnets import TIERS, subnet_cidr, subnet_ipv6, zone_letter
from settings import models

# Subnets, route tables and routes by tier and zone, such as `application-a`; a route table of a whole tier by the tier.
Subnets = dict[str, Subnet]
RouteTables = dict[str, RouteTable]
Routes = dict[str, Route]


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """The network's settings, and how its traffic is logged."""

    environment: str
    """Name of the environment. It is part of fixed names and of tags."""

    region: str
    """AWS region, which all zones belong to."""

    network: models.Network
    """Range, zones, NAT gateways and interface endpoints. Changing the range recreates the network."""

    log_key_arn: pulumi.Input[str]
    """KMS key of the flow logs. Its policy must let CloudWatch use it, or the log group cannot be created."""

    log_days: int
    """Days for which flow logs are kept. CloudWatch allows certain values only."""


class Network(pulumi.ComponentResource):
    """A dual-stack VPC with subnets, routes, NAT gateways, endpoints and flow logs.

    Public subnets have a route to the internet, application subnets one for outgoing connections, data subnets none.

    Does not create network ACLs: security groups decide what can connect. Does not connect the VPC to another one.
    """

    vpc_id: pulumi.Output[str]
    subnet_ids: dict[str, dict[str, pulumi.Output[str]]]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the network."""
        super().__init__(type_tokens.NETWORK, name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._zones = sorted(args.network.zones)
        self._vpc = self._create_vpc()
        subnets = {tier: self._subnets(tier) for tier in TIERS}
        internet, public_routes = self._public_routes(subnets["public"])
        route_tables, application_routes = self._application_routes(subnets, internet)
        route_tables["data"] = self._route_table("data", subnets["data"])
        self._endpoints(subnets["application"], route_tables)
        flow_logs(
            name,
            vpc_id=self._vpc.id,
            environment=args.environment,
            log_days=args.log_days,
            key_arn=args.log_key_arn,
            tags=self._tags("flow"),
            parent=self,
        )
        self.vpc_id = self._vpc.id
        routes = {**public_routes, **application_routes}
        self.subnet_ids = {tier: self._routed_ids(subnets[tier], routes) for tier in TIERS}
        self.register_outputs({"vpc_id": self.vpc_id, "subnet_ids": self.subnet_ids})

    def _routed_ids(self, subnets: Subnets, routes: Routes) -> dict[str, pulumi.Output[str]]:
        """Return the ids of subnets, available once each has its route to the internet.

        Without that route, AWS refuses a public load balancer, and a server cannot pull its image.
        """
        return {
            key: available_after(subnet.id, routes[key]) if key in routes else subnet.id
            for key, subnet in subnets.items()
        }

    def _tags(self, part: str) -> dict[str, str]:
        """Return the tags of a part of the network."""
        return resource_tags(self._args.environment, f"{self._args.environment}-{part}")

    def _create_vpc(self) -> Vpc:
        """Create the VPC, and remove all rules from its default security group.

        By default, that group lets its members connect to each other (EC2.2); nobody should use it by mistake.
        """
        vpc = Vpc(
            f"{self._name}-vpc",
            cidr_block=self._args.network.cidr,
            # Dual-stack from the start: adding IPv6 later would change every subnet.
            assign_generated_ipv6_cidr_block=True,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._tags("vpc"),
            opts=self._child,
        )
        DefaultSecurityGroup(
            f"{self._name}-default-group",
            vpc_id=vpc.id,
            ingress=[],
            egress=[],
            tags=self._tags("default-group"),
            opts=self._child,
        )
        return vpc

    def _subnets(self, tier: str) -> Subnets:
        """Create a tier's subnet in each zone."""
        return {f"{tier}-{zone_letter(zone)}": self._subnet(tier, zone) for zone in self._zones}

    def _subnet(self, tier: str, zone: str) -> Subnet:
        """Create one subnet."""
        part = f"{tier}-{zone_letter(zone)}"
        return Subnet(
            f"{self._name}-{part}",
            vpc_id=self._vpc.id,
            availability_zone=zone,
            cidr_block=subnet_cidr(self._args.network.cidr, tier, zone),
            ipv6_cidr_block=self._vpc.ipv6_cidr_block.apply(lambda block: subnet_ipv6(block, tier, zone)),
            map_public_ip_on_launch=False,  # EC2.15: load balancers and NAT gateways have their own addresses
            assign_ipv6_address_on_creation=tier == "application",
            tags={**self._tags(part), "Tier": tier},
            opts=self._child,
        )

    def _route_table(self, part: str, subnets: Subnets) -> RouteTable:
        """Create a route table for these subnets.

        Its routes are separate resources: a table with inline routes would delete those that it does not list.
        """
        table = RouteTable(
            f"{self._name}-{part}-routes", vpc_id=self._vpc.id, tags=self._tags(f"{part}-routes"), opts=self._child
        )
        for key, subnet in subnets.items():
            RouteTableAssociation(
                f"{self._name}-{key}-routed", route_table_id=table.id, subnet_id=subnet.id, opts=self._child
            )
        return table

    def _public_routes(self, subnets: Subnets) -> tuple[InternetGateway, Routes]:
        """Route the public subnets to the internet, in both directions."""
        name = self._name
        internet = InternetGateway(
            f"{name}-internet", vpc_id=self._vpc.id, tags=self._tags("internet"), opts=self._child
        )
        table = self._route_table("public", subnets)
        route = Route(
            f"{name}-public-internet",
            route_table_id=table.id,
            destination_cidr_block=ANY_IPV4,
            gateway_id=internet.id,
            opts=self._child,
        )
        Route(
            f"{name}-public-internet-ipv6",
            route_table_id=table.id,
            destination_ipv6_cidr_block=ANY_IPV6,
            gateway_id=internet.id,
            opts=self._child,
        )
        return internet, dict.fromkeys(subnets, route)

    def _application_routes(
        self, subnets: Mapping[str, Subnets], internet: InternetGateway
    ) -> tuple[RouteTables, Routes]:
        """Route the application subnets to the internet, for outgoing connections only."""
        name = self._name
        ipv6_gateway = EgressOnlyInternetGateway(
            f"{name}-ipv6-out", vpc_id=self._vpc.id, tags=self._tags("ipv6-out"), opts=self._child
        )
        gateways = self._nat_gateways(subnets["public"], internet)
        tables: RouteTables = {}
        routes: Routes = {}
        for zone in self._zones:
            key = f"application-{zone_letter(zone)}"
            tables[key] = self._route_table(key, {key: subnets["application"][key]})
            routes[key] = Route(
                f"{name}-{key}-out",
                route_table_id=tables[key].id,
                destination_cidr_block=ANY_IPV4,
                nat_gateway_id=gateways[zone].id,
                opts=self._child,
            )
            Route(
                f"{name}-{key}-out-ipv6",
                route_table_id=tables[key].id,
                destination_ipv6_cidr_block=ANY_IPV6,
                egress_only_gateway_id=ipv6_gateway.id,
                opts=self._child,
            )
        return tables, routes

    def _nat_gateways(self, subnets: Subnets, internet: InternetGateway) -> dict[str, NatGateway]:
        """Return each zone's NAT gateway: its own, or the one that all zones share."""
        if self._args.network.nat == "per_zone":
            return {zone: self._nat_gateway(zone, subnets, internet) for zone in self._zones}
        return dict.fromkeys(self._zones, self._nat_gateway(self._zones[0], subnets, internet))

    def _nat_gateway(self, zone: str, subnets: Subnets, internet: InternetGateway) -> NatGateway:
        """Create a NAT gateway in a zone's public subnet."""
        letter = zone_letter(zone)
        address = Eip(
            f"{self._name}-nat-{letter}-address", domain="vpc", tags=self._tags(f"nat-{letter}"), opts=self._child
        )
        return NatGateway(
            f"{self._name}-nat-{letter}",
            subnet_id=subnets[f"public-{letter}"].id,
            allocation_id=address.id,
            tags=self._tags(f"nat-{letter}"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[internet]),
        )

    def _endpoints(self, subnets: Subnets, route_tables: RouteTables) -> None:
        """Create the endpoints of AWS services."""
        network, region = self._args.network, self._args.region
        s3_endpoint(
            self._name,
            vpc_id=self._vpc.id,
            region=region,
            route_table_ids=[table.id for table in route_tables.values()],
            tags=self._tags,
            parent=self,
        )
        if network.interface_endpoints:
            interface_endpoints(
                self._name,
                sorted(network.interface_endpoints),
                vpc_id=self._vpc.id,
                vpc_cidr=network.cidr,
                region=region,
                subnet_ids=[subnet.id for subnet in subnets.values()],
                tags=self._tags,
                parent=self,
            )
