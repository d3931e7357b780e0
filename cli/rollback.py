"""`./infra rollback`: restores the previous release in an environment's file and, if asked, deploys it."""

from pathlib import Path

import typer

from cli.backends import Backend
from cli.gate import Options, clock
from cli.refusals import report_refusal, show_move
from cli.up import up
from common.errors import InfraError
from release import journal
from release.errors import RefusedError, Rule
from release.gate import backend_option
from release.promote import Request
from release.rollback import roll_back
from settings.project_files import environment_file


def rollback(folder: Path, backend: Backend | None, request: Request, options: Options) -> int:
    """Restore the previous release and hold the current one. With a backend, deploy the environment as well."""
    service, environment = request.service, request.target
    file = environment_file(environment)
    try:
        move, hold = roll_back(folder, request, clock())
    except InfraError as error:
        is_pending = isinstance(error, RefusedError) and Rule.ALREADY_ROLLED_BACK in error.rules
        if not backend or not is_pending:
            return report_refusal(error)
        typer.echo(f"{file} was already rolled back, and that is not deployed yet. Continuing.")
        return up(folder, backend, environment, options)
    show_move(move, environment)
    if hold:
        typer.echo(f"{service} {hold.version} is now on hold everywhere.")
    typer.echo(f"{file} has {service} {move.event.version} again.")
    if backend:
        return up(folder, backend, environment, options)
    typer.echo(f"Next, deploy it, and commit {file} and the new files in {journal.FOLDER}/:")
    typer.echo(f"  ./infra up {environment}{backend_option(request.backend)}")
    return 0
