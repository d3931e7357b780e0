"""Why a release may not move. Callers decide by `rule`; people read `message`."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from common.errors import InfraError


class Rule(StrEnum):
    """The reasons for which a promotion, a rollback or a hold is refused."""

    ALREADY_PROMOTED = "already-promoted"
    ALREADY_ROLLED_BACK = "already-rolled-back"
    DATABASE_DOWNGRADE = "database-downgrade"
    DATABASE_MAJOR_UPGRADE = "database-major-upgrade"
    FILE_CHANGED = "file-changed"
    FILE_DIFFERS_FROM_DEPLOYED = "file-differs-from-deployed"
    HELD = "held"
    INVALID_BLOCK = "invalid-block"
    INVALID_FILE = "invalid-file"
    INVALID_RESULT = "invalid-result"
    MISSING_FILE = "missing-file"
    NO_EARLIER_RELEASE = "no-earlier-release"
    NO_HOLD = "no-hold"
    NOT_DEPLOYED = "not-deployed"
    NOT_ON_PATH = "not-on-path"
    REASON_REQUIRED = "reason-required"
    SOAKING = "soaking"
    UNHEALTHY = "unhealthy"
    UNKNOWN_RELEASE = "unknown-release"
    VERSION_REUSED = "version-reused"


@dataclass(frozen=True)
class Refusal:
    """One reason. message: what is wrong and what to do; commands to type stand on lines of their own."""

    rule: Rule
    message: str


class RefusedError(InfraError):
    """Something was refused and nothing was changed. It carries every reason at once."""

    def __init__(self, refusals: Iterable[Refusal]) -> None:
        """Keep the reasons in the order in which they were found."""
        self.refusals = tuple(refusals)
        super().__init__("\n".join(refusal.message for refusal in self.refusals))

    @property
    def rules(self) -> set[Rule]:
        """The rules behind the refusal."""
        return {refusal.rule for refusal in self.refusals}


def refused(rule: Rule, message: str) -> RefusedError:
    """Return the error for a single reason."""
    return RefusedError([Refusal(rule, message)])


class JournalError(InfraError):
    """An event of the journal cannot be read or written."""
