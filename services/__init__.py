"""The services, one file each. An environment file can only enable a service that has a file here."""

from settings.service_files import read_services
from settings.service_spec import ServiceSpec


def all_services() -> dict[str, ServiceSpec]:
    """Return every service by name. Raise SettingsError with the file and line of everything that is wrong."""
    return read_services(__name__, __path__)
