"""`./infra up`: previews an environment, runs the gate, applies exactly what passed, and waits for the servers.

If new servers fail, it returns them to the release that ran before.
"""

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from cli import attempts, deployed_program, event_log, preflight, queue, recovery, server_health, server_rollback
from cli.backends import AWS, Backend, CommandResult, parallel_option
from cli.exit_codes import ExitCode
from cli.gate import Options, clock, disallowed_option, remember_releases, review
from common.console import count, say
from common.errors import InfraError
from release import gate as rules
from release import gate_report, journal, outcomes
from release.environment_file import read_text, releases_in
from release.outcomes import GateRecord
from release.stack_state import (
    PROVIDER_PREFIX,
    StackState,
    fingerprint,
    is_same_release,
    type_of,
)

WHEN_LOCKED = "Run the same command again when it has finished, or add --wait MINUTES to wait in the queue."
ATTEMPTS = 5  # how often an environment may change between its preview and its update before `up` gives up
COLUMNS = ("address", "release", "servers", "database")


@dataclass(frozen=True)
class Applied:
    """What became of an update.

    Attributes:
        result: How Pulumi ended; None if the gate failed.
        gate: What the journal records about the gate.
        expected: The owners that the update concerns; None if that is everyone.
    """

    result: CommandResult | None
    gate: GateRecord
    expected: tuple[str, ...] | None = None

    def concerns(self, service: str) -> bool:
        """Tell whether the update was meant to change a service."""
        return self.expected is None or service in self.expected


def up(folder: Path, backend: Backend, environment: str, options: Options) -> int:
    """Deploy an environment when it is this process's turn, and print what is deployed."""
    disallowed = disallowed_option(options.pulumi_options)
    if disallowed:
        say(
            f"{disallowed} cannot be used with `./infra up`, which applies exactly what it has previewed and checked. "
            f"To update without the gate:\n  {backend.pulumi} up --stack {environment} ..."
        )
        return ExitCode.USAGE
    if backend.name == AWS and options.preflight and preflight.preflight(folder, backend, environment):
        command = f"  ./infra up {environment}{backend.suffix} --no-preflight"
        say(f"nothing was changed, because AWS would refuse a part of {environment}. To deploy it anyway:\n{command}")
        return ExitCode.FAILED
    deadline = time.monotonic() + options.wait_minutes * 60
    while True:
        minutes = max(deadline - time.monotonic(), 0) / 60
        queue_folder = backend.queue_folder(environment)
        try:
            with queue.turn(queue_folder, environment, lambda: backend.locked_by(environment), minutes):
                exit_code = deploy(folder, backend, environment, options)
            break
        except queue.LockedError as error:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                say(f"{error} {WHEN_LOCKED}")
                return ExitCode.LOCKED
            # Who holds a lock on another machine is only known by trying, so try again.
            say(f"{error} Waiting for up to {remaining / 60:.0f} min.")
            time.sleep(queue.POLL_SECONDS)
    if exit_code == ExitCode.SUCCESS:
        print_services(backend, environment)
    return exit_code


def deploy(folder: Path, backend: Backend, environment: str, options: Options) -> int:
    """Update an environment and report what became of it."""
    recovery.recover(backend, environment)
    deployed = backend.state(environment)
    servers = server_rollback.ServersBefore()
    if has_resources(deployed):
        servers = server_rollback.look_at_servers(backend, deployed)
        with tempfile.TemporaryDirectory(prefix="plan-") as scratch:
            applied = gated_update(folder, backend, environment, Path(scratch) / "plan.json", options)
    else:
        applied = first_update(folder, backend, deployed, options)
    if applied.result is None:
        return ExitCode.GATE_FAILED
    if applied.result.locked_by:
        raise queue.LockedError(
            f"another process started to update {environment} in the meantime: {applied.result.locked_by}. "
            "Nothing was changed."
        )
    after = backend.state(environment)
    if after.last_success() != deployed.last_success():  # otherwise this program has deployed nothing
        deployed_program.remember(folder, backend, after)
    if applied.result.exit_code:
        return report_failure(folder, backend, after, applied)
    return report_success(folder, backend, after, applied, servers)


def has_resources(deployed: StackState) -> bool:
    """Tell whether a stack has any resource besides providers and components."""
    custom = [resource for resource in deployed.resources if resource.get("custom")]
    return any(not type_of(resource["urn"]).startswith(PROVIDER_PREFIX) for resource in custom)


def first_update(folder: Path, backend: Backend, deployed: StackState, options: Options) -> Applied:
    """Create an environment. There is nothing that the gate could protect, but a held release is still refused."""
    environment = deployed.stack
    config, events = rules.requested_config(folder, environment), journal.read(folder)
    holds = rules.held_findings(deployed, config, events)
    if holds:
        raise InfraError("\n".join(f"{finding.owner}: {finding.message}" for finding in holds))
    remember_releases(backend, environment, config)
    command = ["up", "--stack", environment, "--yes", *parallel_option(), *options.pulumi_options]
    result = run_noted(backend, environment, command, config, was_empty=True)
    return Applied(result, GateRecord(["not run: the environment was empty"]))


def gated_update(folder: Path, backend: Backend, environment: str, plan: Path, options: Options) -> Applied:
    """Preview, run the gate, and apply exactly the plan to exactly the state that it was made for."""
    for _ in range(ATTEMPTS):
        reviewed = review(folder, backend, environment, plan, options)
        result = reviewed.result
        gate = GateRecord(gate_report.summary(result), result.used)
        typer.echo(gate_report.render(result, "text", environment, backend.suffix))
        if not result.passed:
            return Applied(None, gate)
        if reviewed.is_noop:
            resources = count(len(reviewed.deployed.resources), "resource")
            typer.echo(f"{environment} is up to date: {resources}, nothing to change.")
            return Applied(CommandResult(0), gate, ())
        if backend.state(environment).digest != reviewed.deployed.digest:
            say(f"{environment} changed while its preview was being checked. Previewing again.")
            continue
        config = rules.requested_config(folder, environment)
        remember_releases(backend, environment, config)
        command = ["up", "--stack", environment, "--yes", "--plan", str(plan), *parallel_option()]
        concerned = tuple(sorted({*result.expected, *result.affected}))
        command += options.pulumi_options
        applied = run_noted(backend, environment, command, config, was_empty=False)
        return Applied(applied, gate, concerned)
    raise InfraError(
        f"{environment} changed {ATTEMPTS} times while its preview was being checked. Someone else is updating it; "
        "run the same command again when they have finished."
    )


def run_noted(
    backend: Backend, environment: str, command: Sequence[str], config: Mapping[str, Any], *, was_empty: bool
) -> CommandResult:
    """Run an update, and leave on this machine what the next command needs if it is cut off."""
    memory = backend.memory_folder(environment)
    with attempts.noted(memory, config, was_empty=was_empty):
        result = backend.run([*command, *event_log.options(memory)], environment)
    if not result.exit_code:
        event_log.forget(memory)
    return result


def report_failure(folder: Path, backend: Backend, deployed: StackState, applied: Applied) -> int:
    """Record and explain a failed update."""
    environment = deployed.stack
    events = journal.read(folder)
    issues = deployed.health_issues("") or ["the update stopped before it changed anything"]
    for service, release in releases_in(read_text(folder, environment)).items():
        move = journal.pending_move(events, service, environment, backend.name)
        is_missing = not is_same_release(deployed.release(service), release)
        if move and move.fingerprint == fingerprint(release) and is_missing:
            outcomes.record_outcome(folder, move, issues, applied.gate, clock())
    if applied.expected is not None:
        say(
            'lines such as "expected resource operations ... but none were seen" only mean that the update stopped '
            "before these resources. Another line has the cause."
        )
    command = f"  ./infra up {environment}{backend.suffix}"
    if deployed.pending:
        say(f"some operations did not complete. To find out what became of them, and continue:\n{command}")
    else:
        say(f"everything that was created is kept. Fix the error above, then run the same command again:\n{command}")
    return ExitCode.FAILED


def report_success(
    folder: Path, backend: Backend, deployed: StackState, applied: Applied, servers: server_rollback.ServersBefore
) -> int:
    """Wait for the servers that the update concerns, record what was deployed, and report what is unhealthy.

    Servers that fail return to the version that ran before. Another service's trouble is reported, but fails nobody's
    update. If there was nothing to update, servers that an earlier update left unfinished are this one's business.
    """
    events = journal.read(folder)

    def is_concerned(service: str) -> bool:
        pending = journal.pending_move(events, service, deployed.stack, backend.name)
        is_unfinished = applied.expected == () and service in servers.unfinished
        return applied.concerns(service) or pending is not None or is_unfinished

    services = [service for service in deployed.services() if is_concerned(service)]
    try:
        failing = server_health.wait_for_servers(backend, deployed, services)
        issues = server_health.server_issues(backend, deployed, deployed.services(), failing)
    except KeyboardInterrupt:
        say(f"stopped waiting; AWS continues to replace servers. To see the result:\n  ./infra status{backend.suffix}")
        record_unobserved(folder, backend, deployed, applied.gate)
        return ExitCode.UNHEALTHY
    except InfraError:
        record_unobserved(folder, backend, deployed, applied.gate)
        raise
    messages = {service: [issue.message for issue in group] for service, group in issues.items()}
    record_observed(folder, backend, deployed, messages, applied.gate)
    report_new_holds(folder, backend, deployed)
    for service, reasons in messages.items():
        if reasons and service not in services:
            say(f"not part of this update, but unhealthy: {service}: {'; '.join(reasons)}")
    failed = {service: messages[service] for service in services if messages[service]}
    if not failed:
        return ExitCode.SUCCESS
    report_unhealthy(failed)
    server_rollback.roll_back(backend, deployed, list(failed), servers.healthy)
    return ExitCode.UNHEALTHY


def report_new_holds(folder: Path, backend: Backend, deployed: StackState) -> None:
    """Report deployed releases that are on hold, because someone held them while the update ran."""
    events = journal.read(folder)
    for service in deployed.services():
        hold = journal.active_hold(events, service, deployed.release(service) or {})
        if hold:
            say(
                f"{service} {hold.version} is deployed to {deployed.stack}, but on hold by {hold.by}: {hold.reason}. "
                "To return to the previous release:\n"
                f"  ./infra rollback {service} {deployed.stack} --reason ... --up{backend.suffix}"
            )


def record_observed(
    folder: Path, backend: Backend, deployed: StackState, issues: Mapping[str, Sequence[str]], gate: GateRecord
) -> None:
    """Record which moved releases were deployed, and say so."""
    events = outcomes.record_outcomes(folder, deployed, issues=issues, gate=gate, now=clock(), backend=backend.name)
    for event in events:
        if event.kind == "deployed":
            typer.echo(
                f"{event.service} {event.version} is deployed to {event.environment}. "
                f"Commit its new file in {journal.FOLDER}/{event.service}/"
            )


def record_unobserved(folder: Path, backend: Backend, deployed: StackState, gate: GateRecord) -> None:
    """Record that an update succeeded but nobody saw whether its servers became healthy.

    This keeps the approvals that the gate needed.
    """
    unknown = ["Pulumi's update succeeded, but nobody waited to see whether the servers became healthy"]
    issues = dict.fromkeys(deployed.services(), unknown)
    outcomes.record_outcomes(folder, deployed, issues=issues, gate=gate, now=clock(), backend=backend.name)


def report_unhealthy(failed: Mapping[str, Sequence[str]]) -> None:
    """Explain that the servers of an update are unhealthy."""
    lines = [f"  - {service}: {message}" for service, messages in failed.items() for message in messages]
    say("\n".join(["Pulumi's update succeeded, but these servers are unhealthy:", *lines]))


def print_services(backend: Backend, environment: str) -> None:
    """Print the deployed services and what to do next."""
    done = backend.capture(["stack", "output", "--json", "--stack", environment], environment)
    outputs: Mapping[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    domain = outputs.get("environment", {}).get("domain", "")
    table = Table("service", title=f"{environment}: {domain}", title_justify="left")
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for name, service in sorted(outputs.get("services", {}).items()):
        table.add_row(name, *(str(service.get(column, "")) for column in COLUMNS))
    console = Console()
    console.print(table)
    for line in backend.next_steps(environment):
        console.print(line, highlight=False)
