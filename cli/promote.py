"""`./infra promote`: moves a release to the next environment's file and, if asked, deploys it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import typer

from cli import server_health
from cli.backends import Backend
from cli.gate import Options, clock, promotion_path
from cli.refusals import report_refusal, show_move
from cli.up import up
from common.errors import InfraError
from release import journal
from release.environment_file import read_text, releases_in
from release.errors import JournalError, RefusedError, Rule, refused
from release.promote import Move, Request, Validate
from release.promote import promote as move_release
from release.stack_state import fingerprint, is_same_release
from services import all_services
from settings.check import check_folder
from settings.problems import Problem
from settings.project_files import environment_file


def promote(folder: Path, backend: Backend, request: Request, options: Options, *, then_up: bool) -> int:
    """Promote a release. With `then_up`, run the gate and deploy the target as well."""
    try:
        move = attempt(folder, backend, request)
    except (RefusedError, JournalError) as error:
        earlier = earlier_attempt(folder, request) if then_up else None
        if not earlier:
            version = running_version(folder, backend, request) if is_repeated(error) else ""
            if not version:
                return report_refusal(error)
            typer.echo(f"{request.service} {version} already runs in {request.target}. There is nothing to do.")
            return 0
        at = earlier.at[:16].replace("T", " ")
        file = environment_file(request.target)
        typer.echo(f"{request.service} {earlier.version} was moved to {file} at {at} and is not deployed. Continuing.")
        return up(folder, backend, request.target, options)
    show_move(move, request.target)
    event = move.event
    typer.echo(f"{event.service} {event.version}: {request.source} -> {request.target}. Checked:")
    for check in event.checks:
        typer.echo(f"  - {check}")
    if then_up:
        return up(folder, backend, request.target, options)
    typer.echo(f"Next, commit {environment_file(request.target)} and the new file in {journal.FOLDER}/, then deploy:")
    typer.echo(f"  ./infra up {request.target}{backend.suffix}")
    return 0


def is_repeated(error: InfraError) -> bool:
    """Tell whether the only refusal is that the release was promoted before."""
    return isinstance(error, RefusedError) and set(error.rules) == {Rule.ALREADY_PROMOTED}


def running_version(folder: Path, backend: Backend, request: Request) -> str:
    """Return the version that the target's file asks for, if the target runs exactly that release; otherwise empty."""
    release = releases_in(read_text(folder, request.target)).get(request.service) or {}
    if not backend.exists(request.target):
        return ""
    running = backend.state(request.target).release(request.service)
    return str(release.get("version")) if is_same_release(running, release) else ""


def attempt(folder: Path, backend: Backend, request: Request) -> Move:
    """Move the release, or raise RefusedError."""
    for environment in (request.source, request.target):
        read_text(folder, environment)
    if not backend.exists(request.source):
        command = f"./infra up {request.source}{backend.suffix}"
        message = f"{request.source} is not deployed, so nothing was tested there. Deploy it first:\n  {command}"
        raise refused(Rule.NOT_DEPLOYED, message)
    source = backend.state(request.source)
    servers = server_health.server_report(backend, source, request.service)
    return move_release(
        folder,
        request,
        source,
        path=promotion_path(folder),
        servers=servers,
        now=clock(),
        validate=added_problems(folder),
    )


def added_problems(folder: Path) -> Validate:
    """Return a function that says which problems a file's new text would have that its current text does not have."""

    def validate(file: str, text: str) -> Sequence[str]:
        specs = all_services()
        existing = {without_position(problem) for problem in check_folder(folder, specs)[1]}
        problems = check_folder(folder, specs, {file: text})[1]
        return [str(problem) for problem in problems if without_position(problem) not in existing]

    return validate


def without_position(problem: Problem) -> Problem:
    """Return a problem without its line and column, which change with the text above it."""
    return replace(problem, line=0, column=0)


def earlier_attempt(folder: Path, request: Request) -> journal.Event | None:
    """Return the pending move that exactly this request made before, or None."""
    try:
        events = journal.read(folder, request.service)
        move = journal.pending_move(events, request.service, request.target, request.backend)
        texts = [read_text(folder, environment) for environment in (request.source, request.target)]
        releases = [releases_in(text).get(request.service) for text in texts]
    except InfraError:
        return None
    if move is None or move.source != request.source:
        return None
    is_same = all(release and fingerprint(release) == move.fingerprint for release in releases)
    return move if is_same else None
