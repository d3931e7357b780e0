"""Judges a preview: changes that nobody asked for, that lose data, or that widen access fail the gate. Pure.

Data goes in, findings come out. cli/gate.py runs the preview, release/gate_report.py prints the result.
"""

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from components import type_tokens
from release import journal, sign_offs
from release.data_protection import DATA_TYPES, PROTECTION_TYPES, weakenings
from release.environment_file import config_in, read_text
from release.errors import Rule as RefusalRule
from release.errors import refused
from release.findings import FINAL_RULES, Finding, Rule
from release.promotion_path import PromotionPath
from release.sign_offs import SignOff
from release.stack_state import (
    FOUNDATION,
    PROVIDER_PREFIX,
    STACK_TYPE,
    StackState,
    fingerprint,
    owner_of,
    parents_by_urn,
    type_of,
)
from release.widening import UNKNOWN, widenings
from settings.project_files import ENVIRONMENT_KEY, PROJECT, SERVICES_KEY, environment_file

REMOVING_OPERATIONS = frozenset(
    {"delete", "replace", "delete-replaced", "create-replacement", "discard", "discard-replaced"}
)
READING_OPERATIONS = frozenset({"same", "read", "refresh"})
ROOT_TYPES = frozenset({type_tokens.SERVICE_ENVIRONMENT, type_tokens.FOUNDATION})
# Properties by which a resource acts on another one.
REFERENCES = ("securityGroupId", "role", "bucket", "routeTableId", "loadBalancerArn")
EVERYTHING = "everything"  # as an expected owner: every change outside is expected
Preview = Mapping[str, Any]


@dataclass(frozen=True)
class GateResult:
    """The result of the gate.

    Attributes:
        failures: The findings that fail the gate.
        accepted: The findings that are signed off, each with its sign-off.
        notes: Remarks about sign-offs and about the environment.
        expected: The owners whose changes are expected.
        changes: How many resources the preview changes.
    """

    failures: tuple[Finding, ...]
    accepted: tuple[tuple[Finding, SignOff], ...]
    notes: tuple[str, ...]
    expected: tuple[str, ...]
    changes: int = 0

    @property
    def passed(self) -> bool:
        """Whether the update may be applied."""
        return not self.failures


def changed_owners(deployed: StackState, config: Mapping[str, Any]) -> set[str]:
    """Return the services, and `foundation`, whose configuration in a file differs from what is deployed.

    Updates that failed since the last successful one count as well: what they began exists, and undoing it is a change
    too. So do services whose last deployment AWS rolled back: trying it again changes them.
    """
    owners = deployed.rolled_back_services()
    services = config.get(SERVICES_KEY) or {}
    for update in deployed.updates_since_destroy():
        if update.kind != "update":
            continue
        before = update.config.get(SERVICES_KEY) or {}
        owners |= {name for name in {*before, *services} if before.get(name) != services.get(name)}
        if update.config.get(ENVIRONMENT_KEY) != config.get(ENVIRONMENT_KEY):
            owners.add(FOUNDATION)
        if update.succeeded:
            return owners
    return {*owners, *services, FOUNDATION}  # no update has succeeded yet, so everything is new


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


def preview_findings(preview: Preview, deployed: StackState, expected: set[str]) -> list[Finding]:
    """Return the findings in a preview. expected: the owners whose changes are expected."""
    steps: Sequence[Mapping[str, Any]] = preview.get("steps") or []
    states = [step.get("newState") or step.get("oldState") or {"urn": step["urn"]} for step in steps]
    parents = parents_by_urn(deployed.resources, states)
    # A service, or a foundation, that is created as a whole cannot expose anything that existed before.
    new_owners = {
        owner_of(step["urn"], parents)
        for step in steps
        if step["op"] == "create" and type_of(step["urn"]) in ROOT_TYPES
    }

    @functools.cache
    def ids_of_others(owner: str) -> frozenset[str]:
        others = (item for item in deployed.resources if owner_of(item["urn"], parents) != owner)
        return frozenset(str(item.get("id")) for item in others if item.get("custom"))

    findings = [
        Finding(
            Rule.PENDING,
            urn,
            "has an operation that did not complete; its actual state is unknown",
            owner_of(urn, parents),
        )
        for urn in deployed.pending
    ]
    for step in steps:
        owner = owner_of(step["urn"], parents)
        findings += protect_findings(step, owner)
        if step["op"] in READING_OPERATIONS or type_of(step["urn"]) == STACK_TYPE:  # the stack changes with its outputs
            continue
        if not {owner, EVERYTHING} & expected:
            message = f"would change ({step['op']}), but the configuration of {owner} has not changed"
            findings.append(Finding(Rule.OUTSIDE, step["urn"], message, owner, step["op"]))
        findings += data_findings(step, owner)
        inputs = inputs_of(step.get("newState"))
        is_new = owner in new_owners or not deployed.was_deployed(owner)
        if not is_new or acts_on_others(inputs, ids_of_others(owner)):
            findings += widening_findings(step, owner)
    return sorted(set(findings))


def inputs_of(state: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the inputs in a step's state, or None if the resource does not exist."""
    return state.get("inputs") or {} if state else None


def protect_findings(step: Mapping[str, Any], owner: str) -> Iterator[Finding]:
    """Yield a lost `protect`. The preview shows it as no change at all."""
    old, new = step.get("oldState") or {}, step.get("newState") or {}
    if old.get("protect") and new and not new.get("protect"):
        message = "would lose Pulumi's protection, so that the next update could delete it"
        yield Finding(Rule.PROTECT, step["urn"], message, owner, "protect")


def data_findings(step: Mapping[str, Any], owner: str) -> Iterator[Finding]:
    """Yield the loss of data and of what protects it."""
    urn, operation = step["urn"], step["op"]
    if operation in REMOVING_OPERATIONS and type_of(urn) in DATA_TYPES:
        reasons = step.get("replaceReasons")
        because = f" because of {', '.join(reasons)}" if reasons else ""
        message = f"would be lost ({operation}{because}), and it holds data"
        yield Finding(Rule.DATA, urn, message, owner, operation)
    old, new = inputs_of(step.get("oldState")), inputs_of(step.get("newState"))
    if old is not None and new is not None:
        for weakening in weakenings(old, new):
            yield Finding(Rule.PROTECT, urn, weakening.message, owner, weakening.setting)
    if operation == "delete" and type_of(urn) in PROTECTION_TYPES:
        yield Finding(Rule.PROTECT, urn, "would be deleted, and it protects data", owner, operation)


def widening_findings(step: Mapping[str, Any], owner: str) -> Iterator[Finding]:
    """Yield what a step exposes or allows."""
    old, new = inputs_of(step.get("oldState")), inputs_of(step.get("newState"))
    for widening in widenings(step["urn"], old, new):
        yield Finding(Rule.WIDENING, step["urn"], widening.message, owner, widening.kind)


def acts_on_others(inputs: Mapping[str, Any] | None, ids: frozenset[str]) -> bool:
    """Tell whether a new resource acts on something that exists and belongs to another owner. ids: of what others own.

    An egress rule from another owner's security group to a new one does not count: that is how the shared load balancer
    reaches a new service.
    """
    if inputs is None or UNKNOWN in str(inputs.get("referencedSecurityGroupId", "")):
        return False
    return any(str(inputs.get(name)) in ids for name in REFERENCES if inputs.get(name))


def release_findings(
    deployed: StackState,
    config: Mapping[str, Any],
    events: Sequence[journal.Event],
    backend: str,
    path: PromotionPath,
) -> list[Finding]:
    """Return the releases in a file that may not be deployed: those on hold, and those that were never promoted."""
    findings, rolled_back = [], deployed.rolled_back_services()
    for service, block in sorted((config.get(SERVICES_KEY) or {}).items()):
        release, current = block.get("release") or {}, deployed.release(service)
        if not block.get("enabled", True) or (release == current and service not in rolled_back):
            continue
        urn = f"urn:pulumi:{deployed.stack}::{PROJECT}::{type_tokens.SERVICE_ENVIRONMENT}::{service}"
        version = release.get("version")
        hold = journal.active_hold(events, service, release)
        if hold:
            message = (
                f"release {version} is on hold by {hold.by}: {hold.reason}. To lift the hold:\n"
                f"  ./infra unhold {service} {hold.version} --reason ..."
            )
            findings.append(Finding(Rule.HELD, urn, message, service))
        # The first release of a service in an environment comes with the service's configuration.
        if not path.requires_promotion(deployed.stack) or current is None or current == release:
            continue
        move = journal.last_move(events, service, deployed.stack, backend)
        if move is None or move.fingerprint != fingerprint(release):
            source = path.environments[path.environments.index(deployed.stack) - 1]
            message = (
                f"release {version} was not promoted to {deployed.stack}. To check and record it:\n"
                f"  ./infra promote {service} --from {source} --to {deployed.stack}{backend_option(backend)}"
            )
            findings.append(Finding(Rule.NOT_PROMOTED, urn, message, service))
    return findings


def backend_option(backend: str) -> str:
    """Return the option that makes a command of ours act in a backend; empty for the default."""
    return "" if backend == journal.SANDBOX else f" --on {backend}"


def provider_findings(plan: Mapping[str, Any], deployed: StackState) -> list[Finding]:
    """Return changes of provider resources, which no step of a preview shows. plan: a saved update plan."""
    existing = {item["urn"] for item in deployed.resources if type_of(item["urn"]).startswith(PROVIDER_PREFIX)}
    findings = []
    for urn, entry in (plan.get("resourcePlans") or {}).items():
        if not type_of(urn).startswith(PROVIDER_PREFIX):
            continue
        if urn not in existing:
            if existing:
                message = "is a new provider, as after an upgrade of pulumi-aws; resources that move to it may change"
                findings.append(Finding(Rule.PROVIDER, urn, message, FOUNDATION, "new"))
            continue
        inputs = (entry.get("goal") or {}).get("inputDiff") or {}
        names = sorted({str(name) for kind in ("adds", "deletes", "updates") for name in (inputs.get(kind) or [])})
        if names or set(entry.get("steps") or []) - {"same"}:
            message = f"would change its settings ({', '.join(names) or 'version'}), which affects every resource"
            findings.append(Finding(Rule.PROVIDER, urn, message, FOUNDATION, ",".join(names) or "version"))
    return findings


def evaluate(
    findings: Iterable[Finding], available: Iterable[SignOff], today: date, expected: set[str], changes: int = 0
) -> GateResult:
    """Return the result: a valid sign-off for exactly its resource and rule accepts a finding.

    available: the sign-offs for the stack. today: they are valid through their day. changes: see GateResult.
    """
    available = list(available)
    last_day = today + timedelta(days=sign_offs.MAXIMUM_DAYS)
    valid = {(sign_off.urn, sign_off.rule): sign_off for sign_off in available if today <= sign_off.expires <= last_day}
    failures, accepted = [], []
    for finding in findings:
        sign_off = None if finding.rule in FINAL_RULES else valid.get((finding.urn, finding.rule))
        if sign_off:
            accepted.append((finding, sign_off))
        else:
            failures.append(finding)
    used = {(finding.urn, finding.rule) for finding, _ in accepted}
    notes = [note for sign_off in available if (note := sign_off_note(sign_off, today, last_day))]
    notes += [
        f"{sign_offs.label(sign_off)} by {sign_off.by} is not needed. Delete it"
        for key, sign_off in valid.items()
        if key not in used
    ]
    return GateResult(tuple(failures), tuple(accepted), tuple(notes), tuple(sorted(expected)), changes)


def sign_off_note(sign_off: SignOff, today: date, last_day: date) -> str:
    """Return why a sign-off is not valid today; empty if it is."""
    if sign_off.expires < today:
        return f"{sign_offs.label(sign_off)} expired on {sign_off.expires}: {sign_off.reason}"
    if sign_off.expires > last_day:
        return (
            f"{sign_offs.label(sign_off)} is not valid: it expires on {sign_off.expires}, "
            f"more than {sign_offs.MAXIMUM_DAYS} days from now"
        )
    return ""
