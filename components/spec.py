"""What a service says of itself, as plain data: `services/*.py` hold one ServiceSpec each.

Nothing here imports pulumi, so that `./infra check` can read every service without an engine.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class FrontDoorRoute:
    """A rule of the environment's shared HTTPS balancer.

    priority: 1 to 50000, unique in an environment; the lower is asked first.
    path: a path such as `/payments`, taken with all that is below it; None takes every path of the host.
    """

    priority: int
    path: str | None = None


@dataclass(frozen=True)
class OwnBalancer:
    """An HTTPS balancer of the service's own, for long-lived connections.

    slow_drain_seconds: how long a server that leaves keeps its open connections (AWS allows 0 to 3600).
    """

    slow_drain_seconds: int


@dataclass(frozen=True)
class OwnNetworkBalancer:
    """A TCP balancer of the service's own; listens on these ports and passes each on unchanged."""

    ports: tuple[int, ...]


@dataclass(frozen=True)
class Cdn:
    """A bucket behind CloudFront at `<host>.<the environment's domain>`.

    servers_may: what the service's own servers may do with the files.
    """

    host: str
    servers_may: Literal["read", "read and write"]


@dataclass(frozen=True)
class ServiceSpec:
    """One service.

    host: the label before the environment's domain; an empty text is the domain itself (the apex).
    balancer: how requests reach the servers.
    port: where the container listens, for an HTTP service.
    health_path: answers 200 when the server can take requests.
    owns_host: whether this service makes the host's record; exactly one service of a host does.
    redirects: hosts that are redirected to this service's host.
    sends_mail: whether it gets an SES identity for its host, with DKIM, SPF, DMARC, MAIL FROM and MX.
    """

    name: str
    host: str
    balancer: FrontDoorRoute | OwnBalancer | OwnNetworkBalancer
    port: int = 8080
    health_path: str = "/healthz"
    has_database: bool = True
    owns_host: bool = True
    redirects: tuple[str, ...] = ()
    cdn: Cdn | None = None
    sends_mail: bool = False

    def host_in(self, domain: str) -> str:
        """Return the service's full host name in an environment's domain."""
        return f"{self.host}.{domain}" if self.host else domain
