"""The services: one file each. A file that is here is a service that an environment's YAML may ask for."""

import importlib
import pkgutil

from components.spec import ServiceSpec


def all_services() -> dict[str, ServiceSpec]:
    """Return every service by its name, in the order of their names."""
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    specs = [importlib.import_module(f"{__name__}.{name}").SERVICE for name in modules]
    return {spec.name: spec for spec in specs}
