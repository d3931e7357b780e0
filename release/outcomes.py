"""Records whether the releases that were moved to an environment were deployed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from release import journal
from release.journal import Event
from release.stack_state import StackState, fingerprint


@dataclass(frozen=True)
class GateRecord:
    """What the journal keeps of a gate result."""

    summary: Sequence[str] = ()
    approvals: Sequence[str] = ()


def record_outcomes(
    folder: Path,
    deployed: StackState,
    *,
    issues: Mapping[str, Sequence[str]],
    gate: GateRecord,
    now: datetime,
    backend: str,
) -> list[Event]:
    """Record what became of each pending move that the last successful update deployed. Return the events.

    issues: what makes the servers of each service unhealthy, for the services that were checked.
    """
    events = journal.read(folder)
    outcomes = []
    for service, server_issues in sorted(issues.items()):
        move = journal.pending_move(events, service, deployed.stack, backend)
        release = deployed.release(service)
        if move is None or release is None or fingerprint(release) != move.fingerprint:
            continue
        all_issues = [*deployed.health_issues(service), *server_issues]
        outcomes.append(record_outcome(folder, move, all_issues, gate, now, phase="servers"))
    return outcomes


def record_outcome(
    folder: Path,
    move: Event,
    issues: Sequence[str],
    gate: GateRecord,
    now: datetime,
    *,
    phase: Literal["update", "servers"] = "update",
) -> Event:
    """Record that a moved release was deployed or, if there are issues, that it failed in a phase."""
    event = Event(
        kind="failed" if issues else "deployed",
        service=move.service,
        version=move.version,
        image=move.image,
        at=journal.timestamp(journal.stamp(folder, move.service, now)),
        by=journal.author(folder),
        environment=move.environment,
        backend=move.backend,
        reason="; ".join(issues),
        fingerprint=move.fingerprint,
        phase=phase if issues else "",
        gate=list(gate.summary),
        approvals=list(gate.approvals),
    )
    journal.write(folder, event)
    return event
