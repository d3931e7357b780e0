"""What a model alone cannot know: what must fit together within an environment, and between environments."""

import ipaddress
import itertools
import re
from collections.abc import Iterator, Mapping

from components.spec import FrontDoorRoute, OwnBalancer, ServiceSpec
from settings import aws_facts
from settings.document import Document
from settings.models import Release, Service, Settings
from settings.problems import Location, Problem, nearest

ENVIRONMENT: Location = ("config", "100xglobal:environment")
SERVICES: Location = ("config", "100xglobal:services")
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OWN_VARIABLES = frozenset(
    {
        "ENVIRONMENT",
        "RELEASE",
        "PORT",
        "AWS_REGION",
        "DATABASE_HOST",
        "DATABASE_PORT",
        "DATABASE_NAME",
        "DATABASE_SECRET_ARN",
        "FILES_BUCKET",
        "FILES_URL",
        "MAIL_CONFIGURATION_SET",
    }
)
HIGHEST_PRIORITY = 50000  # ELB: priorities are 1 to 50000
# The floor of prod; FSBP asks for Multi-AZ (RDS.5), backups (RDS.11: 7 days) and deletion protection (RDS.8), we for more.
PROD_ZONES, PROD_BACKUP_DAYS, PROD_SERVERS = 3, 30, 2
SERVICE_NAME_LIMIT = 11  # `<service>-servers-http` and a suffix of 8 stay within the 32 characters of a target group's name


def within(settings: Settings, document: Document, specs: Mapping[str, ServiceSpec]) -> list[Problem]:
    """Return what does not fit together in one environment."""
    problems: list[Problem] = []

    def refuse(location: Location, message: str) -> None:
        base = ENVIRONMENT if location[0] == "environment" else SERVICES
        problems.append(document.problem((*base, *location[1:]), message, location))

    for location, message in itertools.chain(network(settings), services(settings, specs), recovery(settings), floor_of_prod(settings), delegations(settings, specs)):
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


def delegations(settings: Settings, specs: Mapping[str, ServiceSpec]) -> Iterator[tuple[Location, str]]:
    """Yield sub-domains that are given away though a service is there, or to nobody."""
    hosts = {spec.host.rsplit(".", 1)[-1]: name for name, spec in specs.items() if name in settings.services and spec.host and spec.owns_host}
    hosts |= {spec.cdn.host: name for name, spec in specs.items() if name in settings.services and spec.cdn}
    hosts |= {label: name for name, spec in specs.items() if name in settings.services and not spec.host for label in spec.redirects}
    for label, name_servers in settings.environment.dns.delegations.items():
        at: Location = ("environment", "dns", "delegations", label)
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", label):
            yield at, "is not one label of a DNS name, such as beta"
        if label in hosts:
            yield at, f"is the host of {hosts[label]}: given away, its own record would never be asked"
        if len(name_servers) < 2 or not all(re.fullmatch(r"[a-z0-9.-]+\.[a-z]{2,63}\.?", server) for server in name_servers):  # noqa: PLR2004 RFC 1034 asks for two
            yield at, "must list two or more name servers, as that environment's output `name_servers` gives them"


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
    if len(name) > SERVICE_NAME_LIMIT:
        yield at, f"has {len(name)} characters; AWS's names for target groups leave {SERVICE_NAME_LIMIT} for a service"
    yield from servers(at, service)
    yield from database(at, service, spec)
    yield from variables(at, service.release)
    release = service.release
    if isinstance(spec.balancer, OwnBalancer):
        if release.websocket is None:
            yield (*at, "release", "websocket"), f"is missing: {name} keeps connections open, and its balancer must know for how long"
        elif release.websocket.idle_timeout_seconds <= 2 * release.websocket.ping_interval_seconds:
            interval = release.websocket.ping_interval_seconds
            told = f"is {release.websocket.idle_timeout_seconds}, not more than twice the ping interval of {interval}: one lost ping would drop a live connection. Write {2 * interval + 1} or more"
            yield (*at, "release", "websocket", "idle_timeout_seconds"), told


def servers(at: Location, service: Service) -> Iterator[tuple[Location, str]]:
    """Yield what is wrong with a service's servers."""
    sizing, release = service.sizing, service.release
    if sizing.instances.minimum > sizing.instances.maximum:
        yield (*at, "sizing", "instances", "minimum"), f"is {sizing.instances.minimum}, above the maximum of {sizing.instances.maximum}: AWS refuses such a group"
    architecture = aws_facts.architecture_of(sizing.instance_type)
    if architecture is None:
        yield (*at, "sizing", "instance_type"), f"{sizing.instance_type!r} is not an EC2 instance type, such as t4g.small"
    elif architecture != release.architecture:
        told = f"{sizing.instance_type} is {architecture}, and the release is built for {release.architecture}: its servers would not start. Take a type of {release.architecture}"
        yield (*at, "sizing", "instance_type"), told


def database(at: Location, service: Service, spec: ServiceSpec) -> Iterator[tuple[Location, str]]:
    """Yield what is wrong with a service's database."""
    given, engine, here = service.sizing.database, service.release.database_engine, (*at, "sizing", "database")
    if not spec.has_database:
        if given is not None:
            yield here, f"is of no use: {spec.name} has no database (services/{spec.name}.py)"
        return
    if engine is None:
        yield (*at, "release", "database_engine"), f'is missing: {spec.name} has a database (services/{spec.name}.py). Write its PostgreSQL version in quotes: "16.9"'
    elif told := aws_facts.problem_of_engine(engine):
        yield (*at, "release", "database_engine"), f"{engine!r} {told}"
    if given is None:
        yield here, f"is missing: {spec.name} has a database (services/{spec.name}.py)"
        return
    if given.restore and given.restore_to_time:
        yield (*here, "restore_to_time"), "stands beside restore: a database starts from one of the two"
    if told := aws_facts.problem_of_class(given.instance_class):
        yield (*here, "class"), f"{given.instance_class!r} {told}"
    if given.maximum_storage_gb is not None and given.maximum_storage_gb < given.storage_gb * 1.1:
        yield (*here, "maximum_storage_gb"), f"must be at least a tenth above storage_gb ({given.storage_gb}): RDS refuses less"


def variables(at: Location, release: Release) -> Iterator[tuple[Location, str]]:
    """Yield variables that are no names, or hold secrets; their values are never shown."""
    for key, value in release.environment_variables.items():
        here = (*at, "release", "environment_variables", key)
        if key == "secure":
            yield here, "is an encrypted value, which would make the whole block a secret that nobody can review. Put it into a parameter of the service"
        if not VARIABLE_NAME.fullmatch(key):
            yield here, "is not a name that a container can have for a variable: letters, digits and _, not beginning with a digit"
        if "\n" in value or "\x00" in value:
            yield here, "has more than one line: a container's variables have one"
        if key in OWN_VARIABLES:
            yield here, "is set by the program itself (components/service_environment.py)"
        if (aws_facts.SECRET_NAME.search(key) and not aws_facts.NO_SECRET.fullmatch(value)) or aws_facts.SECRET_VALUE.search(value):
            told = "looks like a secret, and would be readable in the repository, the state and on the servers. Put it into the parameter"
            yield here, f"{told} /<environment>/{at[1]}/{key} (SecureString), which only this service's servers may read"


def recovery(settings: Settings) -> Iterator[tuple[Location, str]]:
    """Yield databases that cannot be back in the declared time."""
    target = settings.environment.durability.recovery_time_minutes
    for name, service in settings.enabled_services().items():
        given = service.sizing.database
        if given and not given.multi_az and aws_facts.restore_minutes(given.storage_gb) > target:
            needed = aws_facts.restore_minutes(given.storage_gb)
            told = f"is false: a lost zone means a restore, about {needed} minutes for {given.storage_gb} GB, and durability.recovery_time_minutes is {target}. Set it to true, or the target higher"
            yield ("services", name, "sizing", "database", "multi_az"), told


def floor_of_prod(settings: Settings) -> Iterator[tuple[Location, str]]:
    """Yield what is below what everybody's environment must have."""
    if settings.name != "prod":
        return
    durability, network_here = settings.environment.durability, settings.environment.network
    at: Location = ("environment",)
    if len(network_here.zones) < PROD_ZONES:
        yield (*at, "network", "zones"), f"are {len(network_here.zones)}; prod needs {PROD_ZONES}, so that two are left when one fails"
    if network_here.nat != "per_zone":
        yield (*at, "network", "nat"), "is single: one zone's failure would cut off all of prod. Write per_zone"
    if durability.backup_days < PROD_BACKUP_DAYS:
        yield (*at, "durability", "backup_days"), f"is {durability.backup_days}; prod needs {PROD_BACKUP_DAYS} or more"
    if not durability.protect_data:
        yield (*at, "durability", "protect_data"), "is false: prod's data would be deleted by one wrong command. Remove the line"
    for name, service in settings.enabled_services().items():
        if service.sizing.database and not service.sizing.database.multi_az:
            yield ("services", name, "sizing", "database", "multi_az"), "is false; prod needs a standby in another zone"
        if service.sizing.instances.minimum < PROD_SERVERS:
            yield ("services", name, "sizing", "instances", "minimum"), f"is {service.sizing.instances.minimum}; prod needs {PROD_SERVERS}, so that one is left when one fails"


def routes(specs: Mapping[str, ServiceSpec]) -> Iterator[tuple[Location, str]]:
    """Yield services that take each other's requests, or a host that nobody owns."""
    priorities: dict[int, str] = {}
    addresses: dict[tuple[str, str | None], str] = {}
    owners: dict[str, str] = {}
    for name, spec in sorted(specs.items()):
        path = None
        if isinstance(spec.balancer, FrontDoorRoute):
            path = spec.balancer.path
            if not 1 <= spec.balancer.priority <= HIGHEST_PRIORITY - len(spec.redirects):
                yield ("services", name), f"has the rule priority {spec.balancer.priority} (services/{name}.py): AWS takes 1 to {HIGHEST_PRIORITY}"
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
    yield from masked(specs)
    for name, spec in sorted(specs.items()):
        if spec.host not in owners:
            yield ("services", name), f"is at the host {spec.host!r}, whose owner is switched off here: the name would lead nowhere. Switch its owner on, or this off"


def masked(specs: Mapping[str, ServiceSpec]) -> Iterator[tuple[Location, str]]:
    """Yield services on one host whose requests another takes: a wider rule that is asked first, or a balancer that the name does not lead to."""
    for (name, spec), (other_name, other) in itertools.permutations(sorted(specs.items()), 2):
        if spec.host != other.host:
            continue
        mine, theirs = spec.balancer, other.balancer
        if not isinstance(mine, FrontDoorRoute) or not isinstance(theirs, FrontDoorRoute):
            if name < other_name:
                yield ("services", name), f"is at the host of {other_name}, and one of the two has a balancer of its own: the name leads to one balancer only (services/{name}.py)"
        elif mine.path is not None and theirs.priority < mine.priority and f"{mine.path}/".startswith(f"{theirs.path or ''}/"):
            yield (
                ("services", name),
                f"has the rule priority {mine.priority}, behind {other_name}'s {theirs.priority}, which takes {theirs.path or 'every path'}: it would never be asked. Take a lower number (services/{name}.py)",
            )


def between(found: Mapping[str, Settings], documents: Mapping[str, Document]) -> list[Problem]:
    """Return what two environments do to each other."""
    problems: list[Problem] = []
    for (first, one), (second, other) in itertools.combinations(sorted(found.items()), 2):
        a, b = one.environment, other.environment
        if ipaddress.IPv4Network(a.network.cidr).overlaps(ipaddress.IPv4Network(b.network.cidr)):
            for stack, theirs, network_of in ((first, second, b), (second, first, a)):
                message = f"overlaps {theirs}'s {network_of.network.cidr}: the two could never be connected, nor data moved between them"
                problems.append(documents[stack].problem((*ENVIRONMENT, "network", "cidr"), message, ("environment", "network", "cidr")))
        if one.account_id == other.account_id:
            for stack, theirs in ((first, second), (second, first)):
                message = f"is {theirs}'s too: an account has one deploy identity and one of each fixed name. Give each environment its own"
                problems.append(documents[stack].problem(("config", "aws:allowedAccountIds"), message, ("account_id",)))
        if a.domain == b.domain:
            for stack, theirs in ((first, second), (second, first)):
                message = f"is {theirs}'s too: both would own the same hosts"
                problems.append(documents[stack].problem((*ENVIRONMENT, "domain"), message, ("environment", "domain")))
    return problems
