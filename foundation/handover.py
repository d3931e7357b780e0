"""Turns a service's settings into the arguments of its component: the one place that knows both."""

import dataclasses

from components.isolated_database import FromPointInTime, FromSnapshot
from components.service_environment import DatabaseSize, ReleaseArgs, ServiceEnvironmentArgs, SharedFoundation, SizeArgs
from components.spec import ServiceSpec
from settings.models import DatabaseSizing, Release, Service, Sizing

LARGEST_STORAGE_GB = 65536  # RDS gp3


def service_arguments(spec: ServiceSpec, service: Service, shared: SharedFoundation) -> ServiceEnvironmentArgs:
    """Return the arguments of a service's ServiceEnvironment."""
    return ServiceEnvironmentArgs(spec, release_arguments(service.release), size_arguments(service.sizing), shared)


def release_arguments(release: Release) -> ReleaseArgs:
    """Return a release as the component takes it."""
    arguments = ReleaseArgs(
        version=release.version,
        image=release.image,
        machine_image=release.machine_image,
        database_engine=release.database_engine,
        environment_variables=release.environment_variables,
    )
    return dataclasses.replace(arguments, idle_timeout_seconds=release.websocket.idle_timeout_seconds) if release.websocket else arguments


def size_arguments(sizing: Sizing) -> SizeArgs:
    """Return a sizing as the component takes it. Storage may double by itself where nothing else is said."""
    given = sizing.database
    database = DatabaseSize(given.instance_class, given.storage_gb, given.maximum_storage_gb or min(2 * given.storage_gb, LARGEST_STORAGE_GB), given.multi_az) if given else None
    return SizeArgs(
        instance_type=sizing.instance_type,
        minimum=sizing.instances.minimum,
        maximum=sizing.instances.maximum,
        disk_gb=sizing.disk_gb,
        database=database,
        restore=restore_arguments(given) if given else None,
        allow_major_upgrade=bool(given and given.allow_major_upgrade),
        deploy_despite_alarms=sizing.deploy_despite_alarms,
    )


def restore_arguments(given: DatabaseSizing) -> FromSnapshot | FromPointInTime | None:
    """Return what a database starts from."""
    if given.restore:
        return FromSnapshot(given.restore.snapshot)
    return FromPointInTime(given.restore_to_time.instance, given.restore_to_time.time) if given.restore_to_time else None
