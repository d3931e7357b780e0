"""What the status table says, and how a service's release differs between environments. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from release import journal
from release.gate import backend_option
from release.journal import Event
from release.promotion_path import PromotionPath, format_minutes
from release.stack_state import StackState, fingerprint, is_same_release, name_of, owner_of, parents_by_urn
from settings.project_files import environment_file

DRIFT_NAMES = 3  # how many drifted resources one cell of the table names


@dataclass(frozen=True)
class EnvironmentView:
    """One environment as the table shows it.

    Attributes:
        deployed: The state of its stack.
        requested: The releases in its file.
        drift: Names of resources that differ from Pulumi's state, by service; None if nobody compared.
        unhealthy: What makes the servers of each service unhealthy, according to AWS.
        notes: What could not be determined.
    """

    deployed: StackState
    requested: Mapping[str, Mapping[str, Any]]
    drift: Mapping[str, Sequence[str]] | None = None
    unhealthy: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Table:
    """Everything that the cells of the table depend on."""

    views: Mapping[str, EnvironmentView]
    events: Sequence[Event]
    path: PromotionPath
    now: datetime


def cell(service: str, environment: str, table: Table) -> list[str]:
    """Return the lines of one cell: the version, since when it runs, and everything that needs attention."""
    view = table.views[environment]
    release, requested = view.deployed.release(service), view.requested.get(service)
    if release is None:
        return [f"- ({requested.get('version')} not deployed yet)"] if requested else ["-"]
    since = view.deployed.running_since(service)
    lines = [str(release.get("version"))]
    if since:
        lines.append(f"since {since:%Y-%m-%d %H:%M}")
    lines += promotion_lines(service, environment, table)
    if requested is None:
        lines.append("disabled in the file, still deployed")
    elif not is_same_release(requested, release):
        lines.append(f"{requested.get('version')} not deployed yet")
    drifted = (view.drift or {}).get(service) or ()
    if drifted:
        more = f" and {len(drifted) - DRIFT_NAMES} more" if len(drifted) > DRIFT_NAMES else ""
        lines.append(f"drift: {', '.join(drifted[:DRIFT_NAMES])}{more}")
    issues = [*view.deployed.health_issues(service), *view.unhealthy.get(service, ())]
    return lines + [f"! {issue}" for issue in issues]


def promotion_lines(service: str, environment: str, table: Table) -> list[str]:
    """Return where a deployed release is on its way through the environments."""
    deployed = table.views[environment].deployed
    release = deployed.release(service) or {}
    hold = journal.active_hold(table.events, service, release)
    lines = [f"ON HOLD: {hold.reason}"] if hold else []
    target = table.path.next_of(environment, table.views)
    since = deployed.running_since(service)
    is_ahead = target and not is_same_release(table.views[target].deployed.release(service), release)
    if target and since and not hold and is_ahead:
        remaining = table.path.soak_time(environment, target) - (table.now - since)
        is_soaking = remaining.total_seconds() > 0
        lines.append(f"soaking, {format_minutes(remaining)} left" if is_soaking else f"can be promoted to {target}")
    source = table.path.previous_of(environment, table.views)
    ahead = table.views[source].deployed.release(service) if source else None
    if ahead is not None and not is_same_release(ahead, release):
        same_version = ahead.get("version") == release.get("version")
        lines.append(f"other settings than {source}" if same_version else f"{source} has {ahead.get('version')}")
    return lines


def drift_by_owner(preview: Mapping[str, Any], deployed: StackState) -> dict[str, list[str]]:
    """Return the names of resources that differ from Pulumi's state, by owner. preview: of a refresh."""
    parents = parents_by_urn(deployed.resources)
    drift: dict[str, list[str]] = {}
    for step in preview.get("steps") or []:
        is_missing = step.get("newState") is None and step["op"] not in {"same", "read"}
        differs = step.get("detailedDiff") or step.get("diffReasons") or step["op"] in {"update", "delete"}
        if is_missing or differs:
            name = name_of(step["urn"]) + (" (missing)" if is_missing else "")
            drift.setdefault(owner_of(step["urn"], parents), []).append(name)
    return drift


def differences(
    service: str, first: str, second: str, views: Mapping[str, EnvironmentView]
) -> list[tuple[str, str, str]]:
    """Return how a service's release differs between two environments: field, first value, second value."""
    one, other = (flatten(views[name].deployed.release(service) or {}) for name in (first, second))
    keys = sorted({*one, *other})
    return [(key, one.get(key, "-"), other.get(key, "-")) for key in keys if one.get(key) != other.get(key)]


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested values by their dotted path."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat


def history_line(event: Event) -> str:
    """Return one line of a service's history."""
    where = " -> ".join(filter(None, [event.source, event.environment])) + (" (aws)" if event.backend == "aws" else "")
    remarks = "".join(f"  ({text})" for text in (event.reason, *event.approvals, *event.sign_offs) if text)
    at = event.at[:16].replace("T", " ")
    return f"{at}  {event.kind:8} {event.version:10} {where:20} {event.by}{remarks}"


def describe_pending_move(move: Event, deployed: StackState | None, file_release: Mapping[str, Any]) -> str:
    """Return what became of a move that the journal does not record as deployed."""
    release_name = f"{move.service} {move.version}"
    if fingerprint(file_release) != move.fingerprint:
        return f"{release_name} is no longer the release in {environment_file(move.environment)}"
    if deployed is None:
        return f"{release_name} was not deployed to {move.environment} as far as the journal knows"
    release = deployed.release(move.service)
    if move.service in deployed.rolled_back_services():
        command = f"./infra up {move.environment}{backend_option(move.backend)}"
        return f"{release_name} failed in {move.environment} and was rolled back. To try it again:\n  {command}"
    if release is not None and fingerprint(release) == move.fingerprint:
        since = deployed.running_since(move.service)
        when = f" since {since:%Y-%m-%d %H:%M}" if since else ""
        return f"{release_name} is deployed to {move.environment}{when} according to Pulumi's state"
    issues = "; ".join(deployed.health_issues(move.service))
    because = f" ({issues})" if issues else ""
    command = f"./infra up {move.environment}{backend_option(move.backend)}"
    return f"{release_name} is not deployed to {move.environment} yet{because}. To deploy it:\n  {command}"
