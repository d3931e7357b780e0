"""IsolatedDatabase: who can connect, how data is encrypted, backed up and restored, and when alarms start."""

from typing import Any

import pytest

from components.database_alarms import database_thresholds
from components.database_restore import final_snapshot_suffix
from components.isolated_database import IsolatedDatabase, IsolatedDatabaseArgs
from mocks.aws import Run, run
from settings.models import DatabaseSizing, FromPointInTime, FromSnapshot

SERVICES_WITH_DATABASE = ("core", "members", "payments", "email")
SNAPSHOT = "arn:aws:rds:us-east-1:111111111111:snapshot:s"
POINT_IN_TIME = {"instance": "core-1", "time": "2026-11-23T18:00:00Z"}


def sizing(**fields: Any) -> DatabaseSizing:
    """Return the sizing of a small database. Any: fields are whatever a file can contain."""
    return DatabaseSizing.model_validate({"class": "db.t4g.micro", "storage_gb": 20, "multi_az": False, **fields})


def database_inputs(database: DatabaseSizing) -> dict[str, Any]:
    """Return the inputs of the RDS instance that the component creates for a sizing. Any: inputs of all types."""
    args = IsolatedDatabaseArgs(
        vpc_id="vpc",
        subnet_ids={"data-a": "subnet"},
        client_security_group_id="clients",
        database_name="example",
        engine_version="16.9",
        sizing=database,
        key_arn="arn:key",
        backup_days=3,
        alarm_topic_arn="arn:topic",
        tags={},
    )
    return run(lambda: IsolatedDatabase("d", args)).one("rds/instance:Instance", "d-instance").inputs


@pytest.mark.parametrize("service", SERVICES_WITH_DATABASE)
def test_only_the_services_servers_can_connect(prod: Run, service: str) -> None:
    """One rule lets one security group connect, and the database cannot connect to anything."""
    ingress = prod.security_group_rules("Ingress", f"{service}-database-access")
    assert [
        (rule.inputs["referencedSecurityGroupId"], rule.inputs["fromPort"], rule.inputs["toPort"]) for rule in ingress
    ] == [(f"{service}-access-id", 5432, 5432)]
    assert prod.security_group_rules("Egress", f"{service}-database-access") == []
    instance = prod.one("rds/instance:Instance", f"{service}-database-instance")
    assert instance.inputs["vpcSecurityGroupIds"] == [f"{service}-database-access-id"]
    assert instance.inputs["publiclyAccessible"] is False
    subnets = prod.one("rds/subnetGroup:SubnetGroup", f"{service}-database-subnets").inputs["subnetIds"]
    assert sorted(subnets) == ["network-data-a-id", "network-data-b-id", "network-data-c-id"]


@pytest.mark.parametrize("service", SERVICES_WITH_DATABASE)
def test_everything_is_encrypted_with_the_services_key(prod: Run, service: str) -> None:
    """Storage, insights and password have the key of the service."""
    inputs = prod.one("rds/instance:Instance", f"{service}-database-instance").inputs
    assert inputs["storageEncrypted"] is True
    assert {inputs["kmsKeyId"], inputs["performanceInsightsKmsKeyId"], inputs["masterUserSecretKmsKeyId"]} == {
        f"arn:aws:::{service}-key"
    }


def test_pulumi_never_knows_a_password(prod: Run) -> None:
    """RDS creates and rotates the password, so no state, output or user data contains it."""
    for instance in prod.of("rds/instance:Instance").values():
        assert instance.inputs["manageMasterUserPassword"] is True
        assert "password" not in instance.inputs


def test_connections_require_tls(prod: Run) -> None:
    """The parameter group of every database refuses connections without TLS. RDS does not apply that at once."""
    required = {"name": "rds.force_ssl", "value": "1", "applyMethod": "pending-reboot"}
    for group in prod.of("rds/parameterGroup:ParameterGroup").values():
        assert required in group.inputs["parameters"]


def test_data_can_be_restored(prod: Run) -> None:
    """Backups are kept for as long as the environment says, and every final snapshot has a unique name."""
    instances = prod.of("rds/instance:Instance").values()
    assert {instance.inputs["backupRetentionPeriod"] for instance in instances} == {35}
    snapshots = [instance.inputs["finalSnapshotIdentifier"] for instance in instances]
    assert len(set(snapshots)) == len(snapshots)
    assert all(snapshot.endswith("-1a2b3c4-final") for snapshot in snapshots)


def test_every_database_of_prod_has_a_standby(prod: Run) -> None:
    """All of prod's databases survive the failure of a zone."""
    assert all(instance.inputs["multiAz"] for instance in prod.of("rds/instance:Instance").values())


def test_every_database_has_three_alarms(prod: Run) -> None:
    """The alarms for CPU, storage and memory are sent to the environment's topic."""
    alarms = [
        alarm
        for alarm in prod.of("cloudwatch/metricAlarm:MetricAlarm").values()
        if alarm.inputs["namespace"] == "AWS/RDS"
    ]
    assert len(alarms) == 3 * len(SERVICES_WITH_DATABASE)
    assert all(alarm.inputs["alarmActions"] == ["arn:aws:::records-alarms"] for alarm in alarms)


def test_the_storage_alarm_starts_at_a_tenth_of_the_initial_storage() -> None:
    """The threshold is in bytes, as CloudWatch reports free storage."""
    threshold = database_thresholds(100)["storage"]
    assert (threshold.metric, threshold.comparison, threshold.value) == (
        "FreeStorageSpace",
        "LessThanThreshold",
        10 * 1024**3,
    )


def test_a_service_without_a_database_gets_none(prod: Run) -> None:
    """Socket stores no data, so only the other services have an instance."""
    assert sorted(prod.of("rds/instance:Instance")) == sorted(
        f"{service}-database-instance" for service in SERVICES_WITH_DATABASE
    )


def test_storage_can_double_unless_the_sizing_has_a_maximum() -> None:
    """By default RDS can double the storage, up to the limit of gp3; maximum_storage_gb takes precedence."""
    assert database_inputs(sizing())["maxAllocatedStorage"] == 40
    assert database_inputs(sizing(storage_gb=40000))["maxAllocatedStorage"] == 65536
    assert database_inputs(sizing(maximum_storage_gb=25))["maxAllocatedStorage"] == 25


def test_an_empty_database_has_a_name_and_an_administrator() -> None:
    """A database that is not restored is created with the service's name and key."""
    inputs = database_inputs(sizing())
    assert (inputs["dbName"], inputs["username"], inputs["kmsKeyId"]) == ("example", "administrator", "arn:key")
    assert "snapshotIdentifier" not in inputs
    assert "restoreToPointInTime" not in inputs
    assert inputs["finalSnapshotIdentifier"] == "d-subnets-1a2b3c4-final"


def test_a_database_from_a_snapshot_keeps_its_contents_and_key() -> None:
    """Another key would replace the database in the next update."""
    inputs = database_inputs(sizing(restore={"snapshot": SNAPSHOT}))
    assert not {"username", "dbName", "kmsKeyId"} & set(inputs)
    assert inputs["snapshotIdentifier"] == SNAPSHOT
    assert inputs["finalSnapshotIdentifier"].startswith("d-subnets-1a2b3c4-final-")


def test_a_database_from_a_point_in_time_keeps_its_contents() -> None:
    """It is encrypted with the service's key, and has the database and the administrator of its source."""
    inputs = database_inputs(sizing(restore_to_time=POINT_IN_TIME))
    assert not {"username", "dbName"} & set(inputs)
    assert inputs["kmsKeyId"] == "arn:key"
    assert inputs["restoreToPointInTime"] == {
        "sourceDbInstanceIdentifier": "core-1",
        "restoreTime": "2026-11-23T18:00:00Z",
    }
    assert inputs["finalSnapshotIdentifier"].startswith("d-subnets-1a2b3c4-final-")


def test_the_final_snapshot_of_a_restored_database_has_another_name() -> None:
    """The suffix contains only characters that RDS allows, and differs for every source."""
    assert final_snapshot_suffix(None) == ""
    assert final_snapshot_suffix(FromSnapshot(snapshot=SNAPSHOT)) == "-111snapshots"
    assert final_snapshot_suffix(FromPointInTime(**POINT_IN_TIME)) == "-1123t180000z"
