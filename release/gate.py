"""Judges a preview: only what follows from the configuration that differs may pass; the rest needs an approval. Pure.

Data goes in, a result comes out. cli/gate.py runs the previews, release/gate_report.py prints the result.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

from components import type_tokens
from release import approvals, code_changes, journal
from release.approvals import Approval
from release.aws_limits import impossible_changes
from release.changes import UPDATE, Change, Preview, as_text, changes_in
from release.code_changes import CodeChanges
from release.danger import IRREVERSIBLE, Danger, dangers_of
from release.database_engine import version_numbers
from release.environment_file import config_in, read_text
from release.errors import Rule as RefusalRule
from release.errors import refused
from release.field_effects import FieldEffects
from release.findings import Finding, Rule
from release.intent import Expectation, Intent, read_intent
from release.promotion_path import PromotionPath
from release.stack_state import StackState, fingerprint, is_same_release, owner_of, parents_by_urn
from settings.project_files import ENVIRONMENT_KEY, PROJECT, SERVICES_KEY, environment_file
from settings.service_spec import ServiceSpec

PRODUCTION_APPROVERS = 2  # dangerous changes of the last environment need approvals by this many people


class Cause(StrEnum):
    """Why a change needs an approval."""

    CODE = "code"
    UNEXPLAINED = "unexplained"
    IRREVERSIBLE = "irreversible"


@dataclass(frozen=True)
class Judged:
    """A change that needs an approval.

    Attributes:
        change: The change.
        cause: Why it needs an approval.
        dangers: What makes the changes of this resource dangerous.
        approvers: Who approved exactly this change.
        needed: How many people have to approve it.
    """

    change: Change
    cause: Cause
    dangers: tuple[Danger, ...] = ()
    approvers: frozenset[str] = frozenset()
    needed: int = 1

    @property
    def is_approved(self) -> bool:
        """Whether enough people have approved it."""
        return len(self.approvers) >= self.needed


@dataclass(frozen=True)
class GateResult:
    """The result of the gate.

    Attributes:
        blockers: What fails the gate and cannot be approved.
        judged: The changes that need an approval, whether they have it or not.
        notes: Remarks about approvals and about the environment.
        expected: The owners whose configuration differs.
        affected: The owners whose resources the preview changes.
        changes: How many resources the preview changes.
        used: The files of the approvals that were needed.
    """

    blockers: tuple[Finding, ...]
    judged: tuple[Judged, ...]
    notes: tuple[str, ...]
    expected: tuple[str, ...]
    affected: tuple[str, ...] = ()
    changes: int = 0
    used: tuple[str, ...] = field(default=())

    @property
    def unapproved(self) -> tuple[Judged, ...]:
        """The changes that still need an approval."""
        return tuple(item for item in self.judged if not item.is_approved)

    @property
    def passed(self) -> bool:
        """Whether the update may be applied."""
        return not self.blockers and not self.unapproved


@dataclass(frozen=True)
class Inputs:
    """What the gate judges.

    Attributes:
        preview: The preview of the current program with the requested configuration.
        deployed: The state of the stack.
        config: The requested configuration.
        specs: The services of the program.
        effects: What each field may change.
        events: The journal.
        path: The promotion path.
        backend: Where the stack lives.
        known: Fingerprints of releases that this clone's history knows, by service; None if there is no history.
        code: Which changes come from code.
    """

    preview: Preview
    deployed: StackState
    config: Mapping[str, Any]
    specs: Mapping[str, ServiceSpec]
    effects: FieldEffects
    events: Sequence[journal.Event]
    path: PromotionPath
    backend: str
    known: Mapping[str, set[str]] | None = None
    code: CodeChanges = code_changes.NONE


def requested_config(folder: Path, environment: str) -> dict[str, Any]:
    """Return the configuration that an environment's file asks for, as a round trip through JSON would return it."""
    file = environment_file(environment)
    config = config_in(read_text(folder, environment), file)
    services = config.get(SERVICES_KEY)
    if not isinstance(services, dict) or not all(isinstance(block, dict) for block in services.values()):
        message = f"{file}: {SERVICES_KEY} is not a map of services. To see the location:\n  ./infra check"
        raise refused(RefusalRule.INVALID_FILE, message)
    # default=str: an unquoted date or time is reported by the program's own check.
    values: dict[str, Any] = json.loads(json.dumps(config, default=str))
    return values


def comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a file's configuration as an update's history records it: values that are not ours become text."""

    def recorded(key: str, value: Any) -> Any:
        is_structured = key in {SERVICES_KEY, ENVIRONMENT_KEY} or isinstance(value, str)
        return value if is_structured else json.dumps(value, separators=(",", ":"))

    return {key: recorded(key, value) for key, value in config.items()}


def backend_option(backend: str) -> str:
    """Return the option that makes a command of ours act in a backend; empty for the default."""
    return "" if backend == journal.SANDBOX else f" --on {backend}"


def evaluate(inputs: Inputs, available: Iterable[Approval], today: date) -> GateResult:
    """Return the result of the gate. available: the approvals for the environment."""
    deployed = inputs.deployed
    intent = read_intent(deployed, inputs.config)
    changes = changes_in(inputs.preview, deployed)
    judged = [*judge(inputs, intent, changes), *release_changes(inputs)]
    available = list(available)
    approved = [with_approvers(item, approvals.valid(available, today)) for item in judged]
    used = {
        approval.file for approval in available for item in approved if approval.covers(item.change) and item.approvers
    }
    notes = [f"{approval.file} has expired" for approval in available if approval.expires < today]
    return GateResult(
        blockers=tuple(blockers(inputs)),
        judged=tuple(sorted(approved, key=lambda item: (severity(item), item.change))),
        notes=tuple(notes),
        expected=tuple(sorted(intent.owners())),
        affected=tuple(sorted({change.owner for change in changes})),
        changes=len({change.urn for change in changes}),
        used=tuple(sorted(used)),
    )


def judge(inputs: Inputs, intent: Intent, changes: Sequence[Change]) -> list[Judged]:
    """Return the changes that need an approval."""
    expectation = Expectation(
        intent,
        deployed=inputs.deployed,
        preview=inputs.preview,
        config=inputs.config,
        effects=inputs.effects,
        specs=inputs.specs,
    )
    expected = expectation.expected(changes)
    dangers = {step["urn"]: tuple(dangers_of(step)) for step in inputs.preview.steps}
    protects_data = is_protected(inputs.deployed)
    is_production = inputs.deployed.stack == inputs.path.last
    result = []
    for change in {*changes, *inputs.code}:
        own = dangers.get(change.urn, ())
        if change in inputs.code:
            cause = Cause.CODE
        elif change not in expected:
            cause = Cause.UNEXPLAINED
        elif protects_data and {danger.kind for danger in own} & IRREVERSIBLE:
            cause = Cause.IRREVERSIBLE
        else:
            continue
        needed = PRODUCTION_APPROVERS if own and is_production else 1
        result.append(Judged(change, cause, own, needed=needed))
    return result


def is_protected(deployed: StackState) -> bool:
    """Tell whether the deployed environment protects its data; also if nobody knows."""
    environment = deployed.config().get(ENVIRONMENT_KEY) or {}
    return bool((environment.get("durability") or {}).get("protect_data", True))


def with_approvers(item: Judged, available: Iterable[Approval]) -> Judged:
    """Return a change with everybody who approved exactly it."""
    people = frozenset(approval.by for approval in available if approval.covers(item.change))
    return Judged(item.change, item.cause, item.dangers, people, item.needed)


def severity(item: Judged) -> int:
    """Return a key that sorts dangerous changes first."""
    return 0 if item.dangers else 1


def blockers(inputs: Inputs) -> list[Finding]:
    """Return what fails the gate whatever is approved."""
    deployed = inputs.deployed
    parents = parents_by_urn(deployed.resources)
    found = [
        Finding(
            Rule.PENDING,
            urn,
            "has an operation that did not complete; its actual state is unknown",
            owner_of(urn, parents),
        )
        for urn in deployed.pending
    ]
    found += [
        Finding(Rule.IMPOSSIBLE, urn, message, owner_of(urn, parents))
        for urn, message in impossible_changes(inputs.preview)
    ]
    return found + held_findings(deployed, inputs.config, inputs.events) + stale_findings(inputs)


def component_urn(stack: str, service: str) -> str:
    """Return the URN of a service's root component."""
    return f"urn:pulumi:{stack}::{PROJECT}::{type_tokens.SERVICE_ENVIRONMENT}::{service}"


def moving_releases(
    deployed: StackState, config: Mapping[str, Any]
) -> list[tuple[str, Mapping[str, Any], Mapping[str, Any] | None]]:
    """Return (service, requested release, deployed release) of each enabled service whose release would be deployed."""
    rolled_back = deployed.rolled_back_services()
    releases = []
    for service, block in sorted((config.get(SERVICES_KEY) or {}).items()):
        release, current = block.get("release") or {}, deployed.release(service)
        if block.get("enabled", True) and (release != current or service in rolled_back):
            releases.append((service, release, current))
    return releases


def held_findings(deployed: StackState, config: Mapping[str, Any], events: Sequence[journal.Event]) -> list[Finding]:
    """Return releases on hold that would be deployed."""
    found = []
    for service, release, _ in moving_releases(deployed, config):
        hold = journal.active_hold(events, service, release)
        if hold:
            message = (
                f"release {hold.version} is on hold by {hold.by}: {hold.reason}. To lift the hold:\n"
                f"  ./infra unhold {service} {hold.version} --reason ..."
            )
            found.append(Finding(Rule.HELD, component_urn(deployed.stack, service), message, service))
    return found


def stale_findings(inputs: Inputs) -> list[Finding]:
    """Return releases that would replace another one by accident, or under its name."""
    found = []
    stack = inputs.deployed.stack
    for service, release, current in moving_releases(inputs.deployed, inputs.config):
        if current is None or is_same_release(current, release):
            continue
        rules = [stale_release, older_release, reused_version]
        message = next(filter(None, (rule(inputs, service, release, current) for rule in rules)), None)
        if message:
            rule, text = message
            found.append(Finding(rule, component_urn(stack, service), text, service))
    return found


Message = tuple[Rule, str]
Release = Mapping[str, Any]


def stale_release(inputs: Inputs, service: str, release: Release, current: Release) -> Message | None:
    """Return whether a clone would replace a release that it does not know."""
    if inputs.known is None or fingerprint(current) in inputs.known.get(service, set()):
        return None
    change = f"{current.get('version')} -> {release.get('version')}"
    return Rule.STALE, (
        f"{change} would replace a release that this clone does not know. Get the latest changes:\n  git pull"
    )


def older_release(inputs: Inputs, service: str, release: Release, current: Release) -> Message | None:
    """Return whether an older release would come without a rollback or a promotion."""
    stack = inputs.deployed.stack
    if version_numbers(release.get("version")) >= version_numbers(current.get("version")):
        return None
    move = journal.last_move(inputs.events, service, stack, inputs.backend)
    if move is not None and move.fingerprint == fingerprint(release):
        return None
    change = f"{current.get('version')} -> {release.get('version')}"
    return Rule.OLDER, (
        f"{change} (older) would undo a release. Going back is a rollback:\n"
        f"  ./infra rollback {service} {stack} --reason ...{backend_option(inputs.backend)}"
    )


def reused_version(inputs: Inputs, service: str, release: Release, current: Release) -> Message | None:
    """Return whether another image is known by the release's version."""
    version, image = release.get("version"), release.get("image")
    builds = [event.image for event in inputs.events if (event.service, event.version) == (service, version)]
    builds += [str(current.get("image"))] if current.get("version") == version else []
    if not builds or image in builds:
        return None
    return Rule.REUSED, (
        f"{version} is already the version of {builds[-1]}. Give {image} a version of its own, or nobody can tell the "
        "two apart"
    )


def release_changes(inputs: Inputs) -> list[Judged]:
    """Return releases that nobody promoted, as changes that can be approved.

    The first release of a service in an environment comes with the service's configuration.
    """
    stack, result = inputs.deployed.stack, []
    for service, release, current in moving_releases(inputs.deployed, inputs.config):
        if not inputs.path.requires_promotion(stack) or current is None or is_same_release(current, release):
            continue
        move = journal.last_move(inputs.events, service, stack, inputs.backend)
        if move is None or move.fingerprint != fingerprint(release):
            change = Change(
                component_urn(stack, service), UPDATE, "release", as_text(current), as_text(release), service
            )
            result.append(Judged(change, Cause.UNEXPLAINED))
    return result
