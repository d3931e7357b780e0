"""The verbs that move a release, and what the record says of it. The decisions are in release/."""

import difflib
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import typer

from cli import aws_health, gating
from cli.gating import REFUSED, Options, clock
from cli.places import Place
from release import promote as promotion
from release import record, sign_offs, status
from release.deployed import fingerprint
from release.promote import Moved, RefusedError, Request
from sandbox.errors import SandboxError
from services import all_services
from settings import check_folder

TROUBLES = (RefusedError, record.RecordError, sign_offs.SignOffError)


def refuse(error: Exception) -> int:
    """Say why nothing was done."""
    reasons = str(error).splitlines()
    sys.stderr.write("infra: refused; nothing was changed:\n" + "".join(f"  - {reason}\n" for reason in reasons))
    return REFUSED


def show(moved: Moved, environment: str) -> None:
    """Print what changed in a file, and what the user should know."""
    file = promotion.file_of(environment)
    lines = difflib.unified_diff(moved.before.splitlines(keepends=True), moved.after.splitlines(keepends=True), file, file)
    typer.echo("".join(line if line.endswith("\n") else f"{line}\n" for line in lines), nl=False)
    for note in moved.notes:
        typer.echo(f"note: {note}")


def new_problems(folder: Path) -> promotion.Validate:
    """Return what says what would be wrong with a file's new text that is not wrong with the old."""

    def validate(file: str, text: str) -> Sequence[str]:
        specs = all_services()
        before = {(problem.file, problem.path, problem.message) for problem in check_folder(folder, specs)[1]}
        return [str(problem) for problem in check_folder(folder, specs, {file: text})[1] if (problem.file, problem.path, problem.message) not in before]

    return validate


def promote(folder: Path, place: Place, request: Request, options: Options, *, then_up: bool) -> int:
    """Move a release, and with --up gate it and bring the target up."""
    try:
        for environment in (request.source, request.target):
            promotion.read_text(folder, environment)
        if not place.exists(request.source):
            raise RefusedError(f"{request.source} is not up: `./infra up {request.source}` first, so that there is something that was tried")
        source = place.deployed(request.source)
        servers = aws_health.servers_of(place, source, request.service)
        moved = promotion.promote(folder, request, source, servers=servers, at=clock(), validate=new_problems(folder))
    except TROUBLES as error:
        waiting = earlier_try(folder, request) if then_up else None
        if not waiting:
            return refuse(error)
        typer.echo(f"{request.service} {waiting.version} was moved into {promotion.file_of(request.target)} at {waiting.at[:16].replace('T', ' ')}, and has not arrived: going on")
        return gating.up(folder, place, request.target, options)
    show(moved, request.target)
    event = moved.event
    typer.echo(f"{event.service} {event.version}: {request.source} -> {request.target}. Looked at: {'; '.join(event.checks)}.")
    return gated_or_told(folder, place, request.target, options, then_up=then_up)


def gated_or_told(folder: Path, place: Place, environment: str, options: Options, *, then_up: bool) -> int:
    """Bring an environment up, or say how."""
    if then_up:
        return gating.up(folder, place, environment, options)
    typer.echo(f"next: commit {promotion.file_of(environment)} and the new file below {record.FOLDER}/, then `./infra up {environment}{place.suffix}`, which gates it")
    return 0


def earlier_try(folder: Path, request: Request) -> record.Event | None:
    """Return the very move that is asked for, where an earlier try made it and it has not arrived."""
    try:
        move = record.on_its_way(record.read(folder, request.service), request.service, request.target, request.place)
        sides = [promotion.releases_in(promotion.read_text(folder, environment)).get(request.service) for environment in (request.source, request.target)]
    except TROUBLES:
        return None
    return move if move and move.source == request.source and all(side and fingerprint(side) == move.release for side in sides) else None


def rollback(folder: Path, place: Place | None, request: Request, options: Options) -> int:
    """Put the release before back in a target, and hold the bad one; with a place, bring the target up too."""
    service, environment = request.service, request.target
    try:
        moved, hold = promotion.roll_back(folder, service, environment, request.reason, clock(), place=request.place)
    except promotion.AlreadyBackError as error:
        if not place:
            return refuse(error)
        typer.echo(f"{error}: going on")
        return gating.up(folder, place, environment, options)
    except TROUBLES as error:
        return refuse(error)
    show(moved, environment)
    typer.echo(f"{f'{service} {hold.version} is held everywhere; ' if hold else ''}{environment} has {service} {moved.event.version} again in its file.")
    if place:
        return gating.up(folder, place, environment, options)
    typer.echo(f"next: `./infra up {environment}{promotion.on(request.place)}`, and commit {promotion.file_of(environment)} and the new files below {record.FOLDER}/")
    return 0


def hold(folder: Path, service: str, version: str, reason: str, *, lift: bool) -> int:
    """Hold a release, or lift its hold."""
    try:
        events = promotion.set_hold(folder, service, version, reason, clock(), lift=lift)
    except TROUBLES as error:
        return refuse(error)
    builds = f" (all {len(events)} builds)" if len(events) > 1 else ""
    typer.echo(f"{service} {version}{builds}: {'the hold is lifted' if lift else 'held everywhere'}. Commit what is new below {record.FOLDER}/{service}/")
    return 0


def sign_off(folder: Path, urn: str, rule: str, reason: str, days: int) -> int:
    """Write a sign-off."""
    today = clock().date()
    try:
        if not urn.startswith("urn:pulumi:") or urn.count("::") < 3:  # noqa: PLR2004 the parts of a URN
            raise sign_offs.SignOffError(f"{urn!r} is no URN: take it from what the gate printed")
        entry = {"urn": urn, "rule": rule, "reason": reason, "by": record.author(folder), "expires": today + timedelta(days=days)}
        written = sign_offs.write(folder, sign_offs.sign_off(entry, "sign-off"))
    except TROUBLES as error:
        return refuse(error)
    typer.echo(f"wrote {written.relative_to(folder)}: commit it, so that others see what was meant")
    return 0


def history(folder: Path, place: Place | None, service: str) -> int:
    """Print the record of a service, and what became of moves that the record does not know to have arrived."""
    try:
        events = record.read(folder, service)
    except TROUBLES as error:
        return refuse(error)
    for event in events:
        typer.echo(status.story(event))
    if not events:
        typer.echo(f"the record has nothing of {service} yet")
    for environment in sorted({event.environment for event in events if event.environment}):
        move = record.on_its_way(events, service, environment, place.name) if place else None
        if move is None:
            continue
        try:
            deployed = place.deployed(environment) if place and place.exists(environment) else None
            wanted = promotion.releases_in(promotion.read_text(folder, environment)).get(service) or {}
        except (RefusedError, SandboxError) as error:
            typer.echo(f"on its way: {move.version} into {environment}; {error}")
            continue
        typer.echo(f"on its way: {status.truth(move, deployed, wanted)}")
    return 0
