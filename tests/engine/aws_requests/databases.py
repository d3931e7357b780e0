"""Requests about databases and secrets that AWS refuses."""

from typing import Any

from tests.engine.aws_requests.account import OWNER, Account, Request, Requests


def database(**arguments: Any) -> Request:
    """Return a request that creates a database."""
    return lambda account: account.database(**arguments)


def named(name: str) -> Request:
    """Return a request that creates a database with a name."""
    return lambda account: account.database(DBInstanceIdentifier=name)


def parameter_group(account: Account, family: str = "postgres16") -> str:
    """Create a parameter group and return its name."""
    name = account.name()
    account.client("rds").create_db_parameter_group(
        DBParameterGroupName=name, DBParameterGroupFamily=family, Description="g"
    )
    return name


def parameter(name: str, value: str, method: str) -> Request:
    """Return a request that sets a parameter of PostgreSQL."""

    def send(account: Account) -> None:
        account.client("rds").modify_db_parameter_group(
            DBParameterGroupName=parameter_group(account),
            Parameters=[{"ParameterName": name, "ParameterValue": value, "ApplyMethod": method}],
        )

    return send


def delete_parameter_group(account: Account, *, is_used: bool) -> None:
    """Delete a parameter group that a database has, or not."""
    group = parameter_group(account)
    if is_used:
        account.database(DBParameterGroupName=group)
    account.client("rds").delete_db_parameter_group(DBParameterGroupName=group)


def delete_subnet_group(account: Account, *, is_used: bool) -> None:
    """Delete a subnet group that a database has, or not."""
    group = account.subnet_group(account.subnet_ids)
    if is_used:
        account.database(DBSubnetGroupName=group)
    account.client("rds").delete_db_subnet_group(DBSubnetGroupName=group)


def delete_protected(account: Account, *, is_protected: bool) -> None:
    """Delete a database with or without deletion protection."""
    name = account.database(DeletionProtection=is_protected)
    account.client("rds").delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)


def deleted_key(account: Account, *, is_deleted: bool) -> None:
    """Encrypt with a key that waits for its deletion, or not."""
    kms, key = account.client("kms"), account.key(OWNER)
    if is_deleted:
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    kms.encrypt(KeyId=key, Plaintext=b"x")


def secret_again(account: Account, *, is_forced: bool) -> None:
    """Create a secret again after it was deleted."""
    client, name = account.client("secretsmanager"), account.name()
    client.create_secret(Name=name, SecretString="x")
    client.delete_secret(SecretId=name, **({"ForceDeleteWithoutRecovery": True} if is_forced else {}))
    client.create_secret(Name=name, SecretString="x")


REQUESTS: Requests = {
    "a PostgreSQL version that does not exist": (
        database(EngineVersion="16.99"),
        "InvalidParameterCombination",
        database(EngineVersion="17.7"),
    ),
    "a retired PostgreSQL version": (database(EngineVersion="16.3"), "InvalidParameterCombination", None),
    "a class that does not exist": (
        database(DBInstanceClass="db.t4g.tiny"),
        "InvalidParameterValue",
        database(DBInstanceClass="db.t4g.small"),
    ),
    "a class that PostgreSQL cannot have": (
        database(DBInstanceClass="db.r6g.48xlarge"),
        "InvalidParameterValue",
        None,
    ),
    "a name that starts with a digit": (named("1a"), "InvalidParameterValue", named("a1")),
    "a name that ends with a hyphen": (named("a-"), "InvalidParameterValue", None),
    "a name with two hyphens in a row": (named("a--b"), "InvalidParameterValue", None),
    "10 GB of gp3": (
        database(StorageType="gp3", AllocatedStorage=10),
        "InvalidParameterValue",
        database(StorageType="gp3", AllocatedStorage=20),
    ),
    "a limit below the storage": (
        database(AllocatedStorage=100, MaxAllocatedStorage=100),
        "InvalidParameterCombination",
        database(AllocatedStorage=100, MaxAllocatedStorage=110),
    ),
    "a reserved user name": (database(MasterUsername="rdsadmin"), "InvalidParameterValue", None),
    "a user name that is a word of PostgreSQL's": (
        database(MasterUsername="user"),
        "InvalidParameterValue",
        database(MasterUsername="owner1"),
    ),
    "a database name with a hyphen": (
        database(DBName="my-db"),
        "InvalidParameterValue",
        database(DBName="my_db"),
    ),
    "monitoring every 7 seconds": (
        database(MonitoringInterval=7),
        "InvalidParameterValue",
        database(MonitoringInterval=0),
    ),
    "Performance Insights for 8 days": (
        database(EnablePerformanceInsights=True, PerformanceInsightsRetentionPeriod=8),
        "InvalidParameterValue",
        database(EnablePerformanceInsights=True, PerformanceInsightsRetentionPeriod=7),
    ),
    "a backup during maintenance": (
        database(PreferredBackupWindow="03:00-04:00", PreferredMaintenanceWindow="sun:03:30-sun:04:30"),
        "InvalidParameterValue",
        database(PreferredBackupWindow="03:00-04:00", PreferredMaintenanceWindow="sun:05:00-sun:06:00"),
    ),
    "an unknown family of parameters": (
        lambda account: parameter_group(account, "postgres99"),
        "InvalidParameterValue",
        lambda account: parameter_group(account, "postgres17"),
    ),
    "an unknown parameter": (
        parameter("rds.force_tls", "1", "immediate"),
        "InvalidParameterValue",
        parameter("log_min_duration_statement", "500", "immediate"),
    ),
    "a static parameter at once": (
        parameter("max_connections", "100", "immediate"),
        "InvalidParameterCombination",
        parameter("max_connections", "100", "pending-reboot"),
    ),
    "deleting a parameter group in use": (
        lambda account: delete_parameter_group(account, is_used=True),
        "InvalidDBParameterGroupState",
        lambda account: delete_parameter_group(account, is_used=False),
    ),
    "deleting a subnet group in use": (
        lambda account: delete_subnet_group(account, is_used=True),
        "InvalidDBSubnetGroupStateFault",
        lambda account: delete_subnet_group(account, is_used=False),
    ),
    "deleting a protected database": (
        lambda account: delete_protected(account, is_protected=True),
        "InvalidParameterCombination",
        lambda account: delete_protected(account, is_protected=False),
    ),
    "a database with an unknown subnet group": (
        database(DBSubnetGroupName="nobodys"),
        "DBSubnetGroupNotFoundFault",
        lambda account: account.database(DBSubnetGroupName=account.subnet_group(account.subnet_ids)),
    ),
    "a database with an unknown parameter group": (
        database(DBParameterGroupName="nobodys"),
        "DBParameterGroupNotFound",
        lambda account: account.database(DBParameterGroupName=parameter_group(account)),
    ),
    "another major version's parameters": (
        lambda account: account.database(DBParameterGroupName=parameter_group(account, "postgres17")),
        "InvalidParameterCombination",
        None,
    ),
    "a major upgrade that nobody allowed": (
        lambda account: account.modified_database(EngineVersion="17.7", ApplyImmediately=True),
        "InvalidParameterCombination",
        lambda account: account.modified_database(EngineVersion="17.7", AllowMajorVersionUpgrade=True),
    ),
    "a key that waits for its deletion": (
        lambda account: deleted_key(account, is_deleted=True),
        "KMSInvalidStateException",
        lambda account: deleted_key(account, is_deleted=False),
    ),
    "a secret that waits for its deletion": (
        lambda account: secret_again(account, is_forced=False),
        "InvalidRequestException",
        lambda account: secret_again(account, is_forced=True),
    ),
}
