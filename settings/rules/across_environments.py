"""Rules between environments: what each must have for itself."""

import ipaddress
import itertools
from collections.abc import Iterator, Mapping

from settings.models import Settings
from settings.problems import Rule, Violation
from settings.service_spec import ServiceSpec


def check_environments(
    environments: Mapping[str, Settings], specs: Mapping[str, ServiceSpec]
) -> Iterator[tuple[str, Violation]]:
    """Yield (environment, violation) for everything that two environments share and must not. Both are reported."""
    for (name, settings), (other_name, other) in itertools.permutations(sorted(environments.items()), 2):
        for violation in _check_against(settings, other_name, other):
            yield name, violation
        for violation in _check_domain(settings, other_name, other, specs):
            yield name, violation


def _check_against(settings: Settings, other_name: str, other: Settings) -> Iterator[Violation]:
    """Yield what an environment has in common with another one."""
    cidr, other_cidr = settings.environment.network.cidr, other.environment.network.cidr
    if ipaddress.IPv4Network(cidr).overlaps(ipaddress.IPv4Network(other_cidr)):
        message = (
            f"overlaps {other_cidr} of {other_name}, so the two networks could never be connected, for example to move "
            "data. Use a range that no other environment has."
        )
        yield Violation(("environment", "network", "cidr"), Rule.OVERLAPPING_NETWORK, message)
    if settings.account_id == other.account_id:
        message = (
            f"is also the account of {other_name}. An account has only one deploy identity and one of each fixed name. "
            "Use a separate account for each environment."
        )
        yield Violation(("account_id",), Rule.SHARED_ACCOUNT, message)
    if settings.environment.domain == other.environment.domain:
        message = f"is also the domain of {other_name}, so both would own the same hosts. Use another domain."
        yield Violation(("environment", "domain"), Rule.SHARED_DOMAIN, message)


def _check_domain(
    settings: Settings, other_name: str, other: Settings, specs: Mapping[str, ServiceSpec]
) -> Iterator[Violation]:
    """Yield a domain that is the host of a service in another environment."""
    for name in other.enabled_services():
        for host in specs[name].hosts() if name in specs else ():
            if host and f"{host}.{other.environment.domain}" == settings.environment.domain:
                message = (
                    f"is the host of {name} in {other_name}, which could not be reached any more if its name were "
                    "delegated to this environment. Use another domain."
                )
                yield Violation(("environment", "domain"), Rule.DOMAIN_OF_A_HOST, message)
