"""Which changes are dangerous. A danger ranks and highlights a change; whether it is expected is another question."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from release.data_protection import DATA_TYPES, PROTECTION_TYPES, weakenings
from release.stack_state import type_of
from release.widening import widenings

REMOVING_OPERATIONS = frozenset(
    {"delete", "replace", "delete-replaced", "create-replacement", "discard", "discard-replaced"}
)


class Kind(StrEnum):
    """The kinds of dangers, the worst first."""

    DATA_LOSS = "data loss"
    LOST_PROTECTION = "lost protection"
    WIDER_ACCESS = "wider access"


# These cannot be undone, so an approval is needed even if the configuration asks for them.
IRREVERSIBLE = frozenset({Kind.DATA_LOSS, Kind.LOST_PROTECTION})


@dataclass(frozen=True)
class Danger:
    """One danger of a resource's changes."""

    kind: Kind
    message: str


def dangers_of(step: Mapping[str, Any]) -> list[Danger]:
    """Return the dangers of one step of a preview, the worst first."""
    order = list(Kind)
    return sorted(_dangers(step), key=lambda danger: (order.index(danger.kind), danger.message))


def _dangers(step: Mapping[str, Any]) -> Iterator[Danger]:
    urn, operation = step["urn"], step["op"]
    states = step.get("oldState") or {}, step.get("newState") or {}
    if states[0].get("protect") and states[1] and not states[1].get("protect"):
        yield Danger(Kind.LOST_PROTECTION, "loses Pulumi's protection, so that the next update could delete it")
    if operation in REMOVING_OPERATIONS and type_of(urn) in DATA_TYPES:
        yield Danger(Kind.DATA_LOSS, "is lost together with its data")
    old, new = (state.get("inputs") or {} if state else None for state in (step.get("oldState"), step.get("newState")))
    if old is not None and new is not None:
        for weakening in weakenings(old, new):
            yield Danger(Kind.LOST_PROTECTION, weakening.message)
    if operation == "delete" and type_of(urn) in PROTECTION_TYPES:
        yield Danger(Kind.LOST_PROTECTION, "is deleted, and it protects data")
    if operation not in {"same", "read", "refresh"} and type_of(urn).startswith("aws:"):
        for widening in widenings(urn, old, new):
            yield Danger(Kind.WIDER_ACCESS, widening.message)
