"""The pydantic models of `Pulumi.<environment>.yaml`.

The description of a field says what it means, its unit, what happens if it is wrong, and where its limits come from.
`./infra explain` and the editors' schema show it. Every field of a service is either in Release, which is promoted as a
whole, or in Sizing, which each environment has for itself. Nothing here imports pulumi.
"""

import ipaddress
import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from settings.problems import Rule

LARGEST_VPC_PREFIX, SMALLEST_VPC_PREFIX = 16, 23
LARGEST_STORAGE_GB = 65536  # RDS user guide, "General Purpose SSD storage": the limit of gp3 for PostgreSQL
DOCKER_NETWORK = "172.17.0.0/16"  # Docker's default bridge
RFC_1918 = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")


class Strict(BaseModel):
    """A part of a file. Unknown keys are refused, and no value is converted (16.10 is not "16.10")."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _error(rule: Rule, message: str) -> PydanticCustomError:
    """Return an error that pydantic reports with the rule as its type."""
    return PydanticCustomError(rule, message)


def _domain(value: str) -> str:
    if not re.fullmatch(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", value):
        message = f"{value!r} is not a DNS name in lower-case ASCII, such as beta.100xglobal.com."
        raise _error(Rule.INVALID_DOMAIN, message)
    return value


def _vpc_cidr(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        message = f"{value!r} is not an IPv4 range ({error}). Use one such as 10.20.0.0/16."
        raise _error(Rule.INVALID_NETWORK, message) from None
    if not LARGEST_VPC_PREFIX <= network.prefixlen <= SMALLEST_VPC_PREFIX:
        message = (
            f"{value!r} must be between a /16 and a /23. AWS allows /16 to /28 for a VPC, "
            "and the 32 subnets in it, each a /28 or larger, need at least a /23."
        )
        raise _error(Rule.INVALID_NETWORK_SIZE, message)
    if str(network) != value:
        raise _error(Rule.NON_CANONICAL_NETWORK, f"{value!r} must be written as {network}.")
    if network.overlaps(ipaddress.IPv4Network(DOCKER_NETWORK)):
        message = (
            f"{value!r} overlaps {DOCKER_NETWORK}, which Docker uses on every server, so servers could not reach each "
            "other there. Use another range."
        )
        raise _error(Rule.RESERVED_NETWORK, message)
    if not any(network.subnet_of(ipaddress.IPv4Network(private)) for private in RFC_1918):
        message = (
            f"{value!r} is not private, and servers could not reach the real owners of these addresses. "
            f"Use a range within {', '.join(RFC_1918)} (RFC 1918)."
        )
        raise _error(Rule.PUBLIC_NETWORK, message)
    return value


def _time(value: str) -> str:
    try:
        datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        message = f"{value!r} is not a time in UTC, such as 2026-11-23T18:00:00Z."
        raise _error(Rule.INVALID_TIME, message) from None
    return value


def _any_cidr(value: str) -> str:
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        message = f"{value!r} is not an IP range ({error}). Use one such as 203.0.113.0/24."
        raise _error(Rule.INVALID_IP_RANGE, message) from None
    if str(network) != value:
        raise _error(Rule.NON_CANONICAL_NETWORK, f"{value!r} must be written as {network}.")
    return value


def _distinct(values: list[str]) -> list[str]:
    duplicates = sorted({value for value in values if values.count(value) > 1})
    if duplicates:
        message = f"must not list {', '.join(duplicates)} more than once: each entry becomes one resource."
        raise _error(Rule.DUPLICATE_ITEM, message)
    return values


def _email(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._%+-]+@([A-Za-z0-9-]+\.)+[A-Za-z]{2,63}", value):
        raise _error(Rule.INVALID_EMAIL, f"{value!r} is not an email address.")
    return value


def _zone(value: str) -> str:
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-[0-9][a-h]", value):
        raise _error(Rule.INVALID_ZONE, f"{value!r} is not an availability zone, such as us-east-1a.")
    return value


def _image(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9.:-]+/[a-z0-9._/-]+@sha256:[0-9a-f]{64}", value):
        message = (
            f"{value!r} does not name an image by its digest. A tag can move, and then two servers of one release "
            "would run different code. Use registry/name@sha256:<64 hexadecimal digits>."
        )
        raise _error(Rule.IMAGE_WITHOUT_DIGEST, message)
    return value


def _record_host(value: str) -> str:
    label = r"_?[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?"
    if value != "@" and not re.fullmatch(rf"(?=.{{1,180}}$){label}(\.{label})*", value):
        message = f"{value!r} is not a host below the environment's domain in lower-case ASCII, such as _dmarc, or @."
        raise _error(Rule.INVALID_DNS_RECORD, message)
    return value


def _dns_label(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", value):
        message = f"{value!r} is not a label of lower-case letters, digits and hyphens, such as company-mail."
        raise _error(Rule.INVALID_DNS_RECORD, message)
    return value


Email = Annotated[str, AfterValidator(_email)]
Cidr = Annotated[str, AfterValidator(_any_cidr)]
Zone = Annotated[str, AfterValidator(_zone)]
Domain = Annotated[str, AfterValidator(_domain)]
DnsLabel = Annotated[str, AfterValidator(_dns_label)]
InterfaceEndpoint = Literal["ssm", "ssmmessages", "ec2messages", "ecr.api", "ecr.dkr", "logs", "secretsmanager", "kms"]


class Network(Strict):
    """The environment's VPC."""

    cidr: Annotated[str, AfterValidator(_vpc_cidr)] = Field(
        description="IPv4 range of the VPC: private (RFC 1918), /16 to /23, and not overlapping any other "
        "environment's. It cannot be changed later without recreating the network."
    )
    zones: list[Zone] = Field(
        min_length=2,
        max_length=6,
        description="Availability zones, such as us-east-1a, in the environment's region. At least two, because load "
        "balancers and databases need subnets in two zones.",
    )
    nat: Literal["single", "per_zone"] = Field(
        "single",
        description="`single`: all zones share one NAT gateway, and if its zone fails, no server can reach the "
        "internet. `per_zone`: each zone has its own, at a higher cost.",
    )
    interface_endpoints: Annotated[list[InterfaceEndpoint], AfterValidator(_distinct)] = Field(
        [],
        description="AWS services that servers reach through an endpoint in the VPC, each for about 7 USD per month "
        "and zone. All other AWS services are reached through the NAT gateway.",
    )


class Access(Strict):
    """Who can connect to the public load balancers."""

    allow: Annotated[list[Cidr], AfterValidator(_distinct)] = Field(
        ["0.0.0.0/0", "::/0"],
        min_length=1,
        description="IPv4 and IPv6 ranges that can connect to the public load balancers. The default is everyone.",
    )


class Durability(Strict):
    """How well the environment's data is protected, and how quickly it can be recovered."""

    backup_days: int = Field(
        ge=1,
        le=35,
        description="Days for which RDS keeps automatic backups. RDS allows up to 35; 0 would turn backups off.",
    )
    recovery_point_minutes: int = Field(
        60,
        ge=5,
        description="Recovery point objective: how many minutes of work may be lost. At least 5, because RDS uploads "
        "transaction logs every 5 minutes.",
    )
    recovery_time_minutes: int = Field(
        240,
        ge=1,
        description="Recovery time objective: how many minutes recovery may take. A database without a standby is "
        "refused if restoring it is estimated to take longer.",
    )
    # One setting for Pulumi's protect, AWS's deletion protection, final snapshots and force_destroy, so that no data is
    # only partly protected.
    protect_data: bool = Field(
        default=True,
        description="Whether AWS and Pulumi refuse to delete databases, buckets, keys and the zone. Set it to false "
        "only where data may be lost at any time.",
    )


class DnsRecord(Strict):
    """A record of the environment's zone that belongs to no service."""

    host: Annotated[str, AfterValidator(_record_host)] = Field(
        "@", description="The host below the environment's domain, such as _dmarc; @ is the domain itself."
    )
    type: Literal["A", "AAAA", "CNAME", "MX", "SRV", "TXT"] = Field(
        description="The record's type. Name servers of subdomains are in `delegations`, and the zone has CAA records."
    )
    values: Annotated[list[str], Field(min_length=1), AfterValidator(_distinct)] = Field(
        description="The record's values, as DNS writes them: an MX has its priority in front, such as 10 "
        "mail.example.com. Texts are written without quotes."
    )
    ttl_seconds: int = Field(
        3600, ge=60, le=172800, description="Seconds for which resolvers keep the record: a minute to two days."
    )


class Dns(Strict):
    """The environment's DNS zone."""

    delegations: dict[str, list[str]] = Field(
        {},
        description="Subdomains that have their own zone: the label, such as beta, and its name servers, at least two. "
        "Copy them from the output `name_servers` of the other environment.",
    )
    records: dict[DnsLabel, DnsRecord] = Field(
        {},
        description="Records that belong to no service, such as those of the company's mail, by a label of yours. By "
        "default, the domain itself sends and receives no mail: it has a null MX, SPF and DMARC records that say so. A "
        "record of the same host and type replaces each of them.",
    )


class Operations(Strict):
    """How the environment is operated."""

    alarm_emails: Annotated[list[Email], AfterValidator(_distinct)] = Field(
        [], description="Addresses that alarms are sent to. Each one must confirm its subscription first."
    )
    github_repository: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$",
        description="The GitHub repository, owner/name, whose workflows can deploy. Without it, no deploy "
        "roles are created.",
    )
    log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731] = Field(
        365, description="Days for which logs are kept. CloudWatch allows only these values."
    )


class Environment(Strict):
    """What the services of one environment share."""

    domain: Domain = Field(
        description="The environment's domain. Every service's host is a subdomain of it or the domain itself."
    )
    network: Network
    access: Access = Access()
    durability: Durability
    dns: Dns = Dns()
    operations: Operations = Operations()


class WebSocket(Strict):
    """How a release keeps WebSocket connections open."""

    ping_interval_seconds: int = Field(
        ge=1, description="Seconds between two pings that the server sends to each client."
    )
    idle_timeout_seconds: int = Field(
        ge=1,
        le=4000,
        description="Seconds after which the load balancer closes a silent connection. It must be more than twice the "
        "ping interval, or one lost ping closes a live connection. AWS allows 1 to 4000.",
    )


class Release(Strict):
    """What a service's team built, once. It is promoted from environment to environment as a whole."""

    version: str = Field(
        pattern=r"^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.-]+)?$", description="Semantic version of the release."
    )
    architecture: Literal["arm64", "x86_64"] = Field(
        "arm64",
        description="The processor architecture that image and machine_image are built for. Servers of another "
        "architecture would not start, so each environment's instance type must match.",
    )
    image: Annotated[str, AfterValidator(_image)] = Field(
        description="The container image by its digest: registry/name@sha256:<64 hexadecimal digits>. A tag is refused "
        "because it can move."
    )
    machine_image: str = Field(
        pattern=r"^ami-([0-9a-f]{8}|[0-9a-f]{17})$",
        description="ID of the AMI that the servers boot from: an image of "
        "Amazon Linux 2023, or one that contains Docker and the credential helper for ECR.",
    )
    database_engine: str | None = Field(
        None,
        pattern=r"^[0-9]{2}\.[0-9]+$",
        description='PostgreSQL version in quotes, such as "16.13". Required if the service has a database.',
    )
    environment_variables: dict[str, str] = Field(
        {},
        description="Settings that belong to this version, as the containers' environment variables. Never put a "
        "secret here: they can be read in the repository, in Pulumi's state and on the servers.",
    )
    websocket: WebSocket | None = Field(
        None,
        description="Required if the service has a dedicated load balancer for WebSockets; otherwise without effect.",
    )


class Instances(Strict):
    """How many servers a service has."""

    minimum: int = Field(ge=1, le=500, description="Number of servers that always run.")
    maximum: int = Field(
        ge=1, le=500, description="Number of servers that automatic scaling can reach. Not below the minimum."
    )


class FromSnapshot(Strict):
    """The snapshot that a new database starts from. Changing it replaces the database."""

    snapshot: str = Field(
        pattern=r"^(arn:aws:rds:[a-z0-9-]+:[0-9]{12}:snapshot:)?[A-Za-z][A-Za-z0-9:-]{0,254}$",
        description="Identifier of an RDS snapshot, or the ARN of a snapshot that another account shares.",
    )


class FromPointInTime(Strict):
    """The database and the time whose data a new database starts from. Changing it replaces the database."""

    instance: str = Field(
        pattern=r"^[a-z][a-z0-9-]{0,62}$",
        description="Identifier of the source RDS instance, in the same account and region.",
    )
    time: Annotated[str, AfterValidator(_time)] = Field(
        description="Time in UTC, such as 2026-11-23T18:00:00Z. The source instance's backups must cover it.",
    )


class DatabaseSizing(Strict):
    """The size of a service's database."""

    instance_class: str = Field(
        alias="class", pattern=r"^db\.[a-z0-9]+\.[a-z0-9]+$", description="RDS instance class, such as db.t4g.medium."
    )
    storage_gb: int = Field(
        ge=20, le=65536, description="Initial storage in GB. RDS allows 20 to 65536 for gp3, and never shrinks storage."
    )
    maximum_storage_gb: int | None = Field(
        None,
        ge=20,
        le=65536,
        description="Storage in GB that RDS can grow to by itself: at least 10% above storage_gb. By default twice "
        "storage_gb.",
    )
    restore: FromSnapshot | None = Field(
        None,
        description="Create the database from a snapshot, as staging does from prod's. By default it starts empty. "
        "Adding or changing it replaces the database.",
    )
    restore_to_time: FromPointInTime | None = Field(
        None,
        description="Create the database with the data that another one had at a point in time. It cannot be combined "
        "with restore. Adding or changing it replaces the database.",
    )
    allow_major_upgrade: bool = Field(
        default=False,
        description="Whether a change of database_engine may upgrade to a new major version. Such an upgrade causes "
        "downtime and can only be undone by a restore.",
    )
    multi_az: bool = Field(
        description="Whether RDS keeps a standby in another zone that takes over if the first zone fails."
    )

    @property
    def storage_limit_gb(self) -> int:
        """Return the storage in GB that RDS can grow to: maximum_storage_gb, or twice storage_gb by default."""
        return self.maximum_storage_gb or min(2 * self.storage_gb, LARGEST_STORAGE_GB)

    @property
    def restore_source(self) -> FromSnapshot | FromPointInTime | None:
        """Return what the database starts from, or None if it starts empty."""
        return self.restore or self.restore_to_time


class Sizing(Strict):
    """What a service needs in one environment. It is never promoted."""

    instance_type: str = Field(
        pattern=r"^[a-z0-9-]+\.[a-z0-9]+$",
        description="EC2 instance type, such as t4g.small. Its architecture must be the release's.",
    )
    instances: Instances
    deploy_despite_alarms: bool = Field(
        default=False,
        description="Whether a release is deployed although the service's alarms are firing, such as the release that "
        "fixes their cause. Set it back to false afterwards, or no alarm stops a bad release.",
    )
    disk_gb: int = Field(
        30,
        ge=8,
        le=16384,
        description="Size in GB of each server's root volume. EBS allows up to 16384 for gp3.",
    )
    database: DatabaseSizing | None = Field(
        None, description="The size of the database. Required if the service has one, otherwise refused."
    )


class Service(Strict):
    """One service in one environment."""

    enabled: bool = Field(
        default=True,
        description="Whether the service runs in this environment. If false, the block is checked, and no resources "
        "are created; the resources of a service that was enabled are deleted.",
    )
    release: Release
    sizing: Sizing


class Settings(Strict):
    """Everything in one environment file."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9-]{0,9}$",
        description="Name of the environment and its stack. At most 10 characters, because AWS limits the names that "
        "contain it.",
    )
    account_id: str = Field(pattern=r"^[0-9]{12}$", description="ID of the environment's AWS account.")
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$", description="AWS region, such as us-east-1.")
    environment: Environment
    services: dict[str, Service]

    def enabled_services(self) -> dict[str, Service]:
        """Return the enabled services sorted by name, so that the order of a file changes no resource."""
        return {name: service for name, service in sorted(self.services.items()) if service.enabled}
