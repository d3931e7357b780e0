"""What fails the gate whatever is approved. Code decides by the fields of a finding; its message is for people."""

from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """The rules whose findings nobody can approve."""

    PENDING = "pending"
    HELD = "held"
    STALE = "stale"
    OLDER = "older"
    REUSED = "reused"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that fails the gate.

    Attributes:
        rule: Which kind of finding it is.
        urn: The resource.
        message: What is wrong, as the rest of a sentence that starts with the resource's name, and what to do.
        owner: The service that the resource belongs to, or `foundation`.
    """

    rule: Rule
    urn: str
    message: str
    owner: str
