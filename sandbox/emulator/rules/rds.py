"""RDS: backups, passwords, security groups, subnet groups and final snapshots."""

from typing import Any

from ministack.services import ec2, rds

from sandbox.emulator.patches.query_protocol import list_parameter
from sandbox.emulator.rules.hooks import Refusal, rule

API = "https://docs.aws.amazon.com/AmazonRDS/latest/APIReference"
LONGEST_RETENTION_DAYS = 35
SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 128
REQUIRED_ZONES = 2  # of a subnet group


@rule(rds, "_create_db_instance", "_modify_db_instance", source=f"{API}/API_CreateDBInstance.html")
def backup_retention(parameters: Any) -> Refusal | None:
    """Backups are kept for 0 to 35 days."""
    days = rds._p(parameters, "BackupRetentionPeriod")
    if not days or 0 <= int(days) <= LONGEST_RETENTION_DAYS:
        return None
    return Refusal("InvalidParameterValue", f"Invalid backup retention period: {days}. Must be between 0 and 35")


@rule(rds, "_create_db_instance", "_modify_db_instance", source=f"{API}/API_CreateDBInstance.html")
def password_length(parameters: Any) -> Refusal | None:
    """A password has 8 to 128 characters."""
    password = rds._p(parameters, "MasterUserPassword")
    if not password or SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        return None
    message = "The parameter MasterUserPassword is not a valid password because it is shorter than 8 characters."
    return Refusal("InvalidParameterValue", message)


@rule(rds, "_create_db_instance", "_modify_db_instance", source=f"{API}/API_CreateDBInstance.html")
def database_security_groups(parameters: Any) -> Refusal | None:
    """The security groups of a database exist."""
    names = ("VpcSecurityGroupIds.VpcSecurityGroupId", "VpcSecurityGroupIds.member")
    groups = [group for name in names for group in list_parameter(parameters, name, rds._p)]
    unknown = [group for group in groups if group not in ec2._security_groups]
    if unknown:
        return Refusal("InvalidParameterValue", f"Invalid security group , groupId= {unknown[0]}, groupName=.")
    return None


@rule(rds, "_modify_db_instance", source=f"{API}/API_ModifyDBInstance.html")
def smaller_storage(parameters: Any) -> Refusal | None:
    """The storage of a database never shrinks."""
    instance = rds._instances.get(rds._p(parameters, "DBInstanceIdentifier")) or {}
    size, current = rds._p(parameters, "AllocatedStorage"), instance.get("AllocatedStorage")
    if size and current and int(size) < int(current):
        return Refusal("InvalidParameterCombination", "Invalid storage size for engine name postgres: it cannot shrink")
    return None


@rule(rds, "_modify_db_instance", source="https://github.com/hashicorp/terraform-provider-aws/issues/39579")
def older_engine(parameters: Any) -> Refusal | None:
    """The engine of a database never becomes older."""
    instance = rds._instances.get(rds._p(parameters, "DBInstanceIdentifier")) or {}
    requested, current = rds._p(parameters, "EngineVersion"), instance.get("EngineVersion")
    if requested and current and version(requested) < version(current)[: len(version(requested))]:
        message = f"Cannot upgrade {instance.get('Engine')} from {current} to {requested}"
        return Refusal("InvalidParameterCombination", message)
    return None


def version(text: str) -> tuple[int, ...]:
    """Return the numbers of a version."""
    return tuple(int(part) for part in text.split(".") if part.isdigit())


@rule(rds, "_create_subnet_group", source=f"{API}/API_CreateDBSubnetGroup.html")
def subnet_group_zones(parameters: Any) -> Refusal | None:
    """A subnet group has subnets in at least two zones."""
    names = ("SubnetIds.SubnetIdentifier", "SubnetIds.member")
    subnets = [subnet for name in names for subnet in list_parameter(parameters, name, rds._p)]
    zones = {(ec2._subnets.get(subnet) or {}).get("AvailabilityZone") for subnet in subnets}
    if len(zones) >= REQUIRED_ZONES:
        return None
    return Refusal(
        "DBSubnetGroupDoesNotCoverEnoughAZs",
        "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Current AZ coverage: "
        f"{', '.join(sorted(map(str, zones)))}. Add subnets to cover at least 2 AZs.",
    )


@rule(rds, "_delete_db_instance", source=f"{API}/API_DeleteDBInstance.html")
def final_snapshot(parameters: Any) -> Refusal | None:
    """Whoever deletes a database names a final snapshot, or says that there shall be none."""
    instance = rds._instances.get(rds._p(parameters, "DBInstanceIdentifier")) or {}
    is_skipped = rds._p(parameters, "SkipFinalSnapshot") == "true"
    is_replica = instance.get("ReadReplicaSourceDBInstanceIdentifier")
    if (
        is_skipped
        or is_replica
        or rds._p(parameters, "FinalDBSnapshotIdentifier")
        or instance.get("DeletionProtection")
    ):
        return None
    message = "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
    return Refusal("InvalidParameterCombination", message)
