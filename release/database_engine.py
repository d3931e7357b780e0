"""What a database can and cannot do with its PostgreSQL version when a release moves."""

import re
from collections.abc import Mapping
from typing import Any

from release.errors import Refusal, Rule
from settings.project_files import environment_file


def version_numbers(version: object) -> tuple[int, ...]:
    """Return the numbers of a version such as 16.9; empty if there is no version."""
    return tuple(map(int, re.findall(r"\d+", str(version)))) if version else ()


def engine_refusals(
    service: str, environment: str, release: Mapping[str, Any], target: Mapping[str, Any]
) -> list[Refusal]:
    """Return why the target's database cannot take a release. target: the service's configuration in the environment.

    RDS never downgrades, and a major upgrade causes downtime, so an environment has to allow it.
    """
    current = (target.get("release") or {}).get("database_engine")
    requested = release.get("database_engine")
    old, new = version_numbers(current), version_numbers(requested)
    if not new or not old:
        return []
    if new < old:
        message = (
            f"the database of {service} in {environment} runs PostgreSQL {current}, and RDS cannot downgrade it to "
            f"{requested}. Promote a release with {current} or newer"
        )
        return [Refusal(Rule.DATABASE_DOWNGRADE, message)]
    allowed = ((target.get("sizing") or {}).get("database") or {}).get("allow_major_upgrade")
    if new[0] > old[0] and not allowed:
        message = (
            f"the release would upgrade the database of {service} in {environment} from PostgreSQL {current} to "
            f"{requested}, with downtime and no way back except a restore. To allow it, set "
            f"sizing.database.allow_major_upgrade: true for {service} in {environment_file(environment)}"
        )
        return [Refusal(Rule.DATABASE_MAJOR_UPGRADE, message)]
    return []


def restart_note(service: str, environment: str, release: Mapping[str, Any], target: Mapping[str, Any]) -> str:
    """Return what a release does to the target's database when it is deployed; empty if its version stays.

    Source: RDS user guide, "Upgrades of the RDS for PostgreSQL DB engine": a standby is upgraded at the same time, so
    it does not take over.
    """
    current = (target.get("release") or {}).get("database_engine")
    requested = release.get("database_engine")
    if not current or not requested or version_numbers(current) == version_numbers(requested):
        return ""
    return (
        f"the database of {service} in {environment} restarts when this is deployed, also with a standby: PostgreSQL "
        f"{current} -> {requested}"
    )


def with_engine(block: str, version: str) -> str:
    """Return a release block with another database engine; the rest, including comments, stays the same."""

    def replacement(match: re.Match[str]) -> str:
        return f'{match[1]}"{version}"{match[2]}'

    return re.sub(r"(?m)^(\s*database_engine:\s*).*?(\s*(#.*)?)$", replacement, block, count=1)
