"""Turns a service's settings into the arguments of its component: the one place that knows both."""

import dataclasses

from components.isolated_database import FromSnapshot
from components.service_environment import DatabaseSize, ReleaseArgs, ServiceEnvironmentArgs, SharedFoundation, SizeArgs
from components.spec import ServiceSpec
from settings.models import Release, Service, Sizing


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
    database = DatabaseSize(given.instance_class, given.storage_gb, given.maximum_storage_gb or 2 * given.storage_gb, given.multi_az) if given else None
    restore = FromSnapshot(given.restore.snapshot) if given and given.restore else None
    return SizeArgs(sizing.instance_type, sizing.instances.minimum, sizing.instances.maximum, sizing.disk_gb, database, restore)
