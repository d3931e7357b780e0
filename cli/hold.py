"""`./infra hold` and `./infra unhold`: block a release everywhere, or lift the block."""

from pathlib import Path

import typer

from cli.gate import clock
from cli.refusals import report_refusal
from common.console import count
from common.errors import InfraError
from release import holds, journal


def hold(folder: Path, service: str, version: str, reason: str) -> int:
    """Hold a release everywhere."""
    try:
        events = holds.hold(folder, service, version, reason, clock())
    except InfraError as error:
        return report_refusal(error)
    report(f"{service} {version} is on hold everywhere", service, events)
    return 0


def unhold(folder: Path, service: str, version: str, reason: str) -> int:
    """Lift the hold on a release."""
    try:
        events = holds.lift_hold(folder, service, version, reason, clock())
    except InfraError as error:
        return report_refusal(error)
    report(f"{service} {version} is no longer on hold", service, events)
    return 0


def report(sentence: str, service: str, events: list[journal.Event]) -> None:
    """Print what happened, and what to commit."""
    builds = f" ({count(len(events), 'build')} of this version)" if len(events) > 1 else ""
    typer.echo(f"{sentence}{builds}. Commit the new {'files' if builds else 'file'} in {journal.FOLDER}/{service}/")
