"""The verbs of promotion, on the stacks of this clone's sandbox."""

import difflib
import json
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from cli import stacks
from release import gate as gates
from release import promote as promotion
from release import record
from release.deployed import Deployed, read
from release.promote import RefusedError, Request
from sandbox.errors import SandboxError
from sandbox.session import PARALLEL, Session, open_session

GATE_CLOSED = 3


def clock() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def deployed(environment: str) -> tuple[Session, Deployed]:
    """Return a stack as it is."""
    session = stacks.ready(environment)

    def pulumi(arguments: Sequence[str]) -> str:
        done = session.capture(list(arguments), environment)
        if done.returncode != 0:
            raise SandboxError(f"pulumi {' '.join(arguments)} failed: {done.stderr.strip()}")
        return done.stdout

    return session, read(environment, pulumi)


def refuse(error: Exception) -> int:
    """Say why nothing was done."""
    reasons = str(error).splitlines()
    sys.stderr.write("infra: refused; nothing was changed:\n" + "".join(f"  - {reason}\n" for reason in reasons))
    return 1


def show_difference(before: str, after: str, file: str) -> None:
    """Print what changed in a file."""
    typer.echo("".join(difflib.unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), file, file)), nl=False)


def promote(folder: Path, request: Request, *, then_up: bool) -> int:
    """Move a release, and with --up gate it and bring the target up."""
    try:
        _, source = deployed(request.source)
        before, after, event = promotion.promote(folder, request, source, clock())
    except (RefusedError, record.RecordError) as error:
        return refuse(error)
    show_difference(before, after, promotion.file_of(request.target))
    typer.echo(f"{event.service} {event.version}: {request.source} -> {request.target}. Looked at: {'; '.join(event.checks)}.")
    if not then_up:
        typer.echo(f"next: commit both files, then `./infra gate {request.target}` and `./infra up {request.target}`")
        return 0
    return gated_up(folder, request.target)


def gated_up(folder: Path, environment: str) -> int:
    """Preview into a plan, gate it, and apply exactly that plan."""
    with tempfile.TemporaryDirectory(prefix="plan-") as scratch:
        plan = Path(scratch) / "plan.json"
        session, verdict = judged(folder, environment, plan)
        typer.echo(gates.show(verdict, "text"))
        if verdict.refused:
            return GATE_CLOSED
        session.refuse_if_locked(environment)
        status = session.run(["up", "--stack", environment, "--yes", "--plan", str(plan), "--parallel", str(PARALLEL)], environment)
    if status == 0:
        stacks.show_services(session, environment)
    return status


def judged(folder: Path, environment: str, plan: Path) -> tuple[Session, gates.Verdict]:
    """Return the gate's verdict on what `up` would do; the plan is written for it."""
    session, state = deployed(environment)
    done = session.capture(["preview", "--stack", environment, "--json", "--save-plan", str(plan), "--parallel", str(PARALLEL)], environment)
    if done.returncode != 0:
        raise SandboxError(f"the preview of {environment} failed:\n{messages(done.stdout) or done.stderr.strip()}")
    wanted = gates.wanted_config(folder, environment)
    meant = gates.changed_blocks(state, wanted)
    found = gates.findings(json.loads(done.stdout), state, meant) + gates.provider_findings(json.loads(plan.read_text(encoding="utf-8")), state)
    return session, gates.judge(found, gates.read_sign_offs(folder), clock().date(), meant)


def messages(output: str) -> str:
    """Return the errors of a preview in JSON."""
    try:
        report: dict[str, Any] = json.loads(output)
    except ValueError:
        return output.strip()
    return "\n".join(entry["message"].strip() for entry in report.get("diagnostics") or [] if entry.get("severity") == "error")


def gate(folder: Path, environment: str, layout: str) -> int:
    """Print the gate's verdict; 0 open, 3 closed."""
    if layout not in {"text", "markdown", "json"}:
        sys.stderr.write(f"infra: --format is {layout!r}; it must be text, markdown or json\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="plan-") as scratch:
        try:
            _, verdict = judged(folder, environment, Path(scratch) / "plan.json")
        except ValueError as error:
            return refuse(error)
    typer.echo(gates.show(verdict, layout))
    return GATE_CLOSED if verdict.refused else 0


def rollback(folder: Path, service: str, environment: str, reason: str) -> int:
    """Put the release before back, and hold the bad one."""
    try:
        before, after, events = promotion.roll_back(folder, service, environment, reason, clock())
    except (RefusedError, record.RecordError) as error:
        return refuse(error)
    show_difference(before, after, promotion.file_of(environment))
    typer.echo(f"{service} {events[0].version} is held everywhere; {environment} has {events[1].version} again in its file.")
    typer.echo(f"next: commit, then `./infra gate {environment}` and `./infra up {environment}`")
    return 0


def hold(folder: Path, service: str, version: str, reason: str, *, lift: bool) -> int:
    """Hold a release, or lift its hold."""
    try:
        event = promotion.set_hold(folder, service, version, reason, clock(), lift=lift)
    except (RefusedError, record.RecordError) as error:
        return refuse(error)
    typer.echo(f"{event.service} {event.version}: {'the hold is lifted' if lift else 'held everywhere'}")
    return 0


def history(folder: Path, service: str) -> int:
    """Print the record of a service."""
    events = record.read(folder, service)
    for event in events:
        where = " -> ".join(filter(None, [event.source, event.environment]))
        typer.echo(f"{event.at[:16].replace('T', ' ')}  {event.kind:12} {event.version:10} {where:16} {event.by}" + (f"  ({event.reason})" if event.reason else ""))
    if not events:
        typer.echo(f"the record has nothing of {service} yet")
    return 0


def status(folder: Path) -> int:
    """Print which release of each service runs where, since when, and what is odd about it."""
    session = open_session()
    environments = [name for name in promotion.PATH if (folder / promotion.file_of(name)).exists() and session.state_file(name).exists()]
    if not environments:
        typer.echo("no environment is up in this clone's sandbox: ./infra up alpha")
        return 0
    states = {name: deployed(name)[1] for name in environments}
    events = record.read(folder)
    table = Table("service", *environments)
    services = sorted({name for text in promotion.texts(folder) for name in promotion.services_in(text)})
    for service in services:
        table.add_row(service, *(cell(service, name, environments, states, events) for name in environments))
    Console().print(table)
    return 0


def cell(service: str, environment: str, environments: list[str], states: dict[str, Deployed], events: list[record.Event]) -> str:
    """Return what the table says of a service in an environment."""
    release, since = states[environment].release(service), states[environment].since(service)
    if release is None:
        return "-"
    notes = [f"since {since:%Y-%m-%d %H:%M}"] if since else []
    if record.held(events, service, release.get("version"), release.get("image")):
        notes.append("HELD")
    index = environments.index(environment)
    if index + 1 < len(environments):
        soak = promotion.SOAK.get((environment, environments[index + 1]))
        if since and soak and clock() - since < soak:
            notes.append(f"soaking, {promotion.in_words(soak - (clock() - since))} left")
    if index:
        before = states[environments[index - 1]].release(service)
        if before and before != release:
            notes.append(f"behind {environments[index - 1]} ({before.get('version')})")
    notes += states[environment].troubles(service)[:1]
    return "\n".join([str(release.get("version")), *notes])
