"""What AWS would refuse because of what is deployed, although each value for itself is valid. Pure.

Pulumi would find out in the middle of the update.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from release.changes import Preview
from release.database_engine import version_numbers
from release.stack_state import type_of

IN_PLACE = frozenset({"update", "same"})  # the provider may show a smaller disk as no change
DATABASE_TYPE = "aws:rds/instance:Instance"


def impossible_changes(preview: Preview) -> Iterator[tuple[str, str]]:
    """Yield (URN, message) of each change in a preview that AWS would refuse."""
    for step in preview.steps:
        if step["op"] in IN_PLACE and type_of(step["urn"]) == DATABASE_TYPE:
            old, new = step.get("oldState") or {}, step.get("newState") or {}
            found = database_messages(old.get("inputs") or {}, old.get("outputs") or {}, new.get("inputs") or {})
            yield from ((step["urn"], message) for message in found)


def database_messages(old: Mapping[str, Any], outputs: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield why RDS would refuse to modify a database. outputs: what AWS reported about the deployed one.

    AWS may have given a database more storage than the program asked for; the provider then keeps it.

    Sources: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBInstance.html (AllocatedStorage,
    AllowMajorVersionUpgrade, EngineVersion) and https://github.com/hashicorp/terraform-provider-aws/issues/39579 (after
    AWS has upgraded an instance on its own, it refuses the version that the program still names).
    """
    current = outputs.get("engineVersionActual") or outputs.get("engineVersion") or old.get("engineVersion")
    requested = new.get("engineVersion")
    old_version, new_version = version_numbers(current), version_numbers(requested)
    if old_version and new_version:
        if new_version < old_version[: len(new_version)]:
            yield (
                f"runs PostgreSQL {current}, and RDS cannot downgrade it to {requested}. If AWS has upgraded it, write "
                f'that version into the environment\'s file: database_engine: "{current}"'
            )
        elif new_version[0] > old_version[0] and not new.get("allowMajorVersionUpgrade"):
            yield (
                f"would be upgraded from PostgreSQL {current} to {requested}, which RDS refuses without "
                "sizing.database.allow_major_upgrade: true. It causes downtime and cannot be undone"
            )
    old_storage, new_storage = old.get("allocatedStorage"), new.get("allocatedStorage")
    if isinstance(old_storage, int | float) and isinstance(new_storage, int | float) and new_storage < old_storage:
        yield (
            f"has {old_storage:g} GB, and RDS cannot shrink it to {new_storage:g} GB. Set sizing.database.storage_gb "
            f"to {old_storage:g} or more"
        )
