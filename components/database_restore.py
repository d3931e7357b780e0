"""What differs between a database that starts empty and one that starts from existing data. Pure functions."""

from typing import NamedTuple

import pulumi
from pulumi_aws.rds import InstanceRestoreToPointInTimeArgsDict

from settings.models import FromPointInTime, FromSnapshot

ADMINISTRATOR = "administrator"
SUFFIX_LENGTH = 12  # keeps the snapshot's name below RDS's limit

RestoreSource = FromSnapshot | FromPointInTime


class InitialData(NamedTuple):
    """The inputs of an RDS instance that depend on what it starts from."""

    database_name: str | None
    username: str | None
    key_arn: pulumi.Input[str] | None
    snapshot: str | None = None
    point_in_time: InstanceRestoreToPointInTimeArgsDict | None = None


def initial_data(source: RestoreSource | None, database_name: str, key_arn: pulumi.Input[str]) -> InitialData:
    """Return these inputs. Restored data contains its own database and administrator.

    A database that is restored from a snapshot also keeps the snapshot's key: any other key would replace it in the
    next update.
    """
    if source is None:
        return InitialData(database_name, ADMINISTRATOR, key_arn)
    if isinstance(source, FromSnapshot):
        return InitialData(None, None, None, snapshot=source.snapshot)
    point_in_time: InstanceRestoreToPointInTimeArgsDict = {
        "source_db_instance_identifier": source.instance,
        "restore_time": source.time,
    }
    return InitialData(None, None, key_arn, point_in_time=point_in_time)


def final_snapshot_suffix(source: RestoreSource | None) -> str:
    """Return the suffix of the final snapshot's name, which depends on what the database started from.

    A database and the one that a restore replaces it with have the same subnet group, from which the rest of the name
    is derived. Without the suffix, the second final snapshot would be refused.
    """
    if source is None:
        return ""
    origin = source.snapshot if isinstance(source, FromSnapshot) else source.time
    return "-" + "".join(character for character in origin.lower() if character.isalnum())[-SUFFIX_LENGTH:]
