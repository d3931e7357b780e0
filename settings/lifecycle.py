"""What in an environment will end, or has ended, although its file is valid."""

from collections.abc import Iterator
from datetime import date

from settings.aws_facts import describe_end_of_life
from settings.models import Settings
from settings.problems import format_location
from settings.project_files import environment_file


def warnings(settings: Settings, today: date) -> Iterator[str]:
    """Yield a warning for each enabled service whose database version ends. today: in UTC."""
    for name, service in settings.enabled_services().items():
        version = service.release.database_engine
        message = describe_end_of_life(version, today) if version else ""
        if message:
            path = format_location(("services", name, "release", "database_engine"))
            yield f"{environment_file(settings.name)}: {path}: {message}"
