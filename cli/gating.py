"""`./infra up` and `./infra gate`: what would change is previewed into a plan, the plan is gated, and exactly it is applied."""

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from cli import aws_health, queueing
from cli.places import Outcome, Place, parallel
from release import gate as gates
from release import promote, record, sign_offs
from release.deployed import FOUNDATION, SERVICES_KEY, STACK_TYPE, Deployed, fingerprint, type_of
from sandbox.console import tell
from sandbox.errors import SandboxError
from sandbox.session import pending_message

REFUSED, USAGE, GATE_CLOSED, LOCKED, NOT_UP = 1, 2, 3, 4, 5  # docs/promotion.md says what each means
ATTEMPTS = 5  # how often an environment may change between its preview and its update before this gives up
FOR_UP_ONLY = {"--yes", "-y", "--continue-on-error", "--suppress-outputs", "--suppress-progress"}
# What may be passed on to Pulumi: what changes how it is shown or how hard it works, never what is previewed, gated or applied.
SHOWING = {"--diff", "--show-sames", "--show-reads", "--show-replacement-steps", "--show-full-output", "--debug", "-d", "--logtostderr", "--refresh", "-r"} | FOR_UP_ONLY
WITH_VALUE = {"--message", "-m", "--parallel", "-p", "--color", "--verbose", "-v"}


@dataclass(frozen=True)
class Options:
    """How somebody wants an `up`.

    meant: services (or foundation, everything) whose change is meant though their block is not changed. wait_minutes: for
    another's update to end. passed_on: to Pulumi.
    """

    meant: tuple[str, ...] = ()
    wait_minutes: float = 0
    passed_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judged:
    """What would change, and the gate's word on it. idle: an update would do nothing at all."""

    deployed: Deployed
    verdict: gates.Verdict
    idle: bool


@dataclass(frozen=True)
class Applied:
    """What became of an update: None where the gate is closed; what the gate said; and whose change was meant, None for everybody's."""

    outcome: Outcome | None
    gates: list[str]
    meant: tuple[str, ...] | None = None

    def is_of(self, service: str) -> bool:
        """Tell whether a service's change was meant."""
        return self.meant is None or service in self.meant or gates.EVERYTHING in self.meant


def clock() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def judged(folder: Path, place: Place, environment: str, plan: Path, options: Options) -> Judged:
    """Return the gate's verdict on what `up` would do; the plan is written for it."""
    deployed = place.deployed(environment)
    wanted = gates.wanted_config(folder, environment)
    known = {*wanted[SERVICES_KEY], FOUNDATION, gates.EVERYTHING}
    unknown = sorted(set(options.meant) - known)
    if unknown:
        raise typer.BadParameter(f"--meant {unknown[0]}: no such service in {promote.file_of(environment)}. There are {', '.join(sorted(known))}")
    passed_on = [option for option in options.passed_on if option.partition("=")[0] not in FOR_UP_ONLY]
    done = place.capture(["preview", "--stack", environment, "--json", "--save-plan", str(plan), *parallel(), *passed_on], environment)
    if done.returncode != 0:
        raise SandboxError(f"the preview of {environment} failed:\n{messages(done.stdout) or done.stderr.strip()}")
    preview = json.loads(done.stdout)
    meant = gates.changed_blocks(deployed, wanted) | set(options.meant)
    found = [
        *gates.findings(preview, deployed, meant),
        *gates.provider_findings(json.loads(plan.read_text(encoding="utf-8")), deployed),
        *gates.release_findings(deployed, wanted, record.read(folder), place.name),
    ]
    changed = [type_of(step["urn"]) for step in preview.get("steps") or [] if step["op"] not in {"same", "read"}]
    verdict = gates.judge(found, sign_offs.read(folder, environment), clock().date(), meant, sum(kind != STACK_TYPE for kind in changed))
    last = deployed.last_change()
    # Something is left to do where only outputs, options or the record of what runs would change.
    idle = not changed and not found and last is not None and last.succeeded and deployed.config() == gates.comparable(wanted)
    return Judged(deployed, verdict, idle)


def messages(output: str) -> str:
    """Return the errors of a preview in JSON."""
    start = output.find("{\n")
    try:
        report: dict[str, Any] = json.loads(output[start:])
    except ValueError:
        return output.strip()
    return "\n".join(entry["message"].strip() for entry in report.get("diagnostics") or [] if entry.get("severity") == "error")


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turn what the record or a sign-off is wrong about into the one error that the command line tells."""
    try:
        yield
    except (record.RecordError, sign_offs.SignOffError, promote.RefusedError) as error:
        raise SandboxError(str(error)) from error


def gate(folder: Path, place: Place, environment: str, layout: str, options: Options) -> int:
    """Print the gate's verdict; 0 open, 3 closed."""
    if layout not in {"text", "markdown", "json"}:
        sys.stderr.write(f"infra: --format is {layout!r}; it must be text, markdown or json\n")
        return USAGE
    with tempfile.TemporaryDirectory(prefix="plan-") as scratch, told():
        found = judged(folder, place, environment, Path(scratch) / "plan.json", options)
        back = aws_health.taken_back(place, found.deployed, found.deployed.services())
    notes = [f"AWS took the last deployment of {urn.rsplit('::', 1)[-1]} back; `up` tries it again" for urn in back]
    verdict = replace(found.verdict, notes=(*found.verdict.notes, *notes))
    typer.echo(gates.show(verdict, layout, environment, place.suffix))
    return GATE_CLOSED if verdict.refused else 0


def up(folder: Path, place: Place, environment: str, options: Options) -> int:
    """Bring an environment up: gate what would change, apply exactly that, wait for its servers, and record what arrived."""
    forbidden = not_for_up(options.passed_on)
    if forbidden:
        sys.stderr.write(
            f"infra: {forbidden} is not for `./infra up`, which applies exactly what it has previewed and gated. Ungated: {place.pulumi} up --stack {environment} ...\n"
        )
        return USAGE
    deadline = time.monotonic() + options.wait_minutes * 60
    while True:
        left = max(deadline - time.monotonic(), 0)
        try:
            with told(), queueing.turn(place.queue_folder(environment), environment, lambda: place.locked_by(environment), left / 60):
                status = up_in_turn(folder, place, environment, options)
            break
        except queueing.LockedError as error:
            if not left:
                sys.stderr.write(f"infra: {error}\n")
                return LOCKED
            # Who has the lock on another machine is only known by trying, so it is tried again.
            tell(f"{error} Waiting, for {left / 60:.0f} min at most")
            time.sleep(queueing.LOOK_SECONDS)
    if status == 0:
        show_services(place, environment)
    return status


def not_for_up(passed_on: Sequence[str]) -> str:
    """Return the first option that may not be passed on, or an empty text."""
    words = iter(passed_on)
    for word in words:
        name, equals, _ = word.partition("=")
        if name in WITH_VALUE:
            if not equals:
                next(words, "")
        elif name not in SHOWING:
            return word
    return ""


def show_services(place: Place, environment: str) -> None:
    """Print the table of what now exists, and what to type next."""
    done = place.capture(["stack", "output", "--json", "--stack", environment], environment)
    outputs: Mapping[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    table = Table(title=f"{environment}: {outputs.get('environment', {}).get('domain', '')}", title_justify="left")
    columns = ("address", "release", "servers", "database")
    for column in ("service", *columns):
        table.add_column(column, overflow="fold")
    for name, service in sorted(outputs.get("services", {}).items()):
        table.add_row(name, *(str(service.get(column, "")) for column in columns))
    console = Console()
    console.print(table)
    for line in place.next_steps(environment):
        console.print(line, highlight=False)


def up_in_turn(folder: Path, place: Place, environment: str, options: Options) -> int:
    """Do what `up` does, when it is one's turn."""
    deployed = place.deployed(environment)
    if deployed.pending:
        raise SandboxError(pending_message(environment, deployed.pending, place.pulumi))
    if not [resource for resource in deployed.resources if resource.get("custom") and not type_of(resource["urn"]).startswith("pulumi:providers:")]:
        held = [finding for finding in gates.release_findings(deployed, gates.wanted_config(folder, environment), record.read(folder), place.name) if finding.rule == "held"]
        if held:
            raise SandboxError("\n".join(f"{finding.urn.rsplit('::', 1)[-1]} {finding.message}" for finding in held))
        applied = Applied(place.update(["up", "--stack", environment, "--yes", *parallel(), *options.passed_on], environment), ["nothing was there: everything is new"])
    else:
        mend_what_aws_took_back(place, deployed)
        with tempfile.TemporaryDirectory(prefix="plan-") as scratch:
            applied = gated_update(folder, place, environment, Path(scratch) / "plan.json", options)
    if applied.outcome is None:
        return GATE_CLOSED
    if applied.outcome.locked_by:
        raise queueing.LockedError(f"another process began to change {environment} just now: {applied.outcome.locked_by}. Nothing was done.")
    after = place.deployed(environment)
    return after_failure(folder, place, after, applied) if applied.outcome.status else after_success(folder, place, after, applied)


def gated_update(folder: Path, place: Place, environment: str, plan: Path, options: Options) -> Applied:
    """Preview, gate, and apply exactly the plan, on the very state that was gated."""
    for _ in range(ATTEMPTS):
        found = judged(folder, place, environment, plan, options)
        verdict = found.verdict
        typer.echo(gates.show(verdict, "text", environment, place.suffix))
        if verdict.refused:
            return Applied(None, [])
        if found.idle:
            typer.echo(f"{environment}: nothing to change; {len(found.deployed.resources)} resources are as they should be")
            return Applied(Outcome(0), verdict.in_words(), ())
        if place.deployed(environment).digest != found.deployed.digest:
            tell(f"{environment} was changed while its preview was gated: looking again")
            continue
        outcome = place.update(["up", "--stack", environment, "--yes", "--plan", str(plan), *parallel(), *options.passed_on], environment)
        return Applied(outcome, verdict.in_words(), verdict.changed_services)
    raise SandboxError(f"{environment} was changed {ATTEMPTS} times while its preview was gated: somebody else is at work there. Run the same command again")


def mend_what_aws_took_back(place: Place, deployed: Deployed) -> None:
    """Let Pulumi's state say what is so where AWS took a deployment back: else it would find nothing to do."""
    for urn in aws_health.taken_back(place, deployed, deployed.services()):
        tell(f"AWS took the last deployment of {urn.rsplit('::', 1)[-1]} back, and Pulumi's state does not know it: refreshing that")
        done = place.capture(["refresh", "--stack", deployed.stack, "--yes", "--skip-preview", "--target", urn], deployed.stack)
        if done.returncode != 0:
            raise SandboxError(f"the state of {urn} could not be refreshed: {done.stderr.strip() or done.stdout.strip()}")


def after_failure(folder: Path, place: Place, deployed: Deployed, applied: Applied) -> int:
    """Record and say how an update failed."""
    environment = deployed.stack
    events = record.read(folder)
    why = deployed.troubles("") or ["the update was stopped before it changed anything"]
    for service, release in promote.releases_in(promote.read_text(folder, environment)).items():
        move = record.on_its_way(events, service, environment, place.name)
        if move and move.release == fingerprint(release) and deployed.release(service) != release:
            promote.outcome(folder, move, why, applied.gates, clock())
    if applied.meant is not None:
        sys.stderr.write('infra: "expected resource operations ... but none were seen" only says that the update stopped before these; the reason is another line.\n')
    if deployed.pending:
        sys.stderr.write(f"infra: some operations did not end; `./infra up {environment}{place.suffix}` will say how to go on.\n")
    else:
        sys.stderr.write(f"infra: what was made is kept, nothing is lost. Mend the reason above; `./infra up {environment}{place.suffix}` goes on from there.\n")
    return REFUSED


def not_seen(folder: Path, place: Place, deployed: Deployed, gated: Sequence[str]) -> None:
    """Record that an update ended well and nobody saw whether its servers came up: what the gate said of it is not to be lost."""
    unseen = {service: ["Pulumi's update ended well; nobody saw whether its servers came up"] for service in deployed.services()}
    promote.arrivals(folder, deployed.stack, deployed, troubles=unseen, gates=gated, at=clock(), place=place.name)


def after_success(folder: Path, place: Place, deployed: Deployed, applied: Applied) -> int:
    """Wait for the servers of whose change was meant, record what arrived, and say what is not well: another's trouble is told, and fails nobody's update."""
    events, gated = record.read(folder), applied.gates
    services = [service for service in deployed.services() if applied.is_of(service) or record.on_its_way(events, service, deployed.stack, place.name)]
    try:
        aws_health.wait_for_servers(place, deployed, services)
        unhealthy = aws_health.unhealthy(place, deployed, deployed.services())
    except KeyboardInterrupt:
        sys.stderr.write(f"infra: not waiting any longer; AWS goes on replacing servers by itself. `./infra status{place.suffix}` tells how it ends.\n")
        not_seen(folder, place, deployed, gated)
        return NOT_UP
    except SandboxError:
        not_seen(folder, place, deployed, gated)
        raise
    for event in promote.arrivals(folder, deployed.stack, deployed, troubles=unhealthy, gates=gated, at=clock(), place=place.name):
        if event.kind == "arrive":
            typer.echo(f"{event.service} {event.version} has arrived in {event.environment}: commit its new file below {record.FOLDER}/{event.service}/")
    for service, troubles in unhealthy.items():
        if troubles and service not in services:
            sys.stderr.write(f"infra: not of this update, but not well: {service}: {'; '.join(troubles)}\n")
    bad = [f"{service}: {trouble}" for service in services for trouble in unhealthy[service]]
    if not bad:
        return 0
    sys.stderr.write(
        "infra: Pulumi's update ended well, and these servers did not come up:\n"
        + "".join(f"  - {line}\n" for line in bad)
        + f"Look at the service's log and alarms. `./infra rollback SERVICE {deployed.stack} --reason ...{place.suffix}` puts the release before back; `./infra up {deployed.stack}{place.suffix}` tries this one again.\n"
    )
    return NOT_UP
