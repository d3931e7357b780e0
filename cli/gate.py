"""`./infra gate` and `./infra approve`: previews an environment, judges the changes, and approves exactly those.

`./infra up` applies exactly the plan of the preview that passed.
"""

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer
from ruamel.yaml import YAML

from cli import previews, server_health
from cli.backends import Backend
from cli.exit_codes import ExitCode
from common.console import say
from common.errors import InfraError
from common.files import read_json, write_private
from release import approvals, field_effects, gate_report, journal
from release import gate as rules
from release.changes import Preview, changes_in
from release.errors import Rule, refused
from release.gate import GateResult
from release.gate_report import LAYOUTS, Layout
from release.promotion_path import PromotionPath
from release.stack_state import STACK_TYPE, StackState, fingerprint, name_of, type_of
from services import all_services
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
OPTIONS_WITH_VALUE = frozenset({"--message", "-m", "--parallel", "-p", "--color", "--verbose", "-v"})
HISTORY_LENGTH = 200  # commits of an environment's file that are searched for a release


@dataclass(frozen=True)
class Options:
    """How someone wants an `up`.

    Attributes:
        allow_changes: Accept every change without an approval. Only in the sandbox.
        wait_minutes: How long to wait for another update to finish; 0 to not wait.
        pulumi_options: Options that are passed on to Pulumi.
        preflight: Ask AWS first whether it would refuse the environment. Only on real AWS.
    """

    allow_changes: bool = False
    wait_minutes: float = 0
    pulumi_options: tuple[str, ...] = ()
    preflight: bool = True


@dataclass(frozen=True)
class Review:
    """What an update would change, and the gate's result. is_noop: the update would do nothing at all."""

    deployed: StackState
    preview: Preview
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
    reviewed = review_once(folder, backend, environment, options)
    servers = server_health.statuses(backend, reviewed.deployed, reviewed.deployed.services())
    groups = server_health.rolled_back_groups(servers)
    notes = [f"the last deployment of {name_of(urn)} was rolled back; `up` will try it again" for urn in groups]
    result = replace(reviewed.result, notes=(*reviewed.result.notes, *notes))
    chosen: Layout = next(name for name in LAYOUTS if name == layout)
    typer.echo(gate_report.render(result, chosen, environment, backend.suffix))
    return ExitCode.SUCCESS if result.passed else ExitCode.GATE_FAILED


def approve(folder: Path, backend: Backend, environment: str, reason: str, days: int) -> int:
    """Approve exactly the changes that need it, after showing them."""
    if not reason.strip():
        raise refused(Rule.REASON_REQUIRED, "an approval needs a --reason, which reviewers will read")
    result = review_once(folder, backend, environment, Options()).result
    typer.echo(gate_report.render(result, "text", environment, backend.suffix))
    by = journal.author(folder)
    pending = [item.change for item in result.unapproved if by not in item.approvers]
    if not pending:
        typer.echo("There is nothing that you could approve.")
        return ExitCode.FAILED if result.unapproved or result.blockers else ExitCode.SUCCESS
    now = clock()
    expires = now.date() + timedelta(days=days)
    for path in approvals.write(folder, environment, pending, reason=reason, by=by, expires=expires, now=now):
        typer.echo(f"Wrote {path.relative_to(folder)}. Commit it, so that others can review what was approved.")
    return ExitCode.SUCCESS


def review_once(folder: Path, backend: Backend, environment: str, options: Options) -> Review:
    """Return a review whose plan nobody needs."""
    with tempfile.TemporaryDirectory(prefix="plan-") as scratch:
        return review(folder, backend, environment, Path(scratch) / "plan.json", options)


def review(folder: Path, backend: Backend, environment: str, plan: Path, options: Options) -> Review:
    """Preview an update, write its plan, and return the gate's result."""
    if options.allow_changes and backend.name != journal.SANDBOX:
        raise InfraError(
            "--allow-changes works in the sandbox only. On AWS, approve exactly the changes that you intend."
        )
    deployed = backend.state(environment)
    config = rules.requested_config(folder, environment)
    preview = previews.run_preview(backend, environment, plan, options.pulumi_options)
    inputs = rules.Inputs(
        preview=preview,
        deployed=deployed,
        config=config,
        specs=all_services(),
        effects=field_effects.load(),
        events=journal.read(folder),
        path=promotion_path(folder),
        backend=backend.name,
    )
    if rules.moving_releases(deployed, config):
        inputs = replace(inputs, known=known_releases(folder, backend, environment))
    changes = changes_in(preview, deployed)
    last = deployed.last_change()
    # An update still has work to do if only options, outputs or the recorded configuration would change.
    is_current = last is not None and last.succeeded and deployed.config() == rules.comparable(config)
    notes = journal.problems(folder)
    if (changes or not is_current) and deployed.config() and not options.allow_changes:
        code, remarks = previews.compare_code(folder, backend, inputs, changes)
        inputs, notes = replace(inputs, code=code), [*notes, *remarks]
    result = rules.evaluate(inputs, approvals.read(folder, environment), clock().date())
    result = replace(result, notes=(*result.notes, *notes))
    if options.allow_changes:
        result = replace(result, judged=(), notes=(*result.notes, "--allow-changes accepts every change"))
    changed = [
        step["op"]
        for step in preview.steps
        if type_of(step["urn"]) != STACK_TYPE and step["op"] not in {"same", "read"}
    ]
    is_noop = not changes and not changed and not result.blockers and not result.judged and is_current
    return Review(deployed, preview, result, is_noop)


def remember_releases(backend: Backend, environment: str, config: Mapping[str, Any]) -> None:
    """Note which releases this machine deploys: what was never committed is no less known."""
    file = backend.memory_folder(environment) / "releases.json"
    remembered = {str(key): list(value) for key, value in read_json(file).items() if isinstance(value, list)}
    for service, block in config[SERVICES_KEY].items():
        releases = remembered.setdefault(service, [])
        if (digest := fingerprint(block.get("release") or {})) not in releases:
            releases.append(digest)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(file, json.dumps(remembered))


def known_releases(folder: Path, backend: Backend, environment: str) -> dict[str, set[str]] | None:
    """Return the fingerprints of the releases that this clone knows, by service; None outside of git.

    They come from the journal, from the environment's file and its earlier versions, and from what this machine
    deployed.
    """
    file = environment_file(environment)
    log = git(folder, "log", f"--max-count={HISTORY_LENGTH}", "--format=%H", "--", file)
    if log is None:
        return None
    known: dict[str, set[str]] = {}
    for event in journal.read(folder):
        known.setdefault(event.service, set()).update(filter(None, [event.fingerprint, event.restored_fingerprint]))
    for service, digests in read_json(backend.memory_folder(environment) / "releases.json").items():
        known.setdefault(service, set()).update(digests if isinstance(digests, list) else ())
    texts = [(folder / file).read_text(encoding="utf-8")]
    texts += [text for commit in log.split() if (text := git(folder, "show", f"{commit}:./{file}")) is not None]
    for text in texts:
        for service, release in readable_releases(text).items():
            known.setdefault(service, set()).add(fingerprint(release))
    return known


def readable_releases(text: str) -> dict[str, dict[str, Any]]:
    """Return the releases in a file's text; none if it cannot be read."""
    try:
        document = YAML(typ="safe").load(text)
        services = document["config"][SERVICES_KEY]
        return {
            name: json.loads(json.dumps(block.get("release") or {}, default=str)) for name, block in services.items()
        }
    except Exception:  # noqa: BLE001 an old version of a file may be anything
        return {}


def git(folder: Path, *arguments: str) -> str | None:
    """Return the output of a git command; None if it fails."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def disallowed_option(pulumi_options: Sequence[str]) -> str:
    """Return the first option that may not be passed on to Pulumi; empty if all may."""
    words = iter(pulumi_options)
    for word in words:
        name, equals, _ = word.partition("=")
        if name in OPTIONS_WITH_VALUE:
            if not equals:
                next(words, "")
        elif name not in DISPLAY_OPTIONS | previews.UP_ONLY_OPTIONS:
            return word
    return ""
