"""What the gate can find. Code decides by the fields of a finding; its message is for people."""

from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """The gate's rules."""

    OUTSIDE = "outside"
    DATA = "data"
    PROTECT = "protect"
    WIDENING = "widening"
    PROVIDER = "provider"
    NOT_PROMOTED = "not-promoted"
    HELD = "held"
    PENDING = "pending"


# Nobody can sign these off: after an incomplete operation the actual state is unknown, and a hold has its own command.
FINAL_RULES = frozenset({Rule.PENDING, Rule.HELD})
SIGNABLE_RULES = tuple(rule for rule in Rule if rule not in FINAL_RULES)


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that the gate found.

    Attributes:
        rule: Which kind of finding it is.
        urn: The resource.
        message: What would happen to the resource, as the rest of a sentence that starts with the resource's name.
        owner: The service that the resource belongs to, or `foundation`.
        detail: What within the rule: the kind of widening, the setting that is weakened, the operation.
    """

    rule: Rule
    urn: str
    message: str
    owner: str
    detail: str = ""
