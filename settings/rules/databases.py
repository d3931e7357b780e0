"""Rules for a service's database: version, size, restore, and the time that its recovery takes."""

from collections.abc import Iterator

from settings.aws_facts import describe_unsupported_class, describe_unsupported_engine
from settings.models import DatabaseSizing, Service, Settings
from settings.problems import Location, Rule, Violation
from settings.service_spec import ServiceSpec

# A database without a standby is restored from its backups if its zone fails. A new instance of the smallest class
# accepts connections within half an hour, and then reads back about 10 GB per minute. These are deliberately
# pessimistic estimates: replace them with the figures of a restore drill in the environment.
RESTORE_BASE_MINUTES, RESTORE_GB_PER_MINUTE = 30, 10
MINIMUM_STORAGE_GROWTH = 1.1  # RDS user guide, "Managing capacity automatically with storage autoscaling"


def check_database(service_location: Location, service: Service, spec: ServiceSpec, region: str) -> Iterator[Violation]:
    """Yield what is wrong with a service's database."""
    location = (*service_location, "sizing", "database")
    sizing, file = service.sizing.database, f"services/{spec.name}.py"
    if not spec.has_database:
        if sizing is not None:
            message = f"has no effect, because {spec.name} has no database ({file}). Remove it."
            yield Violation(location, Rule.UNUSED_DATABASE, message)
        return
    yield from _check_engine((*service_location, "release", "database_engine"), service.release.database_engine, spec)
    if sizing is None:
        message = f"is required, because {spec.name} has a database ({file})."
        yield Violation(location, Rule.MISSING_DATABASE, message)
    else:
        yield from _check_sizing(location, sizing, region)


def _check_engine(location: Location, engine: str | None, spec: ServiceSpec) -> Iterator[Violation]:
    """Yield a PostgreSQL version that is missing or that RDS does not offer."""
    if engine is None:
        message = (
            f"is required, because {spec.name} has a database (services/{spec.name}.py). "
            'Write its PostgreSQL version in quotes, such as "16.13".'
        )
        yield Violation(location, Rule.MISSING_DATABASE_ENGINE, message)
    elif reason := describe_unsupported_engine(engine):
        yield Violation(location, Rule.UNSUPPORTED_DATABASE_ENGINE, f"{engine!r} cannot be used: {reason}")


def _check_sizing(location: Location, sizing: DatabaseSizing, region: str) -> Iterator[Violation]:
    """Yield sizes and restore options that RDS would refuse."""
    if sizing.restore and sizing.restore_to_time:
        message = "cannot be combined with restore: a database starts from one of the two. Remove one."
        yield Violation((*location, "restore_to_time"), Rule.CONFLICTING_RESTORE, message)
    if reason := describe_unsupported_class(sizing.instance_class, region):
        message = f"{sizing.instance_class!r} cannot be used: {reason}"
        yield Violation((*location, "class"), Rule.UNSUPPORTED_DATABASE_CLASS, message)
    maximum = sizing.maximum_storage_gb
    if maximum is not None and maximum < sizing.storage_gb * MINIMUM_STORAGE_GROWTH:
        message = f"is {maximum}, but must be at least 10% above storage_gb ({sizing.storage_gb}). RDS refuses less."
        yield Violation((*location, "maximum_storage_gb"), Rule.MAXIMUM_STORAGE_TOO_SMALL, message)


def check_recovery_time(settings: Settings) -> Iterator[Violation]:
    """Yield databases that could not be restored within the environment's recovery time objective."""
    objective = settings.environment.durability.recovery_time_minutes
    for name, service in settings.enabled_services().items():
        sizing = service.sizing.database
        if sizing is None or sizing.multi_az:
            continue
        minutes = restore_minutes(sizing.storage_gb)
        if minutes > objective:
            message = (
                f"is false, so if the zone fails, the database must be restored. For {sizing.storage_gb} GB that takes "
                f"about {minutes} minutes, longer than durability.recovery_time_minutes ({objective}). "
                "Set multi_az to true or raise the objective."
            )
            yield Violation(("services", name, "sizing", "database", "multi_az"), Rule.RECOVERY_TOO_SLOW, message)


def restore_minutes(storage_gb: int) -> int:
    """Return a pessimistic estimate of how many minutes it takes to restore a database from its backups."""
    return RESTORE_BASE_MINUTES + storage_gb // RESTORE_GB_PER_MINUTE
