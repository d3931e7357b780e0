"""Rules for one service: its spec, its servers and its WebSocket connections."""

from collections.abc import Iterator, Mapping

from settings.aws_facts import architecture_of, describe_unsupported_type
from settings.models import Release, Service, Settings
from settings.problems import Location, Rule, Violation, did_you_mean
from settings.rules.databases import check_database
from settings.rules.environment_variables import check_environment_variables
from settings.service_spec import DedicatedLoadBalancer, ServiceSpec

# AWS limits the name of a target group to 32 characters: `<service>-servers-http` and a random suffix of 8.
SERVICE_NAME_LIMIT = 11
CERTIFICATE_NAME_LIMIT = 64  # ACM user guide, "Requesting a public certificate": the first name of a certificate


def check_services(settings: Settings, specs: Mapping[str, ServiceSpec]) -> Iterator[Violation]:
    """Yield what is wrong with each service alone, enabled or not."""
    if not settings.services:
        message = "must name at least one service; an empty map would delete everything that the services have."
        yield Violation(("services",), Rule.WRONG_LENGTH, message)
    for name, service in settings.services.items():
        location: Location = ("services", name)
        if name not in specs:
            services = ", ".join(sorted(specs))
            message = f"unknown service.{did_you_mean(name, specs)} Services are defined in services/: {services}."
            yield Violation(location, Rule.UNKNOWN_SERVICE, message)
            continue
        if len(name) > SERVICE_NAME_LIMIT:
            message = (
                f"the name has {len(name)} characters, but at most {SERVICE_NAME_LIMIT} are allowed: "
                "AWS limits the names of target groups that contain it."
            )
            yield Violation(location, Rule.SERVICE_NAME_TOO_LONG, message)
        yield from _check_hosts(location, specs[name], settings.environment.domain)
        yield from _check_servers(location, service, settings.region)
        yield from check_database(location, service, specs[name], settings.region)
        yield from check_environment_variables(location, service.release)
        yield from _check_websocket(location, service.release, specs[name])


def _check_hosts(location: Location, spec: ServiceSpec, domain: str) -> Iterator[Violation]:
    """Yield hosts that no certificate of AWS can have."""
    for host in spec.hosts():
        name = f"{host}.{domain}" if host else domain
        if len(name) > CERTIFICATE_NAME_LIMIT:
            message = (
                f"has the host {name} with {len(name)} characters. AWS issues certificates for at most "
                f"{CERTIFICATE_NAME_LIMIT}. Shorten the host (services/{spec.name}.py) or the environment's domain."
            )
            yield Violation(location, Rule.HOST_TOO_LONG, message)


def _check_servers(service_location: Location, service: Service, region: str) -> Iterator[Violation]:
    """Yield server counts and instance types that cannot work."""
    sizing, release = service.sizing, service.release
    if sizing.instances.minimum > sizing.instances.maximum:
        message = (
            f"is {sizing.instances.minimum}, above the maximum of {sizing.instances.maximum}. "
            "AWS refuses such an Auto Scaling group. Lower the minimum or raise the maximum."
        )
        yield Violation((*service_location, "sizing", "instances", "minimum"), Rule.MINIMUM_ABOVE_MAXIMUM, message)
    location = (*service_location, "sizing", "instance_type")
    architecture = architecture_of(sizing.instance_type)
    if architecture is None:
        message = f"{sizing.instance_type!r} is not an EC2 instance type, such as t4g.small."
        yield Violation(location, Rule.INVALID_INSTANCE_TYPE, message)
    elif reason := describe_unsupported_type(sizing.instance_type, region):
        message = f"{sizing.instance_type!r} cannot be used: {reason}"
        yield Violation(location, Rule.INVALID_INSTANCE_TYPE, message)
    elif architecture != release.architecture:
        message = (
            f"{sizing.instance_type} is {architecture}, but the release is built for {release.architecture}, "
            f"so its servers would not start. Use an instance type for {release.architecture}."
        )
        yield Violation(location, Rule.ARCHITECTURE_MISMATCH, message)


def _check_websocket(service_location: Location, release: Release, spec: ServiceSpec) -> Iterator[Violation]:
    """Yield missing or too short idle timeouts of a service with a dedicated load balancer."""
    if not isinstance(spec.balancer, DedicatedLoadBalancer):
        return
    location = (*service_location, "release", "websocket")
    if release.websocket is None:
        message = (
            f"is required, because {spec.name} has a dedicated load balancer for long-lived connections "
            f"(services/{spec.name}.py), which needs an idle timeout."
        )
        yield Violation(location, Rule.MISSING_WEBSOCKET, message)
        return
    timeout, interval = release.websocket.idle_timeout_seconds, release.websocket.ping_interval_seconds
    if timeout <= 2 * interval:
        message = (
            f"is {timeout}, but must be more than twice the ping interval of {interval}. Otherwise one lost ping "
            f"closes a live connection. Use {2 * interval + 1} or more."
        )
        yield Violation((*location, "idle_timeout_seconds"), Rule.IDLE_TIMEOUT_TOO_SHORT, message)
