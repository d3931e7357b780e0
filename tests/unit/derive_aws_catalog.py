"""Derives settings/aws_catalog.json from the data of cfn-lint, which reads AWS's own price lists and APIs.

What each region offers: availability zones, EC2 instance types, RDS instance classes for PostgreSQL, and the PostgreSQL
versions that new databases can have. A newer cfn-lint brings newer data.
"""

import importlib.resources
import json
from collections.abc import Iterator, Mapping
from typing import Any

from cfnlint.helpers import AVAILABILITY_ZONES

EXTENSIONS = importlib.resources.files("cfnlint") / "data" / "schemas" / "extensions"
ISOLATED = ("us-iso", "eu-isoe")  # how the regions of AWS's isolated partitions begin, which few people can reach


def read(folder: str, file: str) -> dict[str, Any]:
    """Return one of cfn-lint's files."""
    content: dict[str, Any] = json.loads((EXTENSIONS / folder / f"{file}.json").read_text(encoding="utf-8"))
    return content


def by_region(folder: str, file: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each region with its part of a file. A text instead of a part names another region with the same one."""
    content = read(folder, file)
    for region, part in content.items():
        if region in AVAILABILITY_ZONES and not region.startswith(ISOLATED):
            yield region, content[part] if isinstance(part, str) else part


def instance_types() -> dict[str, set[str]]:
    """Return the regions of each EC2 instance type."""
    offered: dict[str, set[str]] = {}
    for region, part in by_region("aws_ec2_instance", "instancetype_enum"):
        for name in part["enum"]:
            offered.setdefault(name, set()).add(region)
    return offered


def database_classes() -> dict[str, set[str]]:
    """Return the regions of each RDS instance class that PostgreSQL can have."""
    offered: dict[str, set[str]] = {}
    for region, part in by_region("aws_rds_dbinstance", "dbinstanceclass_enum"):
        for condition in part["allOf"]:
            if condition["if"]["properties"]["Engine"].get("const") == "postgres":
                for name in condition["then"]["properties"]["DBInstanceClass"]["enum"]:
                    offered.setdefault(name.removeprefix("db."), set()).add(region)
    return offered


def postgres_versions() -> list[str]:
    """Return the PostgreSQL versions that new databases can have, oldest first."""
    known = set(versions_in(read("aws_rds_dbinstance", "engine_version"), "then"))
    deprecated = set(versions_in(read("aws_rds_dbinstance", "engine_version_deprecated"), "if"))
    plain = [version for version in known - deprecated if version.replace(".", "").isdecimal() and "." in version]
    return sorted(plain, key=lambda version: [int(part) for part in version.split(".")])


def versions_in(content: Mapping[str, Any], clause: str) -> Iterator[str]:
    """Yield the versions of PostgreSQL that a clause of a conditional schema lists."""
    for condition in content["allOf"]:
        engine = condition["if"]["properties"].get("Engine") or {}
        if "postgres" in (engine.get("const"), *(engine.get("enum") or ())):
            yield from condition[clause]["properties"]["EngineVersion"]["enum"]


def offers(offered: Mapping[str, set[str]], regions: list[str]) -> dict[str, dict[str, str]]:
    """Return names by family and size; each with a hexadecimal number, whose bit N stands for the region N."""
    families: dict[str, dict[str, str]] = {}
    for name in sorted(offered):
        family, _, size = name.partition(".")
        bits = sum(1 << index for index, region in enumerate(regions) if region in offered[name])
        families.setdefault(family, {})[size] = f"{bits:x}"
    return families


def document() -> dict[str, Any]:
    """Return the content of settings/aws_catalog.json."""
    regions = sorted(region for region in AVAILABILITY_ZONES if not region.startswith(ISOLATED))
    return {
        "regions": regions,
        "zones": {region: sorted(AVAILABILITY_ZONES[region]) for region in regions},
        "instance_types": offers(instance_types(), regions),
        "database_classes": offers(database_classes(), regions),
        "postgres_versions": postgres_versions(),
    }
