"""PostgreSQL that one service's servers can reach, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws.cloudwatch.metric_alarm import MetricAlarm
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.iam.role import Role
from pulumi_aws.iam.role_policy_attachment import RolePolicyAttachment
from pulumi_aws.rds.instance import Instance
from pulumi_aws.rds.parameter_group import ParameterGroup
from pulumi_aws.rds.subnet_group import SubnetGroup
from pulumi_aws.vpc.security_group_egress_rule import SecurityGroupEgressRule
from pulumi_aws.vpc.security_group_ingress_rule import SecurityGroupIngressRule

from components.names import POSTGRES_PORT, after, assumable_by

TYPE = "hundredx:components:IsolatedDatabase"
ADMINISTRATOR = "administrator"
GIB = 1024**3
MONITORING_SECONDS = 60  # RDS.6: enhanced monitoring
INSIGHTS_DAYS = 7  # what Performance Insights keeps without extra cost


@dataclass(frozen=True)
class FromSnapshot:
    """Start from a snapshot's data. Changing it replaces the database."""

    snapshot_id: str


@dataclass(frozen=True)
class FromPointInTime:
    """Start from another instance's data at a time (ISO 8601, UTC). Changing it replaces the database."""

    source_instance: str
    time: str


@dataclass(frozen=True)
class IsolatedDatabaseArgs:
    """What a database is made from.

    vpc_id, subnet_ids: the VPC and its data subnets, which have no route to the internet, in two zones at the least.
    client_security_group_id: the only security group that may connect.
    engine_version: PostgreSQL's, such as `16.9`; a new major version is refused unless allow_major_upgrade is set.
    storage_gb, maximum_storage_gb: at the start, and what RDS may grow it to.
    key_arn: the service's KMS key: storage, backups, insights and the administrator's password are encrypted with it.
    backup_days: how long a point in time can be restored (1 to 35).
    protect_data: refuse deletion on AWS and in Pulumi, and keep a final snapshot. False only where data may be lost.
    restore: start from existing data; None for an empty database.
    """

    vpc_id: pulumi.Input[str]
    subnet_ids: Mapping[str, pulumi.Input[str]]
    client_security_group_id: pulumi.Input[str]
    database_name: str
    engine_version: str
    instance_class: str
    storage_gb: int
    maximum_storage_gb: int
    multi_az: bool
    key_arn: pulumi.Input[str]
    backup_days: int
    alarm_topic_arn: pulumi.Input[str]
    tags: dict[str, str]
    protect_data: bool = True
    allow_major_upgrade: bool = False
    restore: FromSnapshot | FromPointInTime | None = None


class IsolatedDatabase(pulumi.ComponentResource):
    """An encrypted PostgreSQL instance with backups and alarms; AWS makes its password, keeps and rotates it."""

    address: pulumi.Output[str]
    port: pulumi.Output[int]
    database_name: pulumi.Output[str]
    secret_arn: pulumi.Output[str]
    instance_arn: pulumi.Output[str]
    identifier: pulumi.Output[str]

    def __init__(self, name: str, args: IsolatedDatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the database."""
        super().__init__(TYPE, name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        subnets = SubnetGroup(f"{name}-subnets", description=f"Data subnets of {name}", subnet_ids=list(args.subnet_ids.values()), tags=args.tags, opts=self._child)
        group = self._security_group()
        instance = self._instance(subnets, group)
        self._alarms(instance)
        self.address, self.port, self.identifier, self.instance_arn = instance.address, instance.port, instance.identifier, instance.arn
        self.database_name = pulumi.Output.from_input(args.database_name)
        self.secret_arn = instance.master_user_secrets.apply(lambda secrets: str(secrets[0].secret_arn) if secrets else "")
        self.register_outputs(
            {
                "address": self.address,
                "port": self.port,
                "database_name": self.database_name,
                "secret_arn": self.secret_arn,
                "instance_arn": self.instance_arn,
                "identifier": self.identifier,
            }
        )

    def _security_group(self) -> SecurityGroup:
        name, args = self._name, self._args
        group = SecurityGroup(
            f"{name}-access", description=f"{name}: reached by the service's servers only", vpc_id=args.vpc_id, revoke_rules_on_delete=True, tags=args.tags, opts=self._child
        )
        SecurityGroupIngressRule(
            f"{name}-from-servers",
            security_group_id=group.id,
            description="PostgreSQL from the service's servers",
            referenced_security_group_id=args.client_security_group_id,
            ip_protocol="tcp",
            from_port=POSTGRES_PORT,
            to_port=POSTGRES_PORT,
            tags=args.tags,
            opts=self._child,
        )
        # The other half of the same path: the servers' group lets nothing out that is not named.
        SecurityGroupEgressRule(
            f"{name}-to-database",
            security_group_id=args.client_security_group_id,
            description="PostgreSQL to the service's database",
            referenced_security_group_id=group.id,
            ip_protocol="tcp",
            from_port=POSTGRES_PORT,
            to_port=POSTGRES_PORT,
            tags=args.tags,
            opts=self._child,
        )
        return group

    def _parameters(self) -> ParameterGroup:
        major = self._args.engine_version.split(".")[0]
        values = {
            "rds.force_ssl": "1",  # RDS refuses connections without TLS
            "log_connections": "1",
            "log_disconnections": "1",
            "log_min_duration_statement": "1000",  # milliseconds; slower statements are logged (C2_30)
            "log_statement": "ddl",
        }
        return ParameterGroup(
            f"{self._name}-parameters-{major}",  # a new family needs a new group beside the old one during the upgrade
            description=f"{self._name}: PostgreSQL {major}",
            family=f"postgres{major}",
            parameters=[{"name": key, "value": value, "apply_method": "immediate"} for key, value in values.items()],
            tags=self._args.tags,
            opts=self._child,
        )

    def _monitoring_role(self) -> pulumi.Output[str]:
        """Return the role's ARN once it has its permissions: RDS refuses one that lacks them."""
        role = Role(
            f"{self._name}-monitoring",
            description=f"{self._name}: RDS writes its operating system's metrics",
            assume_role_policy=pulumi.Output.json_dumps(assumable_by("monitoring.rds.amazonaws.com")),
            tags=self._args.tags,
            opts=self._child,
        )
        permissions = RolePolicyAttachment(
            f"{self._name}-monitoring-policy", role=role.name, policy_arn="arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole", opts=self._child
        )
        return after(role.arn, permissions)

    def _instance(self, subnets: SubnetGroup, group: SecurityGroup) -> Instance:
        name, args = self._name, self._args
        point = args.restore if isinstance(args.restore, FromPointInTime) else None
        return Instance(
            f"{name}-instance",
            engine="postgres",
            engine_version=args.engine_version,
            allow_major_version_upgrade=args.allow_major_upgrade,
            auto_minor_version_upgrade=False,  # the version is part of the release, so that every environment has run it before prod
            instance_class=args.instance_class,
            allocated_storage=args.storage_gb,
            max_allocated_storage=args.maximum_storage_gb,
            storage_type="gp3",
            storage_encrypted=True,
            # What is restored from a snapshot keeps the snapshot's key; any other here would replace it at the next update.
            kms_key_id=None if isinstance(args.restore, FromSnapshot) else args.key_arn,
            multi_az=args.multi_az,
            db_name=None if args.restore else args.database_name,
            username=None if args.restore else ADMINISTRATOR,
            manage_master_user_password=True,
            master_user_secret_kms_key_id=args.key_arn,
            iam_database_authentication_enabled=True,
            ca_cert_identifier="rds-ca-rsa2048-g1",
            snapshot_identifier=args.restore.snapshot_id if isinstance(args.restore, FromSnapshot) else None,
            restore_to_point_in_time={"source_db_instance_identifier": point.source_instance, "restore_time": point.time} if point else None,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[group.id],
            parameter_group_name=self._parameters().name,
            publicly_accessible=False,
            port=POSTGRES_PORT,
            backup_retention_period=args.backup_days,
            backup_window="03:00-04:00",
            maintenance_window="sun:04:30-sun:05:30",
            copy_tags_to_snapshot=True,
            delete_automated_backups=not args.protect_data,
            deletion_protection=args.protect_data,
            skip_final_snapshot=not args.protect_data,
            # Unique without a resource of its own: the subnet group's automatic name has a random suffix.
            final_snapshot_identifier=subnets.name.apply(lambda unique: f"{unique}-final{restore_suffix(args.restore)}") if args.protect_data else None,
            enabled_cloudwatch_logs_exports=["postgresql", "upgrade"],
            monitoring_interval=MONITORING_SECONDS,
            monitoring_role_arn=self._monitoring_role(),
            performance_insights_enabled=True,
            performance_insights_kms_key_id=args.key_arn,
            performance_insights_retention_period=INSIGHTS_DAYS,
            apply_immediately=True,  # a promoted change is made now, not in next Sunday's window
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect_data),
        )

    def _alarms(self, instance: Instance) -> None:
        args = self._args
        bounds: dict[str, tuple[str, str, float, str]] = {
            "cpu": ("CPUUtilization", "GreaterThanThreshold", 80, "percent of the instance's CPU"),
            "storage": ("FreeStorageSpace", "LessThanThreshold", args.storage_gb * GIB * 0.1, "bytes free: a tenth of the first size"),
            "memory": ("FreeableMemory", "LessThanThreshold", GIB / 8, "bytes of memory left"),
        }
        for part, (metric, comparison, threshold, meaning) in bounds.items():
            MetricAlarm(
                f"{self._name}-{part}",
                alarm_description=f"{self._name}: {metric} against {threshold:g} {meaning}, for 15 minutes",
                namespace="AWS/RDS",
                metric_name=metric,
                dimensions={"DBInstanceIdentifier": instance.identifier},
                statistic="Average",
                period=300,
                evaluation_periods=3,
                threshold=threshold,
                comparison_operator=comparison,
                alarm_actions=[args.alarm_topic_arn],
                ok_actions=[args.alarm_topic_arn],
                tags=args.tags,
                opts=self._child,
            )


def restore_suffix(restore: FromSnapshot | FromPointInTime | None) -> str:
    """Return what tells apart the final snapshots of a database and of the one that a restore replaced it by."""
    if restore is None:
        return ""
    origin = restore.snapshot_id if isinstance(restore, FromSnapshot) else restore.time
    return "-" + "".join(character for character in origin.lower() if character.isalnum())[-12:]
