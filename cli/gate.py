"""`./infra gate`: previews an environment into a plan and judges it. `./infra up` applies exactly that plan."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from cli import server_health
from cli.backends import Backend, parallel_option
from cli.exit_codes import ExitCode
from common.console import say
from common.errors import InfraError
from release import gate as rules
from release import gate_report, journal, sign_offs
from release.gate import GateResult
from release.gate_report import LAYOUTS, Layout
from release.promotion_path import PromotionPath
from release.stack_state import FOUNDATION, STACK_TYPE, StackState, name_of, type_of
from settings.project_files import SERVICES_KEY, environment_file
from settings.promotion import load_promotion

# Options of Pulumi that `up` passes on: they change what is displayed or how fast it works, never what is deployed.
DISPLAY_OPTIONS = frozenset(
    {
        "--diff",
        "--show-sames",
        "--show-reads",
        "--show-replacement-steps",
        "--show-full-output",
        "--debug",
        "-d",
        "--logtostderr",
        "--refresh",
        "-r",
    }
)
UP_ONLY_OPTIONS = frozenset({"--yes", "-y", "--continue-on-error", "--suppress-outputs", "--suppress-progress"})
OPTIONS_WITH_VALUE = frozenset({"--message", "-m", "--parallel", "-p", "--color", "--verbose", "-v"})


@dataclass(frozen=True)
class Options:
    """How someone wants an `up`.

    Attributes:
        expected: Owners whose changes are expected although their configuration is unchanged.
        wait_minutes: How long to wait for another update to finish; 0 to not wait.
        pulumi_options: Options that are passed on to Pulumi.
    """

    expected: tuple[str, ...] = ()
    wait_minutes: float = 0
    pulumi_options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Review:
    """What an update would change, and the gate's result. is_noop: the update would do nothing at all."""

    deployed: StackState
    result: GateResult
    is_noop: bool


def clock() -> datetime:
    """Return the current time; tests replace it."""
    return datetime.now(UTC)


def promotion_path(folder: Path) -> PromotionPath:
    """Return the project's promotion path."""
    return PromotionPath.from_settings(load_promotion(folder))


def gate(folder: Path, backend: Backend, environment: str, layout: str, options: Options) -> int:
    """Print the gate's result. Exit code 0 if it passed, 3 if it failed."""
    if layout not in LAYOUTS:
        say(f"--format is {layout!r}; use {', '.join(LAYOUTS[:-1])} or {LAYOUTS[-1]}")
        return ExitCode.USAGE
    with tempfile.TemporaryDirectory(prefix="plan-") as scratch:
        reviewed = review(folder, backend, environment, Path(scratch) / "plan.json", options)
        groups = server_health.rolled_back_groups(backend, reviewed.deployed, reviewed.deployed.services())
    notes = [f"AWS rolled back the last deployment of {name_of(urn)}; `up` will try it again" for urn in groups]
    notes += journal.problems(folder)
    result = replace(reviewed.result, notes=(*reviewed.result.notes, *notes))
    chosen: Layout = next(name for name in LAYOUTS if name == layout)
    typer.echo(gate_report.render(result, chosen, environment, backend.suffix))
    return ExitCode.SUCCESS if result.passed else ExitCode.GATE_FAILED


def review(folder: Path, backend: Backend, environment: str, plan: Path, options: Options) -> Review:
    """Preview an update, write its plan, and return the gate's result."""
    deployed = backend.state(environment)
    config = rules.requested_config(folder, environment)
    require_known_owners(options.expected, config, environment)
    preview = run_preview(backend, environment, plan, options.pulumi_options)
    expected = rules.changed_owners(deployed, config) | set(options.expected)
    events = journal.read(folder)
    findings = [
        *rules.preview_findings(preview, deployed, expected),
        *rules.provider_findings(json.loads(plan.read_text(encoding="utf-8")), deployed),
        *rules.release_findings(deployed, config, events, backend.name, promotion_path(folder)),
    ]
    changed = [type_of(step["urn"]) for step in preview.get("steps") or [] if step["op"] not in {"same", "read"}]
    changes = sum(kind != STACK_TYPE for kind in changed)
    result = rules.evaluate(findings, sign_offs.read(folder, environment), clock().date(), expected, changes)
    # An update still has work to do if only outputs, options or the recorded configuration would change.
    last = deployed.last_change()
    is_current = last is not None and last.succeeded and deployed.config() == rules.comparable(config)
    return Review(deployed, result, is_noop=not changed and not findings and is_current)


def require_known_owners(owners: Sequence[str], config: dict[str, Any], environment: str) -> None:
    """Refuse `--meant` for a service that the environment does not have."""
    known = {*config[SERVICES_KEY], FOUNDATION, rules.EVERYTHING}
    unknown = sorted(set(owners) - known)
    if unknown:
        raise typer.BadParameter(
            f"--meant {unknown[0]}: {environment_file(environment)} has no such service. Use one of: "
            + ", ".join(sorted(known))
        )


def run_preview(backend: Backend, environment: str, plan: Path, pulumi_options: Sequence[str]) -> dict[str, Any]:
    """Run a preview that writes a plan, and return its report."""
    options = [option for option in pulumi_options if option.partition("=")[0] not in UP_ONLY_OPTIONS]
    command = ["preview", "--stack", environment, "--json", "--save-plan", str(plan), *parallel_option(), *options]
    done = backend.capture(command, environment)
    if done.returncode != 0:
        details = error_messages(done.stdout) or done.stderr.strip()
        raise InfraError(f"the preview of {environment} failed, and nothing was changed:\n{details}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def error_messages(output: str) -> str:
    """Return the errors in a preview's JSON report."""
    start = output.find("{\n")
    try:
        report: dict[str, Any] = json.loads(output[start:])
    except ValueError:
        return output.strip()
    diagnostics = report.get("diagnostics") or []
    return "\n".join(entry["message"].strip() for entry in diagnostics if entry.get("severity") == "error")


def disallowed_option(pulumi_options: Sequence[str]) -> str:
    """Return the first option that may not be passed on to Pulumi; empty if all may."""
    words = iter(pulumi_options)
    for word in words:
        name, equals, _ = word.partition("=")
        if name in OPTIONS_WITH_VALUE:
            if not equals:
                next(words, "")
        elif name not in DISPLAY_OPTIONS | UP_ONLY_OPTIONS:
            return word
    return ""
