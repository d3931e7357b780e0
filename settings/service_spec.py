"""What is true of a service in every environment. Each file in `services/` defines one ServiceSpec.

Nothing here imports pulumi, so that `./infra check` can read every service without an engine.
"""

from dataclasses import dataclass
from typing import Literal

ServerAccess = Literal["read", "read and write"]


@dataclass(frozen=True, kw_only=True)
class SharedLoadBalancerRule:
    """Requests reach the service through a rule of the environment's shared load balancer."""

    priority: int
    """When the load balancer tries this rule: 1 to 50000, lowest first.

    Each redirect takes one of the priorities that follow. `./infra check` refuses a priority that two rules have.
    """

    path: str | None = None
    """Path that the service receives together with everything below it, such as `/payments`. Default: every path.

    A rule with a path needs a lower priority than the rule that takes the whole host, or it never receives a request.
    """


@dataclass(frozen=True, kw_only=True)
class DedicatedLoadBalancer:
    """Requests reach the service through its own HTTPS load balancer, for long-lived connections such as WebSockets."""

    deregistration_delay_seconds: int
    """Seconds for which a server that is being removed keeps its open connections: 0 to 3600.

    Shorter than a typical connection, and every deployment disconnects clients; longer, and deployments take longer.
    """


@dataclass(frozen=True, kw_only=True)
class DedicatedNetworkLoadBalancer:
    """Connections reach the service through its own TCP load balancer, which passes them on unchanged."""

    ports: tuple[int, ...]
    """TCP ports that the load balancer listens on and the servers receive: 1 to 65535, each one once."""


LoadBalancing = SharedLoadBalancerRule | DedicatedLoadBalancer | DedicatedNetworkLoadBalancer


@dataclass(frozen=True, kw_only=True)
class Cdn:
    """A bucket of files behind CloudFront."""

    host: str
    """Label in front of the environment's domain, such as `static`. `./infra check` refuses a host that is taken."""

    server_access: ServerAccess
    """What the service's servers can do with the files. Writing includes deleting."""


@dataclass(frozen=True, kw_only=True)
class ServiceSpec:
    """One service, as it is in every environment."""

    name: str
    """Name of the service, its file and its component. It is part of every URN: renaming it recreates the service."""

    host: str
    """Label in front of the environment's domain, such as `members`. An empty string is the domain itself."""

    balancer: LoadBalancing
    """How requests reach the servers."""

    port: int = 8080
    """TCP port that the container listens on. Default: 8080.

    If the container listens on another port, its servers never become healthy and the deployment is rolled back. The
    ports of a network load balancer are in its own spec.
    """

    health_path: str = "/healthz"
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

    redirects: tuple[str, ...] = ()
    """Labels in front of the host whose HTTPS requests are redirected to it, such as `www`. Default: none.

    They need a SharedLoadBalancerRule: with a dedicated load balancer, their records exist, but nothing redirects.
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
