"""Names that users type: a misspelled one is refused, with the nearest that exists."""

from pathlib import Path

import typer


def known_service(name: str) -> str:
    """Return the name of a service that has a file, or events in the journal; raise BadParameter for any other.

    An empty name stands for all services.
    """
    from common.files import ROOT  # noqa: PLC0415 so that `./infra --help` answers at once
    from release.journal import FOLDER, NOT_EVENTS  # noqa: PLC0415
    from settings.problems import did_you_mean  # noqa: PLC0415

    known = service_names(ROOT, FOLDER) - NOT_EVENTS
    if not name or name in known:
        return name
    raise typer.BadParameter(
        f"there is no service {name}.{did_you_mean(name, known)} The services: {', '.join(sorted(known))}"
    )


def service_names(root: Path, journal_folder: str) -> set[str]:
    """Return the names of all services that have, or had, a file. The files are not read, because one may be broken."""
    files = {path.stem for path in (root / "services").glob("[a-z]*.py")}
    events = {path.name for path in (root / journal_folder).glob("[a-z]*") if path.is_dir()}
    return files | events
