"""What the table of services and environments says, and what exactly differs between two environments: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from release import record
from release.deployed import Deployed, fingerprint, name_of, owner, parents
from release.promote import PATH, in_words, on, soak_of


@dataclass(frozen=True)
class View:
    """One environment as the table shows it.

    wanted: the releases in its file. drifted: names of resources that are not as Pulumi left them, by service, None where
    nobody looked. unhealthy: what AWS says against each service's servers. notes: what could not be looked at.
    """

    deployed: Deployed
    wanted: Mapping[str, Mapping[str, Any]]
    drifted: Mapping[str, Sequence[str]] | None = None
    unhealthy: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Sequence[str] = ()


def cell(service: str, environment: str, views: Mapping[str, View], events: Sequence[record.Event], at: datetime) -> list[str]:
    """Return the lines of one cell: the version, then since when and what is odd about it."""
    view = views[environment]
    release, since = view.deployed.release(service), view.deployed.since(service)
    wanted = view.wanted.get(service)
    if release is None:
        return [f"- ({wanted.get('version')} in its file, not brought up)"] if wanted else ["-"]
    out = [str(release.get("version"))]
    if since:
        out.append(f"since {since:%Y-%m-%d %H:%M}")
    hold = record.held(events, service, release.get("version"), release.get("image"))
    if hold:
        out.append(f"HELD: {hold.reason}")
    after = next_of(environment, views)
    if after and since and views[after].deployed.release(service) != release and not hold:
        left = soak_of(environment, after) - (at - since)
        out.append(f"soaking, {in_words(left)} left" if left.total_seconds() > 0 else f"may go to {after}")
    before = previous_of(environment, views)
    ahead = views[before].deployed.release(service) if before else None
    if ahead is not None and ahead != release:
        out.append(f"behind {before}: {ahead.get('version')} there" if ahead.get("version") != release.get("version") else f"other settings than {before}")
    if wanted is not None and wanted != release:
        out.append(f"{wanted.get('version')} in its file, not brought up")
    elif wanted is None:
        out.append("switched off in its file, not brought up")
    drifted = (view.drifted or {}).get(service) or ()
    if drifted:
        out.append(f"drifted: {', '.join(drifted[:3])}{f' and {len(drifted) - 3} more' if len(drifted) > 3 else ''}")  # noqa: PLR2004 what a cell holds
    return out + [f"! {trouble}" for trouble in [*view.deployed.troubles(service), *view.unhealthy.get(service, ())]]


def next_of(environment: str, views: Mapping[str, View]) -> str | None:
    """Return the environment that a release moves to from here, where it is up."""
    index = PATH.index(environment) + 1 if environment in PATH else len(PATH)
    return PATH[index] if index < len(PATH) and PATH[index] in views else None


def previous_of(environment: str, views: Mapping[str, View]) -> str | None:
    """Return the environment that a release comes from, where it is up."""
    index = PATH.index(environment) - 1 if environment in PATH else -1
    return PATH[index] if index >= 0 and PATH[index] in views else None


def drift_of(preview: Mapping[str, Any], deployed: Deployed) -> dict[str, list[str]]:
    """Return what is not as Pulumi left it, by service, from a preview of a refresh."""
    parent_of = parents(deployed.resources)
    out: dict[str, list[str]] = {}
    for step in preview.get("steps") or []:
        gone = step.get("newState") is None and step["op"] not in {"same", "read"}
        changed = step.get("detailedDiff") or step.get("diffReasons") or step["op"] in {"update", "delete"}
        if gone or changed:
            out.setdefault(owner(step["urn"], parent_of), []).append(name_of(step["urn"]) + (" (gone)" if gone else ""))
    return out


def differences(service: str, first: str, second: str, views: Mapping[str, View]) -> list[tuple[str, str, str]]:
    """Return what differs of a service's release between two environments, sizing aside: field, one value, the other."""
    one, other = (flat(views[name].deployed.release(service) or {}) for name in (first, second))
    return [(key, one.get(key, "-"), other.get(key, "-")) for key in sorted({*one, *other}) if one.get(key) != other.get(key)]


def flat(values: Mapping[str, Any], path: str = "") -> dict[str, str]:
    """Return nested values by their dotted path."""
    out: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            out |= flat(value, f"{path}{key}.")
        else:
            out[f"{path}{key}"] = str(value)
    return out


def story(event: record.Event) -> str:
    """Return one line of a service's history."""
    where = " -> ".join(filter(None, [event.source, event.environment])) + (" (aws)" if event.place == "aws" else "")
    told = [event.reason, *(gate for gate in event.gates if gate.startswith("overridden"))]
    return f"{event.at[:16].replace('T', ' ')}  {event.kind:12} {event.version:10} {where:16} {event.by}" + "".join(f"  ({text})" for text in told if text)


def truth(move: record.Event, deployed: Deployed | None, file_release: Mapping[str, Any]) -> str:
    """Return what became of a move that the record does not know to have arrived."""
    if fingerprint(file_release) != move.release:
        return f"{move.version} is not what the file of {move.environment} says: it never got there, or was written over since"
    if deployed is None:
        return f"{move.version} has not arrived in {move.environment} that the record knows"
    release, since = deployed.release(move.service), deployed.since(move.service)
    if release is not None and fingerprint(release) == move.release:
        return f"{move.version} runs in {move.environment} since {since:%Y-%m-%d %H:%M}, by the word of the stack" if since else f"{move.version} runs in {move.environment}"
    state = "; ".join(deployed.troubles(move.service))
    return f"{move.version} has not arrived in {move.environment}{f' ({state})' if state else ''}: `./infra up {move.environment}{on(move.place)}` goes on"
