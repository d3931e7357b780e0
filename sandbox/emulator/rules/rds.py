"""RDS: backups, passwords, security groups, subnet groups and final snapshots."""

import re
from typing import Any

from ministack.core.responses import get_region
from ministack.services import ec2, rds

from sandbox.emulator.patches.query_protocol import list_parameter
from sandbox.emulator.rules.hooks import Refusal, rule
from settings.aws_facts import catalog, describe_unsupported_class

API = "https://docs.aws.amazon.com/AmazonRDS/latest/APIReference"
LONGEST_RETENTION_DAYS = 35
SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 128
REQUIRED_ZONES = 2  # of a subnet group
IDENTIFIER = re.compile(r"(?!.*--)[A-Za-z][A-Za-z0-9-]{0,62}(?<!-)")
DATABASE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
USER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
# Of the words that PostgreSQL reserves, those that someone might choose, and RDS's own.
RESERVED_USERS = frozenset({"rdsadmin", "user", "table", "select", "grant", "role", "all", "public", "rds_superuser"})
SMALLEST_GP3_GB, LARGEST_GP3_GB = 20, 65536
LEAST_LIMIT_PERCENT = 110  # of the storage
MONITORING_SECONDS = frozenset({0, 1, 5, 10, 15, 30, 60})
INSIGHTS_DAYS = frozenset({7, 731, *range(31, 714, 31)})
POSTGRES = "postgres"


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


def is_postgres(parameters: Any) -> bool:
    """Tell whether a request is about a PostgreSQL database."""
    instance = rds._instances.get(rds._p(parameters, "DBInstanceIdentifier")) or {}
    return (rds._p(parameters, "Engine") or instance.get("Engine")) == POSTGRES


@rule(rds, "_create_db_instance", "_modify_db_instance", source=f"{API}/API_CreateDBInstance.html")
def engine_version(parameters: Any) -> Refusal | None:
    """RDS offers the PostgreSQL version of a new database, and of an upgrade."""
    requested = rds._p(parameters, "EngineVersion")
    if not requested or not is_postgres(parameters):
        return None
    major, *minor = version(requested)
    offered = catalog().postgres_versions.get(major, ())
    if offered and (not minor or minor[0] in offered):
        return None
    return Refusal("InvalidParameterCombination", f"Cannot find version {requested} for postgres")


@rule(rds, "_create_db_instance", "_modify_db_instance", source=f"{API}/API_CreateDBInstance.html")
def instance_class(parameters: Any) -> Refusal | None:
    """PostgreSQL can have the database's class in its region."""
    requested = rds._p(parameters, "DBInstanceClass")
    if requested and is_postgres(parameters) and describe_unsupported_class(requested, get_region()):
        return Refusal("InvalidParameterValue", f"Invalid DB Instance class: {requested}")
    return None


@rule(rds, "_create_db_instance", source=f"{API}/API_CreateDBInstance.html")
def database_identifier(parameters: Any) -> Refusal | None:
    """The identifier of a database begins with a letter, and has no two hyphens in a row and none at its end."""
    name = rds._p(parameters, "DBInstanceIdentifier")
    if not name or IDENTIFIER.fullmatch(name):
        return None
    message = (
        f"The parameter DBInstanceIdentifier is not a valid identifier: {name}. Identifiers must begin with a letter; "
        "must contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two "
        "consecutive hyphens."
    )
    return Refusal("InvalidParameterValue", message)


@rule(rds, "_create_db_instance", source=f"{API}/API_CreateDBInstance.html")
def database_names(parameters: Any) -> Refusal | None:
    """The names of a database and of its first user have only letters, digits and underscores, and are not reserved."""
    name, user = rds._p(parameters, "DBName"), rds._p(parameters, "MasterUsername")
    if name and not DATABASE_NAME.fullmatch(name):
        message = "DBName must begin with a letter and contain only alphanumeric characters."
        return Refusal("InvalidParameterValue", message)
    if user and not USER_NAME.fullmatch(user):
        return Refusal("InvalidParameterValue", f"Invalid master user name {user}")
    if user.lower() in RESERVED_USERS:
        message = f"MasterUsername {user} cannot be used as it is a reserved word used by the engine"
        return Refusal("InvalidParameterValue", message)
    return None


@rule(rds, "_create_db_instance", source="https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html")
def storage_size(parameters: Any) -> Refusal | None:
    """A database has 20 to 65,536 GB of gp3, and its limit is at least a tenth above its storage."""
    size, limit = rds._p(parameters, "AllocatedStorage"), rds._p(parameters, "MaxAllocatedStorage")
    is_gp3 = rds._p(parameters, "StorageType") == "gp3"
    if size and is_gp3 and not SMALLEST_GP3_GB <= int(size) <= LARGEST_GP3_GB:
        return Refusal(
            "InvalidParameterValue", f"Invalid storage size for engine name postgres and storage type gp3: {size}"
        )
    if size and limit and int(limit) * 100 < int(size) * LEAST_LIMIT_PERCENT:
        message = "Max storage size must be greater than storage size"
        return Refusal("InvalidParameterCombination", message)
    return None


@rule(rds, "_create_db_instance", "_modify_db_instance", source=f"{API}/API_CreateDBInstance.html")
def monitoring(parameters: Any) -> Refusal | None:
    """Enhanced monitoring and Performance Insights have certain intervals and retention times."""
    seconds = rds._p(parameters, "MonitoringInterval")
    days = rds._p(parameters, "PerformanceInsightsRetentionPeriod")
    if seconds and int(seconds) not in MONITORING_SECONDS:
        return Refusal("InvalidParameterValue", f"Invalid monitoring interval: {seconds}")
    if days and int(days) not in INSIGHTS_DAYS:
        return Refusal(
            "InvalidParameterValue", "Invalid Performance Insights retention period. Valid values: 7, N * 31 or 731"
        )
    return None


@rule(
    rds,
    "_create_db_instance",
    source="https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_UpgradeDBInstance.Maintenance.html",
)
def windows(parameters: Any) -> Refusal | None:
    """Backups and maintenance do not overlap."""
    backup, maintenance = (rds._p(parameters, f"Preferred{kind}Window") for kind in ("Backup", "Maintenance"))
    if not backup or not maintenance:
        return None
    first, last = (time[-5:] for time in maintenance.split("-"))
    start, end = backup.split("-")
    if start < last and first < end:
        return Refusal("InvalidParameterValue", "The backup window and maintenance window must not overlap.")
    return None


@rule(rds, "_create_db_instance", source=f"{API}/API_CreateDBInstance.html")
def database_subnet_group(parameters: Any) -> Refusal | None:
    """The subnet group of a database exists."""
    name = rds._p(parameters, "DBSubnetGroupName")
    if name and name not in rds._subnet_groups:
        return Refusal("DBSubnetGroupNotFoundFault", f"DB subnet group '{name}' does not exist.")
    return None


@rule(rds, "_delete_subnet_group", source=f"{API}/API_DeleteDBSubnetGroup.html")
def subnet_group_in_use(parameters: Any) -> Refusal | None:
    """A subnet group that a database has cannot be deleted."""
    name = rds._p(parameters, "DBSubnetGroupName")
    groups = [(instance.get("DBSubnetGroup") or {}).get("DBSubnetGroupName") for instance in rds._instances.values()]
    if name in groups:
        message = f"Cannot delete the subnet group '{name}' because at least one database instance is using it."
        return Refusal("InvalidDBSubnetGroupStateFault", message)
    return None


@rule(
    rds,
    "_modify_db_instance",
    source="https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_UpgradeDBInstance.PostgreSQL.MajorVersion.html",
)
def major_upgrade(parameters: Any) -> Refusal | None:
    """A new major version of PostgreSQL has to be allowed."""
    instance = rds._instances.get(rds._p(parameters, "DBInstanceIdentifier")) or {}
    requested, current = rds._p(parameters, "EngineVersion"), str(instance.get("EngineVersion") or "")
    is_major = bool(requested and current) and version(requested)[:1] > version(current)[:1]
    if is_major and rds._p(parameters, "AllowMajorVersionUpgrade") != "true":
        message = "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version."
        return Refusal("InvalidParameterCombination", message)
    return None
