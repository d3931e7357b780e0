"""AWS facts: the catalog is what cfn-lint knows, and what is announced about versions is reported in time."""

import json
from datetime import date

import pytest

from settings import aws_facts
from tests.unit import derive_aws_catalog

TODAY = date(2026, 11, 25)


def test_the_catalog_is_what_cfn_lint_knows(request: pytest.FixtureRequest) -> None:
    """A newer cfn-lint may know more regions, types, classes and versions."""
    document = derive_aws_catalog.document()
    if request.config.getoption("--update-golden"):
        text = json.dumps(document, indent=1, sort_keys=True)
        aws_facts.CATALOG_FILE.write_text(f"{text}\n", encoding="utf-8")
    assert document == json.loads(aws_facts.CATALOG_FILE.read_text(encoding="utf-8")), (
        "If you have upgraded cfn-lint, run `./infra test unit --update-golden` and review the difference."
    )


@pytest.mark.parametrize(
    ("name", "region", "is_offered"),
    [
        ("t4g.small", "us-east-1", True),
        ("t4g.tiny", "us-east-1", False),
        ("m7g.nano", "us-east-1", False),
        ("u-24tb1.112xlarge", "us-east-1", True),
        ("u-24tb1.112xlarge", "eu-south-2", False),
        ("t4g.small", "xx-east-9", True),
    ],
)
def test_instance_types_of_a_region(name: str, region: str, *, is_offered: bool) -> None:
    """A region that the data does not know yet is not judged."""
    assert (aws_facts.describe_unsupported_type(name, region) == "") is is_offered


def test_sizes_are_listed_in_order() -> None:
    """Whoever misspells a size sees those that exist, from the smallest."""
    reason = aws_facts.describe_unsupported_class("db.t4g.tiny", "us-east-1")
    assert reason.endswith("db.t4g.micro, db.t4g.small, db.t4g.medium, db.t4g.large, db.t4g.xlarge, db.t4g.2xlarge.")


def test_every_supported_major_version_has_versions() -> None:
    """Otherwise no database could have it."""
    assert set(aws_facts.END_OF_STANDARD_SUPPORT) <= set(aws_facts.catalog().postgres_versions)


@pytest.mark.parametrize(
    ("version", "today", "expected"),
    [
        ("16.9", TODAY, "since 2026-10-01, RDS creates no new databases with PostgreSQL 16.9"),
        ("16.9", date(2026, 9, 1), "since 2026-10-01, RDS will create no new databases with PostgreSQL 16.9"),
        ("16.9", date(2026, 1, 1), ""),
        ("16.13", TODAY, ""),
        ("14.24", TODAY, "RDS ends its standard support of this major version on 2027-02-28"),
        ("14.24", date(2026, 1, 1), ""),
    ],
)
def test_the_end_of_a_version_is_announced(version: str, today: date, expected: str) -> None:
    """Half a year before, and afterwards."""
    message = aws_facts.describe_end_of_life(version, today)
    assert message.startswith(expected)
    assert bool(message) is bool(expected)
