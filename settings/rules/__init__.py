"""The rules that a model cannot express: what must fit together in one environment, and between environments.

Each function yields a Violation for every mistake. The functions read settings and service specs, never files.
"""

from collections.abc import Iterator, Mapping

from settings.models import Settings
from settings.problems import Violation
from settings.rules.databases import check_recovery_time
from settings.rules.dns_records import check_dns_records
from settings.rules.network import check_delegations, check_zones
from settings.rules.production import check_production_minimum
from settings.rules.routing import check_routing
from settings.rules.services import check_services
from settings.service_spec import ServiceSpec


def check_environment(settings: Settings, specs: Mapping[str, ServiceSpec]) -> Iterator[Violation]:
    """Yield what does not fit together in one environment."""
    enabled_specs = {name: specs[name] for name in settings.enabled_services() if name in specs}
    yield from check_zones(settings)
    yield from check_delegations(settings, specs)
    yield from check_dns_records(settings, specs)
    yield from check_services(settings, specs)
    yield from check_routing(enabled_specs)
    yield from check_recovery_time(settings)
    yield from check_production_minimum(settings)
