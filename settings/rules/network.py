"""Rules for availability zones and delegated subdomains."""

import re
from collections.abc import Iterator, Mapping

from settings.aws_facts import catalog
from settings.models import Settings
from settings.problems import Location, Rule, Violation
from settings.service_spec import ServiceSpec

MINIMUM_NAME_SERVERS = 2  # RFC 1034, section 4.1
DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
NAME_SERVER = re.compile(r"[a-z0-9.-]+\.[a-z]{2,63}\.?")


def check_zones(settings: Settings) -> Iterator[Violation]:
    """Yield availability zones that are in another region or appear twice."""
    zones = settings.environment.network.zones
    for index, zone in enumerate(zones):
        location: Location = ("environment", "network", "zones", index)
        if zone[:-1] != settings.region:
            message = f"{zone!r} is not in {settings.region}, the region of this environment."
            yield Violation(location, Rule.ZONE_OUTSIDE_REGION, message)
        elif (known := catalog().zones.get(settings.region)) and zone not in known:
            message = f"{settings.region} has no zone {zone!r}. Its zones: {', '.join(known)}."
            yield Violation(location, Rule.INVALID_ZONE, message)
        if zone in zones[:index]:
            message = f"{zone!r} appears twice, but a zone has only one subnet of each kind. Remove one."
            yield Violation(location, Rule.DUPLICATE_ZONE, message)


def check_delegations(settings: Settings, specs: Mapping[str, ServiceSpec]) -> Iterator[Violation]:
    """Yield delegated subdomains that a service uses, that are not a label, or that lack name servers."""
    owners = _owners_by_label({name: spec for name, spec in specs.items() if name in settings.services})
    for label, name_servers in settings.environment.dns.delegations.items():
        location: Location = ("environment", "dns", "delegations", label)
        if not DNS_LABEL.fullmatch(label):
            message = "must be a single label of a DNS name, such as beta."
            yield Violation(location, Rule.INVALID_DELEGATION, message)
        if label in owners:
            message = (
                f"is a host of the service {owners[label]}. If the subdomain were delegated, resolvers would never see "
                "the service's record. Delegate another subdomain."
            )
            yield Violation(location, Rule.DELEGATED_HOST, message)
        if len(name_servers) < MINIMUM_NAME_SERVERS or not all(map(NAME_SERVER.fullmatch, name_servers)):
            message = (
                f"must list at least {MINIMUM_NAME_SERVERS} name servers. "
                "Copy them from the output `name_servers` of the other environment."
            )
            yield Violation(location, Rule.INVALID_NAME_SERVERS, message)


def _owners_by_label(specs: Mapping[str, ServiceSpec]) -> dict[str, str]:
    """Return the service that owns each label directly below the environment's domain."""
    owners: dict[str, str] = {}
    for name, spec in specs.items():
        if spec.host and spec.owns_host:
            owners[spec.host.rsplit(".", 1)[-1]] = name
        if spec.cdn:
            owners[spec.cdn.host] = name
        if not spec.host:
            owners |= dict.fromkeys(spec.redirects, name)
    return owners
