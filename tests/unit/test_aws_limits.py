"""Changes that AWS would refuse because of what is deployed."""

from typing import Any

import pytest

from release.aws_limits import DATABASE_TYPE, impossible_changes
from release.changes import Preview
from tests.unit.release_builders import MEMBERS, child_urn, step

DATABASE = child_urn(MEMBERS, DATABASE_TYPE, "members-database-instance")
DEPLOYED = {"engineVersion": "16.11", "allocatedStorage": 30}


def messages(new: dict[str, Any], outputs: dict[str, Any] | None = None, operation: str = "update") -> list[str]:
    """Return why AWS would refuse a database's new inputs. outputs: what AWS reports about the deployed one."""
    change = step(operation, DATABASE, old_inputs=DEPLOYED, new_inputs={**DEPLOYED, **new})
    change["oldState"]["outputs"] = outputs or {}
    found = list(impossible_changes(Preview({"steps": [change]}, {})))
    assert {urn for urn, _ in found} <= {DATABASE}
    return [message for _, message in found]


@pytest.mark.parametrize(
    ("new", "outputs", "text"),
    [
        ({"engineVersion": "16.9"}, {}, "cannot downgrade it to 16.9"),
        ({"engineVersion": "15.15"}, {}, "cannot downgrade it to 15.15"),
        ({"engineVersion": "16.12"}, {"engineVersionActual": "16.13"}, 'database_engine: "16.13"'),
        ({"engineVersion": "17.7"}, {}, "allow_major_upgrade: true"),
        ({"allocatedStorage": 20}, {}, "cannot shrink it to 20 GB"),
    ],
)
def test_what_rds_refuses_is_found(new: dict[str, Any], outputs: dict[str, Any], text: str) -> None:
    """The message says what to write instead. What AWS reports counts more than what the program asked for."""
    (message,) = messages(new, outputs)
    assert text in message


@pytest.mark.parametrize(
    "new",
    [
        {"engineVersion": "16.12"},
        {"engineVersion": "17.7", "allowMajorVersionUpgrade": True},
        {"engineVersion": "16"},
        {"allocatedStorage": 31},
        {},
        {"instanceClass": "db.t4g.small"},
    ],
)
def test_what_rds_accepts_is_not_found(new: dict[str, Any]) -> None:
    """Newer minor versions, allowed major ones, more storage, also if AWS has enlarged the disk on its own."""
    assert messages(new, {"allocatedStorage": 40}) == []


def test_a_replaced_database_may_be_anything() -> None:
    """It is another database; the gate judges its data loss."""
    assert messages({"engineVersion": "15.15"}, operation="replace") == []
