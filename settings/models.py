"""What a person may write in Pulumi.<environment>.yaml, as pydantic models.

Each field says what it means, its unit and where its limits come from. A field is in exactly one of Release (moves through
the environments whole) and Sizing (an environment's own). Nothing here knows pulumi.
"""

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """A part of a file: unknown keys are refused, and nothing is converted (16.10 is not "16.10")."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _domain(value: str) -> str:
    if not re.fullmatch(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", value):
        message = "is not a DNS name in lower-case ASCII, such as beta.100xglobal.com"
        raise ValueError(message)
    return value


def _vpc_cidr(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        message = f"is not an IPv4 range ({error}); write one such as 10.20.0.0/16"
        raise ValueError(message) from None
    if not 16 <= network.prefixlen <= 23:  # noqa: PLR2004 see below
        message = f"is a /{network.prefixlen}; AWS takes /16 to /28 for a VPC, and its 32 subnets of at least /28 need a /23 or larger"
        raise ValueError(message)
    if str(network) != value:
        message = f"must be written {network}"
        raise ValueError(message)
    if not any(network.subnet_of(ipaddress.IPv4Network(private)) for private in RFC_1918):
        message = "is not private (RFC 1918); servers would not reach the real owners of these addresses"
        raise ValueError(message)
    return value


def _any_cidr(value: str) -> str:
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        message = f"is not an IP range ({error})"
        raise ValueError(message) from None
    if str(network) != value:
        message = f"must be written {network}"
        raise ValueError(message)
    return value


def _distinct(values: list[str]) -> list[str]:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        message = f"holds {', '.join(twice)} twice: each makes a resource of its name, and there can be one"
        raise ValueError(message)
    return values


def _email(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._%+-]+@([A-Za-z0-9-]+\.)+[A-Za-z]{2,63}", value):
        message = "is not an e-mail address"
        raise ValueError(message)
    return value


def _zone(value: str) -> str:
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d[a-h]", value):
        message = "is not an availability zone, such as us-east-1a"
        raise ValueError(message)
    return value


def _image(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9.:-]+/[a-z0-9._/-]+@sha256:[0-9a-f]{64}", value):
        message = "is not an image by digest: a tag can move, so that two servers of one release run different code. Write registry/name@sha256:<64 hexadecimal digits>"
        raise ValueError(message)
    return value


RFC_1918 = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
Email = Annotated[str, AfterValidator(_email)]
Cidr = Annotated[str, AfterValidator(_any_cidr)]
Zone = Annotated[str, AfterValidator(_zone)]
Domain = Annotated[str, AfterValidator(_domain)]
InterfaceEndpoint = Literal["ssm", "ssmmessages", "ec2messages", "ecr.api", "ecr.dkr", "logs", "secretsmanager", "kms"]


class Network(Strict):
    """The environment's VPC."""

    cidr: Annotated[str, AfterValidator(_vpc_cidr)] = Field(description="IPv4 range of the VPC, /16 to /23, not overlapping another environment's.")
    zones: list[Zone] = Field(min_length=2, max_length=6, description="Availability zones; two at the least, as balancers and databases need them.")
    nat: Literal["single", "per_zone"] = Field("single", description="One NAT gateway for all zones, or one each, so that a zone's failure stops no other zone.")
    interface_endpoints: Annotated[list[InterfaceEndpoint], AfterValidator(_distinct)] = Field(
        default_factory=list, description="AWS services reached without the internet, each about 7 USD a month and zone; the others go through the NAT gateway."
    )


class Access(Strict):
    """Who reaches the public balancers."""

    allow: Annotated[list[Cidr], AfterValidator(_distinct)] = Field(
        default_factory=lambda: ["0.0.0.0/0", "::/0"], min_length=1, description="IP ranges that may connect to the public balancers."
    )


class Durability(Strict):
    """What the environment's data survives."""

    backup_days: int = Field(ge=1, le=35, description="Days that automatic backups are kept (RDS: 1 to 35).")
    recovery_point_minutes: int = Field(60, ge=5, description="How much work may be lost at most; RDS backs up its log every 5 minutes.")
    recovery_time_minutes: int = Field(240, ge=1, description="How long recovery may take at most.")
    protect_data: bool = Field(default=True, description="Whether databases and buckets refuse to be deleted, on AWS and in Pulumi. Only false where data may be lost at any time.")


class Dns(Strict):
    """The environment's zone."""

    delegations: dict[str, list[str]] = Field(
        default_factory=dict, description="Sub-domains with a zone of their own (label: name servers), as other environments' output `name_servers` gives them."
    )


class Operations(Strict):
    """Who runs the environment."""

    alarm_emails: Annotated[list[Email], AfterValidator(_distinct)] = Field(default_factory=list, description="Addresses that get the alarms; each must confirm its subscription.")
    github_repository: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", description="owner/name of the repository whose workflows may deploy; without it no deploy roles are made."
    )
    log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731] = Field(365, description="Days that logs are kept; CloudWatch takes these values only.")


class Environment(Strict):
    """One environment: what its services share."""

    domain: Domain = Field(description="The domain below which the environment's hosts are.")
    network: Network
    access: Access = Field(default_factory=Access)
    durability: Durability
    dns: Dns = Field(default_factory=Dns)
    operations: Operations = Field(default_factory=Operations)


class WebSocket(Strict):
    """How a release keeps its connections open."""

    ping_interval_seconds: int = Field(ge=1, description="How often the server pings each client.")
    idle_timeout_seconds: int = Field(ge=1, le=4000, description="When the balancer drops a silent connection (AWS: 1 to 4000); more than twice the ping interval.")


class Release(Strict):
    """What a service's team built, once. The same release moves through the environments, whole."""

    version: str = Field(pattern=r"^\d+\.\d+\.\d+([-+][0-9A-Za-z.-]+)?$", description="The release's semantic version.")
    architecture: Literal["arm64", "x86_64"] = Field("arm64", description="What image and machine_image are built for; each environment's instance types must be of it.")
    image: Annotated[str, AfterValidator(_image)] = Field(description="The container image, by digest.")
    machine_image: str = Field(pattern=r"^ami-([0-9a-f]{8}|[0-9a-f]{17})$", description="The AMI that the servers start from.")
    database_engine: str | None = Field(None, pattern=r"^\d{2}\.\d+$", description='PostgreSQL version, in quotes: "16.9".')
    environment_variables: dict[str, str] = Field(
        default_factory=dict, description="Settings that belong to this version. Never a secret: they are readable on the servers and in the state."
    )
    websocket: WebSocket | None = Field(None, description="For services on a balancer of their own that keep connections open.")


class Instances(Strict):
    """How many servers."""

    minimum: int = Field(ge=1, le=500, description="Servers that always run.")
    maximum: int = Field(ge=1, le=500, description="Servers that scaling may reach.")


class FromSnapshot(Strict):
    """Existing data that a new database starts from. Changing it replaces the database."""

    snapshot: str = Field(
        pattern=r"^(arn:aws:rds:[a-z0-9-]+:\d{12}:snapshot:)?[A-Za-z][A-Za-z0-9:-]{0,254}$",
        description="Identifier of an RDS snapshot, or the ARN of one shared by another account.",
    )


class FromPointInTime(Strict):
    """Another instance's data at a time. Changing it replaces the database."""

    instance: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$", description="Identifier of the RDS instance, in the same account and region.")
    time: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$", description="UTC, such as 2026-11-23T18:00:00Z; within the instance's backups.")


class DatabaseSizing(Strict):
    """How large a database."""

    instance_class: str = Field(alias="class", pattern=r"^db\.[a-z0-9]+\.[a-z0-9]+$", description="RDS instance class, such as db.t4g.medium.")
    storage_gb: int = Field(ge=20, le=65536, description="Storage at the start (RDS gp3: 20 to 65536 GB).")
    maximum_storage_gb: int | None = Field(None, ge=20, le=65536, description="How far RDS may grow the storage by itself; twice storage_gb where left out.")
    restore: FromSnapshot | None = Field(None, description="Start from a snapshot's data, as staging does from prod's; empty where left out.")
    restore_to_time: FromPointInTime | None = Field(None, description="Start from another instance's data at a time; not beside restore.")
    allow_major_upgrade: bool = Field(
        default=False, description="Whether database_engine may go to a new major version here: an upgrade with downtime, without a way back but a restore."
    )
    multi_az: bool = Field(description="Whether a standby in another zone takes over when the first fails.")


class Sizing(Strict):
    """What differs by environment and is never promoted."""

    instance_type: str = Field(pattern=r"^[a-z0-9-]+\.[a-z0-9]+$", description="EC2 instance type, of the machine image's architecture.")
    instances: Instances
    deploy_despite_alarms: bool = Field(
        default=False, description="Whether a release is rolled out although the service's alarms ring, as the one that mends it must be. Back to false afterwards."
    )
    disk_gb: int = Field(30, ge=8, le=16384, description="Size of each server's disk.")
    database: DatabaseSizing | None = None


class Service(Strict):
    """One service in one environment."""

    enabled: bool = Field(default=True, description="false declares the service and makes nothing of it.")
    release: Release
    sizing: Sizing


class Settings(Strict):
    """One environment's file."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,9}$", description="The stack's name; at most 10 characters, as it stands in names that AWS limits.")
    account_id: str = Field(pattern=r"^\d{12}$")
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    environment: Environment
    services: dict[str, Service]

    def enabled_services(self) -> dict[str, Service]:
        """Return the services that are switched on, by name and in the order of their names: the file's order changes nothing."""
        return {name: service for name, service in sorted(self.services.items()) if service.enabled}
