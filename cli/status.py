"""`./infra status`: which release runs where, and how one service differs between environments."""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import typer
from rich import table as rich_table
from rich.console import Console

from cli import server_health
from cli.backends import Backend, parallel_option
from cli.gate import clock, promotion_path
from common.console import count
from common.errors import InfraError
from release import journal, status
from release.environment_file import read_text, releases_in
from release.stack_state import FOUNDATION, StackState
from release.status import EnvironmentView, Table
from settings.project_files import environment_names

NOTHING_DEPLOYED = "No environment is deployed here yet. To deploy one:\n  ./infra up alpha"
COMMIT_LENGTH = 12
PARALLEL_ENVIRONMENTS = 4


def view_of(folder: Path, backend: Backend, environment: str, *, with_drift: bool) -> EnvironmentView:
    """Return one environment according to its stack, its file and AWS."""
    deployed = backend.state(environment)
    requested = releases_in(read_text(folder, environment))
    unhealthy: dict[str, list[str]] = {}
    drift: dict[str, list[str]] | None = None
    notes = []
    try:  # one account that this shell cannot read does not hide the other environments
        issues = server_health.server_issues(backend, deployed, deployed.services())
        unhealthy = {service: [issue.message for issue in group] for service, group in issues.items()}
        drift = find_drift(backend, deployed) if with_drift and not deployed.pending else None
    except InfraError as error:
        notes.append(str(error))
    return EnvironmentView(deployed, requested, drift, unhealthy, notes)


def find_drift(backend: Backend, deployed: StackState) -> dict[str, list[str]]:
    """Return what differs from Pulumi's state, by service."""
    command = ["refresh", "--stack", deployed.stack, "--preview-only", "--json", *parallel_option()]
    done = backend.capture(command, deployed.stack)
    if done.returncode != 0:
        details = done.stderr.strip() or done.stdout.strip()[-2000:]
        raise InfraError(f"cannot compare {deployed.stack} with AWS: {details}")
    return status.drift_by_owner(json.loads(done.stdout), deployed)


def read_table(folder: Path, backend: Backend, *, with_drift: bool) -> Table:
    """Return every deployed environment, in the order of the promotion path."""
    path = promotion_path(folder)
    names = [name for name in sorted(environment_names(folder), key=path.sort_key) if backend.exists(name)]
    with ThreadPoolExecutor(max_workers=PARALLEL_ENVIRONMENTS) as pool:
        views = list(pool.map(lambda name: view_of(folder, backend, name, with_drift=with_drift), names))
    deployed = {name: view for name, view in zip(names, views, strict=True) if view.deployed.resources}
    return Table(deployed, journal.read(folder), path, clock())


def show_all(folder: Path, backend: Backend, *, with_drift: bool) -> int:
    """Print a table of services and environments."""
    table = read_table(folder, backend, with_drift=with_drift)
    if not table.views:
        typer.echo(NOTHING_DEPLOYED)
        return 0
    printed = rich_table.Table("service", *table.views, show_lines=True)
    services = {name for view in table.views.values() for name in [*view.requested, *view.deployed.services()]}
    for service in sorted(services):
        printed.add_row(service, *("\n".join(status.cell(service, name, table)) for name in table.views))
    drift = [", ".join((view.drift or {}).get(FOUNDATION, ())) for view in table.views.values()]
    if any(drift):
        printed.add_row(FOUNDATION, *(f"drift: {names}" if names else "" for names in drift))
    Console().print(printed)
    for name, view in table.views.items():
        for note in view.notes:
            typer.echo(f"{name}: {note}")
    return 0


def show_service(folder: Path, backend: Backend, service: str) -> int:
    """Print how a service's release differs from one environment to the next."""
    table = read_table(folder, backend, with_drift=False)
    names = [name for name, view in table.views.items() if view.deployed.release(service)]
    if not names:
        raise InfraError(f"{service} is not deployed to any environment here")
    for name in names:
        typer.echo(f"{name}: " + "; ".join(status.cell(service, name, table)))
    for first, second in itertools.pairwise(names):
        differences = status.differences(service, first, second, table.views)
        summary = count(len(differences), "difference") if differences else "the same release"
        typer.echo(f"{first} and {second}: {summary}")
        for key, one, other in differences:
            typer.echo(f"  {key}: {one} -> {other}")
        commits = [last_commit(table.views[name].deployed) for name in (first, second)]
        if all(commits) and commits[0] != commits[1]:
            typer.echo(f"  the Pulumi program: commit {commits[0]} -> {commits[1]}")
    return 0


def last_commit(deployed: StackState) -> str:
    """Return the commit of the program that was deployed last; empty if unknown."""
    update = deployed.last_success()
    return update.commit[:COMMIT_LENGTH] if update else ""
