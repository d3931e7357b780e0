"""A PostgreSQL database that only one service's servers can reach."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.iam.role import Role
from pulumi_aws.iam.role_policy_attachment import RolePolicyAttachment
from pulumi_aws.rds.instance import Instance
from pulumi_aws.rds.parameter_group import ParameterGroup
from pulumi_aws.rds.subnet_group import SubnetGroup

from components import type_tokens
from components.constants import POSTGRES_PORT
from components.database_alarms import database_alarms
from components.database_restore import final_snapshot_suffix, initial_data
from components.outputs import available_after
from components.policies.documents import service_trust_policy
from components.security_group_rules import RuleLabel, allow_between_groups
from settings.models import DatabaseSizing

MONITORING_SECONDS = 60  # RDS.6: enhanced monitoring
INSIGHTS_DAYS = 7  # how long Performance Insights keeps data at no extra cost
# Source: RDS user guide, "Parameters for your RDS for PostgreSQL DB instance".
# RDS refuses to apply these at once, and a new database starts with them anyway.
# Source: https://github.com/ministryofjustice/cloud-platform/issues/1197
STATIC_PARAMETERS = frozenset({"rds.force_ssl"})
PARAMETERS = {
    "rds.force_ssl": "1",  # refuses connections without TLS
    "log_connections": "1",
    "log_disconnections": "1",
    "log_min_duration_statement": "1000",  # milliseconds; slower statements are logged
    "log_statement": "ddl",
}


@dataclass(frozen=True, kw_only=True)
class IsolatedDatabaseArgs:
    """Which database to create, how large it is, and who can connect to it."""

    vpc_id: pulumi.Input[str]
    """ID of the VPC that contains the subnets and the client's security group."""

    subnet_ids: Mapping[str, pulumi.Input[str]]
    """Subnets of the instance and its standby, by tier and zone: at least two zones, or RDS refuses them.

    They should have no route to the internet.
    """

    client_security_group_id: pulumi.Input[str]
    """The only security group whose members can connect."""

    database_name: str
    """Name of the database in PostgreSQL: letters, digits and underscores. A restored database keeps its own name."""

    engine_version: str
    """PostgreSQL version, such as `16.13`.

    A new minor version restarts the database. RDS refuses a new major version unless the sizing allows it.
    """

    sizing: DatabaseSizing
    """Instance class, storage, standby, what the database starts from, and whether a major upgrade is allowed."""

    key_arn: pulumi.Input[str]
    """KMS key of storage, backups, insights and password. Changing it replaces the database."""

    backup_days: int
    """Days for which any point in time can be restored: 1 to 35. 0 would turn backups off."""

    alarm_topic_arn: pulumi.Input[str]
    """SNS topic that alarms are sent to, when they start and when they stop."""

    tags: dict[str, str]
    """Tags of every resource of the database."""

    protect_data: bool = True
    """Whether AWS and Pulumi refuse to delete the database, and RDS takes a final snapshot. Default: true.

    Set it to false only where data may be lost at any time.
    """


class IsolatedDatabase(pulumi.ComponentResource):
    """An encrypted RDS instance with subnets, security group, parameters, enhanced monitoring and alarms.

    RDS creates the administrator's password, keeps it in Secrets Manager and rotates it, so Pulumi never knows it.

    Does not create users or tables in PostgreSQL, a read replica or a proxy. Does not let anything except the client's
    security group connect: people connect through a session on a server. Does not copy backups to another region.
    """

    address: pulumi.Output[str]
    port: pulumi.Output[int]
    database_name: pulumi.Output[str]
    secret_arn: pulumi.Output[str]
    instance_arn: pulumi.Output[str]
    identifier: pulumi.Output[str]

    def __init__(self, name: str, args: IsolatedDatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the database."""
        super().__init__(type_tokens.ISOLATED_DATABASE, name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        instance = self._instance()
        database_alarms(
            name,
            instance,
            storage_gb=args.sizing.storage_gb,
            topic_arn=args.alarm_topic_arn,
            tags=args.tags,
            parent=self,
        )
        self.address = instance.address
        self.port = instance.port
        self.identifier = instance.identifier
        self.instance_arn = instance.arn
        self.database_name = pulumi.Output.from_input(args.database_name)
        self.secret_arn = instance.master_user_secrets.apply(
            lambda secrets: str(secrets[0].secret_arn) if secrets else ""
        )
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

    def _instance(self) -> Instance:
        """Create the RDS instance."""
        args, sizing = self._args, self._args.sizing
        subnets = self._subnets()
        data = initial_data(sizing.restore_source, args.database_name, args.key_arn)
        return Instance(
            f"{self._name}-instance",
            engine="postgres",
            engine_version=args.engine_version,
            allow_major_version_upgrade=sizing.allow_major_upgrade,
            auto_minor_version_upgrade=False,  # the release has the version, so other environments run it before prod
            apply_immediately=True,  # a promoted change is applied now, not in the next maintenance window
            instance_class=sizing.instance_class,
            multi_az=sizing.multi_az,
            allocated_storage=sizing.storage_gb,
            max_allocated_storage=sizing.storage_limit_gb,
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=data.key_arn,
            db_name=data.database_name,
            username=data.username,
            manage_master_user_password=True,
            master_user_secret_kms_key_id=args.key_arn,
            iam_database_authentication_enabled=True,
            ca_cert_identifier="rds-ca-rsa2048-g1",
            snapshot_identifier=data.snapshot,
            restore_to_point_in_time=data.point_in_time,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[self._security_group().id],
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
            final_snapshot_identifier=self._final_snapshot(subnets) if args.protect_data else None,
            enabled_cloudwatch_logs_exports=["postgresql", "upgrade"],
            monitoring_interval=MONITORING_SECONDS,
            monitoring_role_arn=self._monitoring_role_arn(),
            performance_insights_enabled=True,
            performance_insights_kms_key_id=args.key_arn,
            performance_insights_retention_period=INSIGHTS_DAYS,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect_data),
        )

    def _final_snapshot(self, subnets: SubnetGroup) -> pulumi.Output[str]:
        """Return the name of the final snapshot. It is unique, because the subnet group's name has a random suffix."""
        suffix = final_snapshot_suffix(self._args.sizing.restore_source)
        return subnets.name.apply(lambda unique_name: f"{unique_name}-final{suffix}")

    def _subnets(self) -> SubnetGroup:
        """Create the group of subnets that the instance and its standby can run in."""
        return SubnetGroup(
            f"{self._name}-subnets",
            description=f"Data subnets of {self._name}",
            subnet_ids=list(self._args.subnet_ids.values()),
            tags=self._args.tags,
            opts=self._child,
        )

    def _security_group(self) -> SecurityGroup:
        """Create the database's security group. Only the client can connect, and no connection goes out."""
        name, args = self._name, self._args
        group = SecurityGroup(
            f"{name}-access",
            description=f"{name}: reached only by the servers of its service",
            vpc_id=args.vpc_id,
            revoke_rules_on_delete=True,
            tags=args.tags,
            opts=self._child,
        )
        allow_between_groups(
            client_group_id=args.client_security_group_id,
            server_group_id=group.id,
            port=POSTGRES_PORT,
            egress=RuleLabel(f"{name}-to-database", "PostgreSQL to the database of this service"),
            ingress=RuleLabel(f"{name}-from-servers", "PostgreSQL from the servers of this service"),
            tags=args.tags,
            parent=self,
        )
        return group

    def _parameters(self) -> ParameterGroup:
        """Create the parameters of the engine's major version.

        The name contains the version, because a major upgrade needs the old group and the new one at the same time.
        """
        major = self._args.engine_version.split(".")[0]
        return ParameterGroup(
            f"{self._name}-parameters-{major}",
            description=f"{self._name}: PostgreSQL {major}",
            family=f"postgres{major}",
            parameters=[
                {
                    "name": parameter,
                    "value": value,
                    "apply_method": "pending-reboot" if parameter in STATIC_PARAMETERS else "immediate",
                }
                for parameter, value in PARAMETERS.items()
            ],
            tags=self._args.tags,
            opts=self._child,
        )

    def _monitoring_role_arn(self) -> pulumi.Output[str]:
        """Create the role for enhanced monitoring. RDS refuses it before it has its permissions."""
        role = Role(
            f"{self._name}-monitoring",
            description=f"{self._name}: RDS writes its operating system's metrics",
            assume_role_policy=json.dumps(service_trust_policy("monitoring.rds.amazonaws.com")),
            tags=self._args.tags,
            opts=self._child,
        )
        permissions = RolePolicyAttachment(
            f"{self._name}-monitoring-policy",
            role=role.name,
            policy_arn="arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
            opts=self._child,
        )
        return available_after(role.arn, permissions)
