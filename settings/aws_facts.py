"""What AWS offers, as far as it is known without asking AWS.

aws_catalog.json is derived from the data of cfn-lint (tests/unit/derive_aws_catalog.py): availability zones, instance
types, database classes, and PostgreSQL versions. A test keeps it true; a newer cfn-lint brings newer data.
"""

import difflib
import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

CATALOG_FILE = Path(__file__).parent / "aws_catalog.json"
NOTICE = timedelta(days=180)  # how long before the end of a version it is announced

# When RDS ends standard support of a PostgreSQL major version. Afterwards it costs extra (Extended Support), so a new
# database should not have it.
# Source: RDS user guide, "Release calendar for Amazon RDS for PostgreSQL".
END_OF_STANDARD_SUPPORT = {
    14: date(2027, 2, 28),
    15: date(2028, 2, 29),
    16: date(2029, 2, 28),
    17: date(2030, 2, 28),
    18: date(2031, 2, 28),
}
# Since when RDS creates no new databases with a minor version. Soon afterwards, it upgrades the existing ones in their
# maintenance windows.
# Source: AWS's notices to owners of such databases; those of October were reported by users, and no page confirms them.
RETIRED: dict[date, dict[int, tuple[int, ...]]] = {
    date(2026, 5, 1): {14: (14, 15, 16, 17), 15: (9, 10, 11, 12), 16: (5, 6, 7, 8), 17: (1, 2, 3, 4)},
    date(2026, 10, 1): {14: (18, 19), 15: (13, 14), 16: (9, 10), 17: (5, 6)},
}
# The public parameters that name the newest image of Amazon Linux 2023, by architecture.
# Source: Amazon Linux 2023 user guide, "Launching the AL2023 AMI using the SSM parameter and AWS CLI".
SSM_IMAGE_PARAMETERS = {
    architecture: f"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}"
    for architecture in ("arm64", "x86_64")
}


@dataclass(frozen=True)
class Catalog:
    """What each region offers.

    Attributes:
        zones: The availability zones of each region.
        instance_types: The regions of each EC2 instance type.
        database_classes: The regions of each RDS instance class for PostgreSQL, without `db.`.
        postgres_versions: The minor versions of each PostgreSQL major version that new databases can have.
    """

    zones: Mapping[str, tuple[str, ...]]
    instance_types: Mapping[str, frozenset[str]]
    database_classes: Mapping[str, frozenset[str]]
    postgres_versions: Mapping[int, tuple[int, ...]]


@functools.cache
def catalog() -> Catalog:
    """Return what aws_catalog.json says."""
    content: dict[str, Any] = json.loads(CATALOG_FILE.read_text(encoding="utf-8"))
    regions: list[str] = content["regions"]
    versions: dict[int, tuple[int, ...]] = {}
    for version in content["postgres_versions"]:
        major, minor = map(int, version.split("."))
        versions[major] = (*versions.get(major, ()), minor)
    return Catalog(
        {region: tuple(zones) for region, zones in content["zones"].items()},
        _regions_by_name(content["instance_types"], regions),
        _regions_by_name(content["database_classes"], regions),
        versions,
    )


def _regions_by_name(families: Mapping[str, Mapping[str, str]], regions: list[str]) -> dict[str, frozenset[str]]:
    """Return the regions of each name. A set bit N of the hexadecimal number of a size stands for the region N."""
    return {
        f"{family}.{size}": frozenset(region for index, region in enumerate(regions) if int(bits, 16) >> index & 1)
        for family, sizes in families.items()
        for size, bits in sizes.items()
    }


def architecture_of(instance_type: str) -> str | None:
    """Return the processor architecture of an EC2 instance type, or None if it is not one.

    AWS's own arm64 processors have a `g` after the generation, as in m7g. The exception is a1, the first generation.
    Source: EC2 user guide, "Amazon EC2 instance type naming conventions".
    """
    match = re.match(r"^(?P<letters>[a-z]+)(?P<generation>\d+)(?P<attributes>[a-z-]*)\.", instance_type)
    if match is None:
        return None
    return "arm64" if "g" in match["attributes"] or instance_type.startswith("a1.") else "x86_64"


def describe_unsupported_type(instance_type: str, region: str) -> str:
    """Return why a region has no servers of an EC2 instance type, or an empty text if it has."""
    return _unavailable(instance_type, catalog().instance_types, "EC2 instance type", region)


def describe_unsupported_class(instance_class: str, region: str) -> str:
    """Return why a region has no PostgreSQL databases of an RDS instance class, or an empty text if it has."""
    name = instance_class.removeprefix("db.")
    return _unavailable(name, catalog().database_classes, "RDS instance class for PostgreSQL", region, prefix="db.")


def _unavailable(name: str, offered: Mapping[str, frozenset[str]], kind: str, region: str, *, prefix: str = "") -> str:
    """Return why a region does not offer something, or an empty text if it does, or if the region is unknown."""
    if name not in offered:
        family = name.partition(".")[0]
        sizes = [other for other in offered if other.startswith(f"{family}.")]
        others = sorted(sizes, key=_size_order) or difflib.get_close_matches(name, offered)
        names = ", ".join(f"{prefix}{other}" for other in others)
        label = "Those of this family" if sizes else "Similar ones"
        return f"there is no such {kind}." + (f" {label}: {names}." if names else "")
    if region in catalog().zones and region not in offered[name]:
        return f"{region} does not offer this {kind}."
    return ""


def _size_order(name: str) -> tuple[int, str]:
    """Return a sort key that puts the sizes of a family in order."""
    size = name.partition(".")[2]
    named = ("nano", "micro", "small", "medium", "large", "xlarge")
    number = re.match(r"\d+", size)
    return (len(named) + int(number[0]) if number else named.index(size) if size in named else 1000, size)


def describe_unsupported_engine(version: str) -> str:
    """Return why RDS does not offer a PostgreSQL version for new instances, or an empty text if it does."""
    major, minor = map(int, version.split("."))
    if major not in END_OF_STANDARD_SUPPORT:
        majors = ", ".join(map(str, END_OF_STANDARD_SUPPORT))
        return f"RDS does not offer PostgreSQL {major} in standard support. Supported major versions: {majors}."
    minors = catalog().postgres_versions.get(major, ())
    if minor not in minors:
        return f"RDS does not offer this version for new instances. It offers {_versions(major, minors)}."
    return ""


def _versions(major: int, minors: Iterable[int]) -> str:
    """Return versions as a list."""
    return ", ".join(f"{major}.{minor}" for minor in minors)


def retired_on(version: str) -> date | None:
    """Return since when RDS creates no new databases with a PostgreSQL version; None if no date is known."""
    major, minor = map(int, version.split("."))
    return next((day for day, versions in RETIRED.items() if minor in versions.get(major, ())), None)


def latest_minor(version: str) -> str:
    """Return the newest known version of the same major version."""
    major = int(version.split(".", maxsplit=1)[0])
    return f"{major}.{max(catalog().postgres_versions.get(major, (0,)))}"


def describe_end_of_life(version: str, today: date) -> str:
    """Return what RDS has announced about a PostgreSQL version that ends soon or has ended; empty if nothing."""
    retired = retired_on(version)
    if retired and retired <= today + NOTICE:
        verb = "creates" if retired <= today else "will create"
        return (
            f"since {retired}, RDS {verb} no new databases with PostgreSQL {version}, and it upgrades existing ones by "
            f"itself. Release {latest_minor(version)} instead."
        )
    end = END_OF_STANDARD_SUPPORT.get(int(version.split(".", maxsplit=1)[0]))
    if end and end <= today + NOTICE:
        return (
            f"RDS ends its standard support of this major version on {end}; afterwards the database costs extra. Plan "
            "an upgrade to a newer major version."
        )
    return ""
