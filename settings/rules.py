"""What a model alone cannot know: what must fit together within an environment, and between environments."""

import ipaddress
import itertools
from collections.abc import Iterator, Mapping

from components.spec import FrontDoorRoute, OwnBalancer, ServiceSpec
from settings.document import Document
from settings.models import Service, Settings
from settings.problems import Location, Problem, nearest

ENVIRONMENT: Location = ("config", "100xglobal:environment")
SERVICES: Location = ("config", "100xglobal:services")
SERVICE_NAME_LIMIT = 11  # `<service>-servers-http` and a suffix of 8 stay within the 32 characters of a target group's name


def within(settings: Settings, document: Document, specs: Mapping[str, ServiceSpec]) -> list[Problem]:
    """Return what does not fit together in one environment."""
    problems: list[Problem] = []

    def refuse(location: Location, message: str) -> None:
        base = ENVIRONMENT if location[0] == "environment" else SERVICES
        problems.append(document.problem((*base, *location[1:]), message, location))

    for location, message in itertools.chain(network(settings), services(settings, specs)):
        refuse(location, message)
    return problems


def network(settings: Settings) -> Iterator[tuple[Location, str]]:
    """Yield what is wrong with the zones."""
    zones = settings.environment.network.zones
    for index, zone in enumerate(zones):
        if zone[:-1] != settings.region:
            yield ("environment", "network", "zones", index), f"{zone!r} is not in {settings.region}, where this environment is"
        if zone in zones[:index]:
            yield ("environment", "network", "zones", index), f"{zone!r} stands twice; a zone has one subnet of each kind"


def services(settings: Settings, specs: Mapping[str, ServiceSpec]) -> Iterator[tuple[Location, str]]:
    """Yield what is wrong with the services."""
    for name, service in settings.services.items():
        spec = specs.get(name)
        if spec is None:
            guess = nearest(name, specs)
            yield ("services", name), f"is not a service{f'; did you mean {guess!r}?' if guess else ''} Services are the files in services/: {', '.join(sorted(specs))}"
        else:
            yield from one_service(name, service, spec)
    yield from routes({name: specs[name] for name in settings.enabled_services() if name in specs})


def one_service(name: str, service: Service, spec: ServiceSpec) -> Iterator[tuple[Location, str]]:
    """Yield what is wrong with one service."""
    at: Location = ("services", name)
    sizing, release = service.sizing, service.release
    if len(name) > SERVICE_NAME_LIMIT:
        yield at, f"has {len(name)} characters; AWS's names for target groups leave {SERVICE_NAME_LIMIT} for a service"
    if sizing.instances.minimum > sizing.instances.maximum:
        yield (*at, "sizing", "instances", "minimum"), f"is {sizing.instances.minimum}, above the maximum of {sizing.instances.maximum}: AWS refuses such a group"
    if spec.has_database:
        if sizing.database is None:
            yield (*at, "sizing", "database"), f"is missing: {name} has a database (services/{name}.py)"
        if release.database_engine is None:
            yield (*at, "release", "database_engine"), f'is missing: {name} has a database (services/{name}.py). Write its PostgreSQL version in quotes: "16.9"'
    elif sizing.database is not None:
        yield (*at, "sizing", "database"), f"is of no use: {name} has no database (services/{name}.py)"
    if sizing.database and sizing.database.maximum_storage_gb is not None and sizing.database.maximum_storage_gb < sizing.database.storage_gb * 1.1:
        yield (*at, "sizing", "database", "maximum_storage_gb"), f"must be at least a tenth above storage_gb ({sizing.database.storage_gb}): RDS refuses less"
    if isinstance(spec.balancer, OwnBalancer):
        if release.websocket is None:
            yield (*at, "release", "websocket"), f"is missing: {name} keeps connections open, and its balancer must know for how long"
        elif release.websocket.idle_timeout_seconds <= 2 * release.websocket.ping_interval_seconds:
            interval = release.websocket.ping_interval_seconds
            yield (
                (*at, "release", "websocket", "idle_timeout_seconds"),
                f"is {release.websocket.idle_timeout_seconds}, not more than twice the ping interval of {interval}: one lost ping would drop a live connection. Write {2 * interval + 1} or more",
            )


def routes(specs: Mapping[str, ServiceSpec]) -> Iterator[tuple[Location, str]]:
    """Yield services that take each other's requests, or a host that nobody owns."""
    priorities: dict[int, str] = {}
    addresses: dict[tuple[str, str | None], str] = {}
    owners: dict[str, str] = {}
    for name, spec in sorted(specs.items()):
        path = None
        if isinstance(spec.balancer, FrontDoorRoute):
            path = spec.balancer.path
            for priority in range(spec.balancer.priority, spec.balancer.priority + 1 + len(spec.redirects)):
                if priority in priorities:
                    yield ("services", name), f"has the rule priority {priority} of {priorities[priority]} (services/{name}.py): AWS refuses the second. Take another"
                priorities.setdefault(priority, name)
        other = addresses.setdefault((spec.host, path), name)
        if other != name:
            yield ("services", name), f"has the same host and path as {other} (services/{name}.py): one of the two would never be asked"
        hosts = [spec.host] if spec.owns_host else []
        hosts += [f"{label}.{spec.host}".strip(".") for label in spec.redirects] + ([spec.cdn.host] if spec.cdn else [])
        for host in hosts:
            other = owners.setdefault(host, name)
            if other != name:
                yield ("services", name), f"makes the record of {host or 'the domain'}, which {other} makes too: one owner a name"
    for name, spec in sorted(specs.items()):
        if spec.host not in owners:
            yield ("services", name), f"is at the host {spec.host!r}, whose owner is switched off here: the name would lead nowhere. Switch its owner on, or this off"


def between(found: Mapping[str, Settings], documents: Mapping[str, Document]) -> list[Problem]:
    """Return what two environments do to each other."""
    problems: list[Problem] = []
    for (first, one), (second, other) in itertools.combinations(sorted(found.items()), 2):
        a, b = one.environment, other.environment
        if ipaddress.IPv4Network(a.network.cidr).overlaps(ipaddress.IPv4Network(b.network.cidr)):
            for stack, theirs, network_of in ((first, second, b), (second, first, a)):
                message = f"overlaps {theirs}'s {network_of.network.cidr}: the two could never be connected, nor data moved between them"
                problems.append(documents[stack].problem((*ENVIRONMENT, "network", "cidr"), message, ("environment", "network", "cidr")))
        if a.domain == b.domain:
            for stack, theirs in ((first, second), (second, first)):
                message = f"is {theirs}'s too: both would own the same hosts"
                problems.append(documents[stack].problem((*ENVIRONMENT, "domain"), message, ("environment", "domain")))
    return problems
