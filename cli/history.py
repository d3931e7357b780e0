"""`./infra history`: the journal of a service, and what became of moves that it does not record as deployed."""

from pathlib import Path

import typer

from cli.backends import Backend
from cli.refusals import report_refusal
from common.console import say
from common.errors import InfraError
from release import journal, status
from release.environment_file import read_text, releases_in


def history(folder: Path, backend: Backend | None, service: str) -> int:
    """Print the history of a service. backend: where to look for pending moves; None to not look."""
    try:
        events = journal.read(folder, service)
    except InfraError as error:
        return report_refusal(error)
    for problem in journal.problems(folder, service):
        say(problem)
    if not events:
        typer.echo(f"The journal has no event of {service} yet.")
    for event in events:
        typer.echo(status.history_line(event))
    for environment in sorted({event.environment for event in events if event.environment}) if backend else []:
        move = journal.pending_move(events, service, environment, backend.name) if backend else None
        if move and backend:
            typer.echo(f"pending: {describe(folder, backend, move)}")
    return 0


def describe(folder: Path, backend: Backend, move: journal.Event) -> str:
    """Return what became of a pending move."""
    environment = move.environment
    try:
        deployed = backend.state(environment) if backend.exists(environment) else None
        requested = releases_in(read_text(folder, environment)).get(move.service) or {}
    except InfraError as error:
        return f"{move.service} {move.version} was moved to {environment}; {error}"
    return status.describe_pending_move(move, deployed, requested)
