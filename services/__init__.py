"""The services, one file each. An environment file can only enable a service that has a file here."""

import importlib
import pkgutil

from settings.service_spec import ServiceSpec


def all_services() -> dict[str, ServiceSpec]:
    """Return every service by name, sorted by the names of the files."""
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    specs = [importlib.import_module(f"{__name__}.{name}").SERVICE for name in modules]
    return {spec.name: spec for spec in specs}
