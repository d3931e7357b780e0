"""The minimum that production must have, whatever its file says.

AWS's Foundational Security Best Practices ask for a standby (RDS.5), backups of 7 days (RDS.11) and deletion protection
(RDS.8); production here needs more backups than that.
"""

from collections.abc import Iterator

from settings.models import Environment, Settings
from settings.problems import Rule, Violation

PRODUCTION = "prod"
MINIMUM_ZONES, MINIMUM_BACKUP_DAYS, MINIMUM_SERVERS = 3, 30, 2


def check_production_minimum(settings: Settings) -> Iterator[Violation]:
    """Yield what production lacks. Other environments may have less."""
    if settings.name != PRODUCTION:
        return
    yield from _check_environment(settings.environment)
    for name, service in settings.enabled_services().items():
        sizing = service.sizing
        if sizing.database and not sizing.database.multi_az:
            message = "is false, but production needs a standby in another zone. Set it to true."
            yield Violation(("services", name, "sizing", "database", "multi_az"), Rule.PRODUCTION_MULTI_AZ, message)
        if sizing.instances.minimum < MINIMUM_SERVERS:
            message = (
                f"is {sizing.instances.minimum}, but production needs at least {MINIMUM_SERVERS} servers, "
                "so that one still runs if the other fails."
            )
            yield Violation(("services", name, "sizing", "instances", "minimum"), Rule.PRODUCTION_SERVERS, message)


def _check_environment(environment: Environment) -> Iterator[Violation]:
    """Yield what production's network and data protection lack."""
    network, durability = environment.network, environment.durability
    if len(network.zones) < MINIMUM_ZONES:
        message = (
            f"has {len(network.zones)} zones, but production needs at least {MINIMUM_ZONES}, "
            "so that two still run if one fails."
        )
        yield Violation(("environment", "network", "zones"), Rule.PRODUCTION_ZONES, message)
    if network.nat != "per_zone":
        message = "is `single`, so the failure of one zone would cut all of production off. Use `per_zone`."
        yield Violation(("environment", "network", "nat"), Rule.PRODUCTION_NAT, message)
    if durability.backup_days < MINIMUM_BACKUP_DAYS:
        message = f"is {durability.backup_days}, but production needs at least {MINIMUM_BACKUP_DAYS} days of backups."
        yield Violation(("environment", "durability", "backup_days"), Rule.PRODUCTION_BACKUPS, message)
    if not durability.protect_data:
        message = "is false, so one wrong command could delete production's data. Remove the line."
        yield Violation(("environment", "durability", "protect_data"), Rule.PRODUCTION_DATA_PROTECTION, message)
