"""What is true of a service in every environment. Each file in `services/` defines one ServiceSpec.

Nothing here imports pulumi, so that `./infra check` can read every service without an engine.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

INVALID: Literal["invalid"] = "invalid"  # the type of the errors whose message is complete
STRICT = ConfigDict(extra="forbid", strict=True)
SERVICE_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1035 and RFC 1123, in lower case
PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
LONGEST_PATH = 126  # Elastic Load Balancing: 128 characters for a path condition, and `/*` is appended to it
LONGEST_HEALTH_PATH = 1024  # Elastic Load Balancing API reference, CreateTargetGroup
MOST_LISTENERS = 50  # Elastic Load Balancing: listeners of a network load balancer

ServerAccess = Literal["read", "read and write"]


def _check(value: str, *, is_valid: bool, advice: str) -> str:
    """Return a value, or raise the error that pydantic reports."""
    if not is_valid:
        raise PydanticCustomError(INVALID, f"{value!r} {advice}".replace("{", "{{").replace("}", "}}"))
    return value


def _name(value: str) -> str:
    advice = "cannot be the name of a service. Use lower-case letters, digits and hyphens, starting with a letter."
    return _check(value, is_valid=SERVICE_NAME.fullmatch(value) is not None, advice=advice)


def _label(value: str) -> str:
    advice = (
        "is not a single DNS label: 1 to 63 lower-case letters, digits and hyphens, without a hyphen at either end. "
        "The environment's domain is added to it."
    )
    return _check(value, is_valid=LABEL.fullmatch(value) is not None, advice=advice)


def _label_or_domain(value: str) -> str:
    return _label(value) if value else value


def _path(value: str) -> str:
    advice = (
        f"is not a path such as /payments: at most {LONGEST_PATH} letters, digits and . _ ~ - after each slash, and no "
        "slash at the end. It includes everything below it. Without a path, the service receives every path."
    )
    is_valid = PATH.fullmatch(value) is not None and len(value) <= LONGEST_PATH
    return _check(value, is_valid=is_valid, advice=advice)


def _health_path(value: str) -> str:
    is_valid = re.fullmatch(r"/[\x21-\x7e]*", value) is not None and len(value) <= LONGEST_HEALTH_PATH
    return _check(value, is_valid=is_valid, advice="is not a path such as /healthz, without spaces.")


def _distinct(values: tuple[object, ...]) -> tuple[object, ...]:
    if len(set(values)) < len(values):
        raise PydanticCustomError(INVALID, "lists a value more than once.")
    return values


def _check_tls_ports(tls_ports: tuple[int, ...], ports: tuple[int, ...]) -> None:
    unknown = sorted(set(tls_ports) - set(ports))
    if unknown:
        raise PydanticCustomError(INVALID, f"tls_ports has {unknown}, which are not among the ports.")


Label = Annotated[str, AfterValidator(_label)]
Port = Annotated[int, Field(ge=1, le=65535)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SharedLoadBalancerRule:
    """Requests reach the service through a rule of the environment's shared load balancer."""

    priority: Annotated[int, Field(ge=1, le=50000)]
    """When the load balancer tries this rule: 1 to 50000, lowest first.

    Each redirect takes one of the priorities that follow. `./infra check` refuses a priority that two rules have.
    """

    path: Annotated[str, AfterValidator(_path)] | None = None
    """Path that the service receives together with everything below it, such as `/payments`. Default: every path.

    A rule with a path needs a lower priority than the rule that takes the whole host, or it never receives a request.
    """


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DedicatedLoadBalancer:
    """Requests reach the service through its own HTTPS load balancer, for long-lived connections such as WebSockets."""

    deregistration_delay_seconds: Annotated[int, Field(ge=0, le=3600)]
    """Seconds for which a server that is being removed keeps its open connections: 0 to 3600.

    Shorter than a typical connection, and every deployment disconnects clients; longer, and deployments take longer.
    """


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DedicatedNetworkLoadBalancer:
    """Connections reach the service through its own TCP load balancer, over IPv4, and keep the client's address.

    It does not listen on IPv6, because AWS would translate the connections, and servers would see the load balancer's
    address in place of the client's: a mail server that trusts its network would relay for everybody.
    """

    ports: Annotated[tuple[Port, ...], Field(min_length=1, max_length=MOST_LISTENERS), AfterValidator(_distinct)]
    """TCP ports that the load balancer listens on and the servers receive: 1 to 50 of them, 1 to 65535, each once."""

    tls_ports: Annotated[tuple[Port, ...], AfterValidator(_distinct)] = ()
    """Those of the ports on which clients speak TLS from the first byte, such as 465. Default: none.

    The load balancer has a certificate for the service's host, and the servers receive what it has decrypted. For
    protocols that begin without TLS, such as STARTTLS on port 587, the container needs a certificate of its own.
    """

    def __post_init__(self) -> None:
        """Refuse TLS on a port that nobody listens on."""
        _check_tls_ports(self.tls_ports, self.ports)


LoadBalancing = SharedLoadBalancerRule | DedicatedLoadBalancer | DedicatedNetworkLoadBalancer


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Cdn:
    """A bucket of files behind CloudFront."""

    host: Label
    """Label in front of the environment's domain, such as `static`. `./infra check` refuses a host that is taken."""

    server_access: ServerAccess
    """What the service's servers can do with the files. Writing includes deleting."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ServiceSpec:
    """One service, as it is in every environment."""

    name: Annotated[str, AfterValidator(_name)]
    """Name of the service, its file and its component. It is part of every URN: renaming it recreates the service."""

    host: Annotated[str, AfterValidator(_label_or_domain)]
    """Label in front of the environment's domain, such as `members`. An empty string is the domain itself."""

    balancer: LoadBalancing
    """How requests reach the servers."""

    port: Port = 8080
    """TCP port that the container listens on. Default: 8080.

    If the container listens on another port, its servers never become healthy and the deployment is rolled back. The
    ports of a network load balancer are in its own spec.
    """

    health_path: Annotated[str, AfterValidator(_health_path)] = "/healthz"
    """Path that answers 200 when the server can take requests. Default: `/healthz`.

    A server that answers anything else is replaced. A network load balancer only opens a connection instead.
    """

    has_database: bool = True
    """Whether the service has a PostgreSQL database. Default: true.

    Setting it to False later deletes the database, unless the environment protects data.
    """

    owns_host: bool = True
    """Whether this service creates the host's record. Default: true.

    `./infra check` refuses a host that no service owns, or two.
    """

    redirects: Annotated[tuple[Label, ...], AfterValidator(_distinct)] = ()
    """Labels in front of the host whose HTTPS requests are redirected to it, such as `www`. Default: none.

    They need a SharedLoadBalancerRule, and a host that is the domain itself: the certificate covers no host two levels
    below the domain. `./infra check` refuses other redirects.
    """

    cdn: Cdn | None = None
    """The service's files behind CloudFront. Default: none.

    Removing it later deletes the bucket, unless the environment protects data.
    """

    sends_mail: bool = False
    """Whether the service gets an SES identity for its host and the records that mail needs. Default: false."""

    def hosts(self) -> tuple[str, ...]:
        """Return the hosts whose records the service creates, without the environment's domain."""
        own = (self.host,) if self.owns_host else ()
        redirects = tuple(f"{label}.{self.host}".strip(".") for label in self.redirects)
        return (*own, *redirects, *((self.cdn.host,) if self.cdn else ()))

    def host_in(self, domain: str) -> str:
        """Return the service's full host name in an environment's domain."""
        return f"{self.host}.{domain}" if self.host else domain

    def redirect_hosts_in(self, domain: str) -> tuple[str, ...]:
        """Return the full names of the hosts that are redirected to the service's host."""
        return tuple(f"{label}.{self.host_in(domain)}" for label in self.redirects)

    def address_in(self, domain: str) -> str:
        """Return where clients find the service: a URL, or host and ports if it speaks TCP."""
        host = self.host_in(domain)
        if isinstance(self.balancer, DedicatedNetworkLoadBalancer):
            return f"{host}:{', '.join(map(str, self.balancer.ports))}"
        path = self.balancer.path if isinstance(self.balancer, SharedLoadBalancerRule) else None
        return f"https://{host}{path or ''}"
