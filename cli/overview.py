"""`./infra status`: the table of services and environments, and what differs of one service."""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from cli import aws_health
from cli.gating import clock, told
from cli.places import Place, parallel
from release import promote, record, status
from release.deployed import FOUNDATION, Deployed
from release.status import View
from sandbox.errors import SandboxError
from settings.check import stack_files, stack_of


def order(environments: list[str]) -> list[str]:
    """Return environments in the order of a release's way, the others last."""
    return sorted(environments, key=lambda name: (promote.PATH.index(name) if name in promote.PATH else len(promote.PATH), name))


def look(folder: Path, place: Place, environment: str, *, drift: bool) -> View:
    """Return one environment as it is, by its stack, its file and AWS."""
    deployed = place.deployed(environment)
    wanted = promote.releases_in(promote.read_text(folder, environment))
    unhealthy: dict[str, list[str]] = {}
    drifting: dict[str, list[str]] | None = None
    notes = []
    try:  # an account that this shell may not look into leaves the others' columns as they are
        unhealthy = aws_health.unhealthy(place, deployed, deployed.services())
        drifting = drifted(place, deployed) if drift and not deployed.pending else None
    except SandboxError as error:
        notes.append(str(error))
    return View(deployed, wanted, drifting, unhealthy, notes)


def drifted(place: Place, deployed: Deployed) -> dict[str, list[str]]:
    """Return what is not as Pulumi left it, by service."""
    done = place.capture(["refresh", "--stack", deployed.stack, "--preview-only", "--json", *parallel()], deployed.stack)
    if done.returncode != 0:
        raise SandboxError(f"{deployed.stack} could not be compared with what is there: {done.stderr.strip() or done.stdout.strip()[-2000:]}")
    return status.drift_of(json.loads(done.stdout), deployed)


def views(folder: Path, place: Place, *, drift: bool) -> dict[str, View]:
    """Return every environment that is up."""
    up = [name for name in order([stack_of(path) for path in stack_files(folder)]) if place.exists(name)]
    with ThreadPoolExecutor(max_workers=4) as pool:
        return dict(zip(up, pool.map(lambda name: look(folder, place, name, drift=drift), up), strict=True))


def show(folder: Path, place: Place, *, drift: bool) -> int:
    """Print which release of each service runs where, since when, and what is odd about it."""
    with told():
        found, events = views(folder, place, drift=drift), record.read(folder)
    found = {name: view for name, view in found.items() if view.deployed.resources}
    if not found:
        typer.echo("no environment is up here: ./infra up alpha")
        return 0
    table = Table("service", *found, show_lines=True)
    services = sorted({name for view in found.values() for name in [*view.wanted, *view.deployed.services()]})
    for service in services:
        table.add_row(service, *("\n".join(status.cell(service, name, found, events, clock())) for name in found))
    if any((view.drifted or {}).get(FOUNDATION) for view in found.values()):
        table.add_row(FOUNDATION, *("drifted: " + ", ".join(names) if (names := (view.drifted or {}).get(FOUNDATION)) else "" for view in found.values()))
    Console().print(table)
    for name, view in found.items():
        for note in view.notes:
            typer.echo(f"{name}: {note}")
    return 0


def show_service(folder: Path, place: Place, service: str) -> int:
    """Print what exactly differs of a service from one environment to the next, sizing aside."""
    with told():
        found = {name: view for name, view in views(folder, place, drift=False).items() if view.deployed.release(service)}
        events = record.read(folder)
    if not found:
        raise SandboxError(f"{service} runs in no environment here")
    for name in found:
        first, *rest = status.cell(service, name, found, events, clock())
        typer.echo(f"{name}: {first}" + "".join(f"; {line}" for line in rest))
    names = list(found)
    for first, second in itertools.pairwise(names):
        rows = status.differences(service, first, second, found)
        typer.echo(f"{first} and {second}: {'the same release' if not rows else f'{len(rows)} differences'}")
        for key, one, other in rows:
            typer.echo(f"  {key}: {one} -> {other}")
        commits = [latest.commit[:12] if (latest := found[name].deployed.latest()) else "" for name in (first, second)]
        if commits[0] != commits[1] and all(commits):
            typer.echo(f"  the program itself: commit {commits[0]} -> {commits[1]}")
    return 0
