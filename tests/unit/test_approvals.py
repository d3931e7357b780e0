"""Approvals: files that accept exactly some changes of one owner in one environment, until a date."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from syrupy.assertion import SnapshotAssertion

from release import approvals, journal
from release.approvals import MAXIMUM_DAYS, Approval, ApprovalError
from release.changes import UPDATE, Change
from tests.unit.release_builders import MEMBERS, NOW, PAYMENTS, child_urn

TODAY = NOW.date()
CHANGE = Change(
    child_urn(MEMBERS, "aws:rds/instance:Instance", "members-db"), UPDATE, "port", "5432", "5433", "members"
)
OTHER = Change(child_urn(PAYMENTS, "aws:rds/instance:Instance", "payments-db"), UPDATE, "port", "1", "2", "payments")
ENTRY = f"{{urn: '{CHANGE.urn}', operation: update, property: port, old: a, new: b}}"
FIELDS = {
    "environment": "beta",
    "owner": "members",
    "reason": "x",
    "by": "kim",
    "expires": "2026-12-01",
    "changes": f"[{ENTRY}]",
}
INVALID_FILES: dict[str, dict[str, str | None]] = {
    "no reason": {"reason": "''"},
    "no author": {"by": None},
    "no date": {"expires": "soon"},
    "another owner": {"owner": "payments"},
    "no changes": {"changes": None},
    "changes that are no list": {"changes": "3"},
    "a change without a value": {"changes": f"[{ENTRY.replace(', new: b', '')}]"},
}


def write_file(folder: Path, text: str) -> None:
    """Write an approval of members by hand."""
    path = folder / approvals.FOLDER / "members" / "x.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")


def write(folder: Path, *changes: Change, seconds: int = 0, by: str = "kim") -> list[Path]:
    """Write approvals for beta, which expire in three days."""
    return approvals.write(
        folder,
        "beta",
        changes,
        reason="the new port",
        by=by,
        expires=TODAY + timedelta(days=3),
        now=NOW + timedelta(seconds=seconds),
    )


def test_each_owner_gets_a_file_in_its_own_folder(tmp_path: Path) -> None:
    """CODEOWNERS decide by the folder who may add it."""
    paths = write(tmp_path, CHANGE, OTHER)
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "releases/approvals/members/20261123180000-beta.yaml",
        "releases/approvals/payments/20261123180000-beta.yaml",
    ]
    first, second = approvals.read(tmp_path, "beta")
    assert (first.owner, first.reason, first.by, first.environment) == ("members", "the new port", "kim", "beta")
    assert first.expires == TODAY + timedelta(days=3)
    assert (first.covers(CHANGE), first.covers(OTHER)) == (True, False)
    assert (second.covers(CHANGE), second.covers(OTHER)) == (False, True)
    assert approvals.read(tmp_path, "prod") == []


def test_a_file_contains_digests_instead_of_values(tmp_path: Path) -> None:
    """A value may be something that should not be in the repository."""
    (path,) = write(tmp_path, replace(CHANGE, new='"hunter2"'))
    assert "hunter2" not in path.read_text(encoding="utf-8")


def test_an_approval_is_no_event_of_the_journal(tmp_path: Path) -> None:
    """Although its file is below the same folder."""
    write(tmp_path, CHANGE)
    assert journal.read(tmp_path) == []
    assert journal.problems(tmp_path) == []


def test_a_second_approval_in_the_same_second_is_refused(tmp_path: Path) -> None:
    """It would replace the first one; a second later it is another file."""
    write(tmp_path, CHANGE)
    with pytest.raises(ApprovalError):
        write(tmp_path, CHANGE, by="robin")
    write(tmp_path, CHANGE, by="robin", seconds=1)
    assert [approval.by for approval in approvals.read(tmp_path, "beta")] == ["kim", "robin"]


@pytest.mark.parametrize(
    "other",
    [
        replace(CHANGE, urn=OTHER.urn),
        replace(CHANGE, operation="replace"),
        replace(CHANGE, property="engine"),
        replace(CHANGE, old="5431"),
        replace(CHANGE, new="5434"),
        replace(CHANGE, new=""),
        replace(CHANGE, owner="payments"),
    ],
    ids=["resource", "operation", "property", "old value", "new value", "no value", "owner"],
)
def test_an_approval_covers_no_other_change(tmp_path: Path, other: Change) -> None:
    """Not even one that differs in a single value."""
    write(tmp_path, CHANGE)
    (approval,) = approvals.read(tmp_path, "beta")
    assert approval.covers(CHANGE)
    assert not approval.covers(other)


@pytest.mark.parametrize(
    ("days", "is_valid"), [(-1, False), (0, True), (MAXIMUM_DAYS, True), (MAXIMUM_DAYS + 1, False)]
)
def test_an_approval_is_valid_through_its_last_day_and_for_at_most_thirty_days(days: int, *, is_valid: bool) -> None:
    """What should be accepted for longer belongs into the reviewed data or the environment file."""
    approval = Approval("f", "beta", "members", "r", "kim", TODAY + timedelta(days=days), frozenset())
    assert (approvals.valid([approval], TODAY) == [approval]) is is_valid


@pytest.mark.parametrize("name", INVALID_FILES)
def test_an_invalid_file_is_refused(tmp_path: Path, name: str, snapshot: SnapshotAssertion) -> None:
    """The error names the file and what is wrong with it."""
    fields = {key: value for key, value in {**FIELDS, **INVALID_FILES[name]}.items() if value is not None}
    write_file(tmp_path, "".join(f"{key}: {value}\n" for key, value in fields.items()))
    with pytest.raises(ApprovalError) as error:
        approvals.read(tmp_path, "beta")
    assert str(error.value) == snapshot


@pytest.mark.parametrize("text", ["- just a list", "just words", "", "urn: [", "\x00"])
def test_a_file_that_is_no_map_is_refused(tmp_path: Path, text: str) -> None:
    """Nothing is decided on half of the approvals, not even for another environment."""
    write_file(tmp_path, text)
    with pytest.raises(ApprovalError) as error:
        approvals.read(tmp_path, "prod")
    assert "releases/approvals/members/x.yaml" in str(error.value)


@pytest.mark.parametrize("convert", [str, date.fromisoformat])
def test_a_date_may_be_written_with_or_without_quotes(tmp_path: Path, convert: Callable[[str], object]) -> None:
    """YAML reads it as a date or as text."""
    write(tmp_path, CHANGE)
    (path,) = (tmp_path / approvals.FOLDER).glob("*/*.yaml")
    content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    parsed = approvals.parse({**content, "expires": convert("2026-12-01")}, "f", "members")
    assert parsed.expires == date(2026, 12, 1)
