"""The environment's VPC: public, application and data subnets in each zone, and the ways in and out."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws.cloudwatch.log_group import LogGroup
from pulumi_aws.ec2.default_security_group import DefaultSecurityGroup
from pulumi_aws.ec2.egress_only_internet_gateway import EgressOnlyInternetGateway
from pulumi_aws.ec2.eip import Eip
from pulumi_aws.ec2.flow_log import FlowLog
from pulumi_aws.ec2.internet_gateway import InternetGateway
from pulumi_aws.ec2.nat_gateway import NatGateway
from pulumi_aws.ec2.route import Route
from pulumi_aws.ec2.route_table import RouteTable
from pulumi_aws.ec2.route_table_association import RouteTableAssociation
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.ec2.subnet import Subnet
from pulumi_aws.ec2.vpc import Vpc
from pulumi_aws.ec2.vpc_endpoint import VpcEndpoint
from pulumi_aws.iam.role import Role
from pulumi_aws.iam.role_policy import RolePolicy
from pulumi_aws.vpc.security_group_ingress_rule import SecurityGroupIngressRule

from components.names import HTTPS_PORT, after, assumable_by, policy_document, tags

TYPE = "hundredx:foundation:Network"
TIERS = ("public", "application", "data")
# A subnet's number comes from its tier and its zone's letter, never from its place in a list, so that a zone that is added
# moves no other: 3 tiers x 8 letters fit in 32 subnets, five bits below the VPC.
LETTERS = "abcdefgh"
SUBNET_BITS = 5


@dataclass(frozen=True)
class NetworkArgs:
    """cidr: /16 to /23. zones: by name, such as us-east-1a. nat: one gateway, or one in each zone.

    interface_endpoints: AWS services that are reached inside the VPC. log_key_arn: encrypts the flow logs.
    """

    environment: str
    region: str
    cidr: str
    zones: tuple[str, ...]
    nat_per_zone: bool
    interface_endpoints: tuple[str, ...]
    log_key_arn: pulumi.Input[str]
    log_days: int


def letter_of(zone: str) -> str:
    """Return a zone's letter: `a` of us-east-1a."""
    return zone[-1]


def subnet_number(tier: str, zone: str) -> int:
    """Return a subnet's number among the VPC's 32."""
    return TIERS.index(tier) * len(LETTERS) + LETTERS.index(letter_of(zone))


def subnet_cidr(vpc_cidr: str, tier: str, zone: str) -> str:
    """Return a subnet's IPv4 range: five bits longer than the VPC's."""
    network = ipaddress.IPv4Network(vpc_cidr)
    size = 2 ** (32 - network.prefixlen - SUBNET_BITS)
    first = int(network.network_address) + subnet_number(tier, zone) * size
    return str(ipaddress.IPv4Network((first, network.prefixlen + SUBNET_BITS)))


def subnet_ipv6(vpc_block: str, tier: str, zone: str) -> str:
    """Return a subnet's IPv6 range: a /64 of the /56 that AWS gave the VPC."""
    network = ipaddress.IPv6Network(vpc_block)
    return str(ipaddress.IPv6Network((int(network.network_address) + (subnet_number(tier, zone) << 64), 64)))


class Network(pulumi.ComponentResource):
    """A dual-stack VPC. Subnets are keyed by tier and zone (`data-a`); data subnets have no route out."""

    vpc_id: pulumi.Output[str]
    subnet_ids: dict[str, dict[str, pulumi.Output[str]]]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the network."""
        super().__init__(TYPE, name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._ways_out: dict[str, Route] = {}
        self._vpc = Vpc(
            f"{name}-vpc",
            cidr_block=args.cidr,
            assign_generated_ipv6_cidr_block=True,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._tags("vpc"),
            opts=self._child,
        )
        # EC2.2: the default group allows everything among its members; without rules nobody can use it by mistake.
        DefaultSecurityGroup(f"{name}-default-group", vpc_id=self._vpc.id, ingress=[], egress=[], tags=self._tags("default-group"), opts=self._child)
        subnets = {tier: {letter_of(zone): self._subnet(tier, zone) for zone in args.zones} for tier in TIERS}
        tables = self._routes(subnets)
        self._endpoints(subnets["application"], tables)
        self._flow_log()
        self.vpc_id = self._vpc.id
        self.subnet_ids = {tier: {f"{tier}-{letter}": self._usable(f"{tier}-{letter}", subnet) for letter, subnet in found.items()} for tier, found in subnets.items()}
        self.register_outputs({"vpc_id": self.vpc_id, "subnet_ids": self.subnet_ids})

    def _usable(self, key: str, subnet: Subnet) -> pulumi.Output[str]:
        """Return a subnet's id once it has its way out: AWS refuses a public balancer without one, and a server could not start."""
        return after(subnet.id, self._ways_out[key]) if key in self._ways_out else subnet.id

    def _tags(self, part: str) -> dict[str, str]:
        return tags(self._args.environment, f"{self._args.environment}-{part}")

    def _subnet(self, tier: str, zone: str) -> Subnet:
        part = f"{tier}-{letter_of(zone)}"
        return Subnet(
            f"{self._name}-{part}",
            vpc_id=self._vpc.id,
            availability_zone=zone,
            cidr_block=subnet_cidr(self._args.cidr, tier, zone),
            ipv6_cidr_block=self._vpc.ipv6_cidr_block.apply(lambda block: subnet_ipv6(block, tier, zone)),
            map_public_ip_on_launch=False,  # EC2.15: balancers and gateways bring their own addresses
            assign_ipv6_address_on_creation=tier == "application",
            tags={**self._tags(part), "Tier": tier},
            opts=self._child,
        )

    def _table(self, part: str, subnets: Mapping[str, Subnet]) -> RouteTable:
        """Make a route table for some subnets. Routes are resources of their own: a table with inline routes would drop the others."""
        table = RouteTable(f"{self._name}-{part}-routes", vpc_id=self._vpc.id, tags=self._tags(f"{part}-routes"), opts=self._child)
        for key, subnet in subnets.items():
            RouteTableAssociation(f"{self._name}-{key}-routed", route_table_id=table.id, subnet_id=subnet.id, opts=self._child)
        return table

    def _routes(self, subnets: Mapping[str, Mapping[str, Subnet]]) -> dict[str, RouteTable]:
        name, args = self._name, self._args
        internet = InternetGateway(f"{name}-internet", vpc_id=self._vpc.id, tags=self._tags("internet"), opts=self._child)
        outbound = EgressOnlyInternetGateway(f"{name}-ipv6-out", vpc_id=self._vpc.id, tags=self._tags("ipv6-out"), opts=self._child)
        public = self._table("public", {f"public-{letter}": subnet for letter, subnet in subnets["public"].items()})
        to_internet = Route(f"{name}-public-internet", route_table_id=public.id, destination_cidr_block="0.0.0.0/0", gateway_id=internet.id, opts=self._child)
        Route(f"{name}-public-internet-ipv6", route_table_id=public.id, destination_ipv6_cidr_block="::/0", gateway_id=internet.id, opts=self._child)
        letters = [letter_of(zone) for zone in args.zones]
        self._ways_out.update({f"public-{letter}": to_internet for letter in letters})
        gateways = {letter: self._nat_gateway(letter, subnets["public"][letter], internet) for letter in (letters if args.nat_per_zone else letters[:1])}
        tables: dict[str, RouteTable] = {}
        for letter in letters:
            table = self._table(f"application-{letter}", {f"application-{letter}": subnets["application"][letter]})
            gateway = gateways.get(letter, gateways[letters[0]])
            self._ways_out[f"application-{letter}"] = Route(
                f"{name}-application-{letter}-out", route_table_id=table.id, destination_cidr_block="0.0.0.0/0", nat_gateway_id=gateway.id, opts=self._child
            )
            Route(f"{name}-application-{letter}-out-ipv6", route_table_id=table.id, destination_ipv6_cidr_block="::/0", egress_only_gateway_id=outbound.id, opts=self._child)
            tables[f"application-{letter}"] = table
        tables["data"] = self._table("data", {f"data-{letter}": subnet for letter, subnet in subnets["data"].items()})
        return tables

    def _nat_gateway(self, letter: str, subnet: Subnet, internet: InternetGateway) -> NatGateway:
        address = Eip(f"{self._name}-nat-{letter}-address", domain="vpc", tags=self._tags(f"nat-{letter}"), opts=self._child)
        after = pulumi.ResourceOptions(parent=self, depends_on=[internet])
        return NatGateway(f"{self._name}-nat-{letter}", subnet_id=subnet.id, allocation_id=address.id, tags=self._tags(f"nat-{letter}"), opts=after)

    def _endpoints(self, subnets: Mapping[str, Subnet], tables: Mapping[str, RouteTable]) -> None:
        name, args = self._name, self._args
        VpcEndpoint(
            f"{name}-s3",
            vpc_id=self._vpc.id,
            service_name=f"com.amazonaws.{args.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in tables.values()],
            tags=self._tags("s3"),
            opts=self._child,
        )
        if not args.interface_endpoints:
            return
        group = SecurityGroup(f"{name}-endpoints", description="AWS's services inside the VPC", vpc_id=self._vpc.id, tags=self._tags("endpoints"), opts=self._child)
        SecurityGroupIngressRule(
            f"{name}-endpoints-from-vpc",
            security_group_id=group.id,
            description="HTTPS from the VPC",
            cidr_ipv4=args.cidr,
            ip_protocol="tcp",
            from_port=HTTPS_PORT,
            to_port=HTTPS_PORT,
            tags=self._tags("endpoints"),
            opts=self._child,
        )
        for service in args.interface_endpoints:
            part = service.replace(".", "-")
            VpcEndpoint(
                f"{name}-{part}",
                vpc_id=self._vpc.id,
                service_name=f"com.amazonaws.{args.region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=[subnet.id for subnet in subnets.values()],
                security_group_ids=[group.id],
                tags=self._tags(part),
                opts=self._child,
            )

    def _flow_log(self) -> None:
        name, args = self._name, self._args
        group = LogGroup(
            f"{name}-flow-logs", name=f"/{args.environment}/network/flow", retention_in_days=args.log_days, kms_key_id=args.log_key_arn, tags=self._tags("flow"), opts=self._child
        )
        role = Role(
            f"{name}-flow-role",
            description="VPC flow logs are written to CloudWatch",
            assume_role_policy=pulumi.Output.json_dumps(assumable_by("vpc-flow-logs.amazonaws.com")),
            tags=self._tags("flow"),
            opts=self._child,
        )
        permissions = RolePolicy(
            f"{name}-flow-permissions",
            role=role.name,
            policy=pulumi.Output.json_dumps(
                policy_document(
                    {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"], "Resource": pulumi.Output.concat(group.arn, ":*")},
                    {"Effect": "Allow", "Action": "logs:DescribeLogGroups", "Resource": "*"},  # takes no resource
                )
            ),
            opts=self._child,
        )
        FlowLog(
            f"{name}-flow",
            vpc_id=self._vpc.id,
            traffic_type="ALL",
            log_destination=group.arn,
            iam_role_arn=after(role.arn, permissions),
            max_aggregation_interval=600,
            tags=self._tags("flow"),
            opts=self._child,
        )
