"""One service in one environment. Everything that belongs to it is a descendant of its ServiceEnvironment."""

from dataclasses import dataclass

import pulumi
from pulumi_aws.cloudwatch.log_group import LogGroup
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.kms.key import Key

from components import type_tokens
from components.cdn_bucket import CdnBucket, CdnBucketArgs
from components.container_environment import container_environment
from components.dashboard import service_dashboard
from components.deploy_role import deploy_role
from components.encryption_key import encryption_key
from components.instance_group_args import LoadBalancedInstanceGroupArgs
from components.isolated_database import IsolatedDatabase, IsolatedDatabaseArgs
from components.load_balanced_instance_group import LoadBalancedInstanceGroup
from components.mail_domain import MailDomain, MailDomainArgs
from components.policies.keys import service_key_policy
from components.security_group_rules import allow_https_to_internet
from components.server_role import ServerRole, server_role
from components.shared_foundation import SharedFoundation
from components.subdomain_record import SubdomainRecord, SubdomainRecordArgs
from components.tags import resource_tags
from settings.models import Release, Sizing
from settings.service_spec import ServiceSpec


@dataclass(frozen=True, kw_only=True)
class ServiceEnvironmentArgs:
    """A service, the release that it runs, its sizing, and the foundation that it runs on."""

    spec: ServiceSpec
    """What is true of the service in every environment."""

    release: Release
    """What the service's team built. Without database_engine, a service with a database raises ValueError."""

    sizing: Sizing
    """The size of the servers and the database. Without database, a service with a database raises ValueError."""

    foundation: SharedFoundation
    """What the environment provides to all its services."""


class ServiceEnvironment(pulumi.ComponentResource):
    """A service's key, log group, server role, security group, servers, dashboard, records and deploy role.

    Its database, CDN and mail are created if its spec has them.

    Does not create anything that another service uses: network, zone, shared load balancer, alarm topic and log buckets
    belong to the foundation. Does not create secrets or parameters: the service's team writes them below
    `/<environment>/<service>/` in Parameter Store. Does not build the release.
    """

    database: IsolatedDatabase | None
    cdn: CdnBucket | None
    mail: MailDomain | None
    group: LoadBalancedInstanceGroup
    outputs: dict[str, pulumi.Input[object]]

    def __init__(self, name: str, args: ServiceEnvironmentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the service. Raise ValueError if release or sizing lack what its spec requires."""
        super().__init__(type_tokens.SERVICE_ENVIRONMENT, name, None, opts)
        self._name, self._args, self._foundation = name, args, args.foundation
        self._child = pulumi.ResourceOptions(parent=self)
        self._scope = args.foundation.scope_of(args.spec.name)
        self._domain = args.foundation.environment.domain
        self._protect_data = args.foundation.environment.durability.protect_data
        self._tags = resource_tags(args.foundation.environment_name, name, args.spec.name)
        key = self._key()
        logs = self._log_group(key)
        security_group = self._server_security_group()
        self.database = self._database(key, security_group)
        self.cdn = self._cdn(key)
        self.mail = self._mail()
        role = self._server_role(key, logs)
        self.group = self._group(key, logs, role, security_group)
        self._records()
        service_dashboard(name, self._scope, group_name=self.group.group_name, database=self.database, parent=self)
        self._deploy_role(role)
        self.outputs = self._outputs()
        self.register_outputs(self.outputs)

    def _outputs(self) -> dict[str, pulumi.Input[object]]:
        """Return what the stack's outputs show of the service."""
        release, sizing = self._args.release, self._args.sizing
        database: pulumi.Input[object] = "none"
        if self.database and sizing.database:
            database = pulumi.Output.concat(f"{sizing.database.instance_class}, ", self.database.address)
        instances = sizing.instances
        return {
            "address": self._args.spec.address_in(self._domain),
            "release": release.version,
            "image": release.image,
            "servers": f"{instances.minimum} to {instances.maximum} x {sizing.instance_type}",
            "group": self.group.group_name,
            "database": database,
        }

    def _key(self) -> Key:
        """Create the key that encrypts everything the service stores."""
        environment = self._foundation.environment_name
        return encryption_key(
            self._name,
            alias=f"{environment}/{self._args.spec.name}",
            description=f"{self._name} in {environment}: database, files, disks, logs, secrets",
            policy=service_key_policy(self._scope, has_cdn=self._args.spec.cdn is not None),
            protect=self._protect_data,
            tags=self._tags,
            parent=self,
        )

    def _log_group(self, key: Key) -> LogGroup:
        """Create the log group of the containers' output."""
        return LogGroup(
            f"{self._name}-logs",
            name=self._scope.log_group_name,
            retention_in_days=self._foundation.environment.operations.log_days,
            kms_key_id=key.arn,
            tags=self._tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[key]),
        )

    def _server_security_group(self) -> SecurityGroup:
        """Create the servers' security group. Load balancer and database add the rules that they need."""
        group = SecurityGroup(
            f"{self._name}-access",
            description=f"Servers of {self._name}",
            vpc_id=self._foundation.network.vpc_id,
            revoke_rules_on_delete=True,
            tags=self._tags,
            opts=self._child,
        )
        allow_https_to_internet(self._name, security_group_id=group.id, tags=self._tags, parent=self)
        return group

    def _server_role(self, key: Key, logs: LogGroup) -> ServerRole:
        """Create the role of the servers."""
        cdn = self._args.spec.cdn
        return server_role(
            self._name,
            self._scope,
            image=self._args.release.image,
            key_arn=key.arn,
            log_group_arn=logs.arn,
            database=self.database,
            cdn=self.cdn,
            server_access=cdn.server_access if cdn else None,
            mail=self.mail,
            tags=self._tags,
            parent=self,
        )

    def _database(self, key: Key, server_security_group: SecurityGroup) -> IsolatedDatabase | None:
        """Create the service's database, if it has one."""
        if not self._args.spec.has_database:
            return None
        sizing, engine, foundation = self._args.sizing.database, self._args.release.database_engine, self._foundation
        if sizing is None or engine is None:
            message = (
                f"The service {self._name} has a database, so its release must have `database_engine` "
                "and its sizing must have `database`."
            )
            raise ValueError(message)
        args = IsolatedDatabaseArgs(
            vpc_id=foundation.network.vpc_id,
            subnet_ids=foundation.data_subnet_ids,
            client_security_group_id=server_security_group.id,
            database_name=self._name.replace("-", "_"),
            engine_version=engine,
            sizing=sizing,
            key_arn=key.arn,
            backup_days=foundation.environment.durability.backup_days,
            alarm_topic_arn=foundation.alarm_topic_arn,
            tags=self._tags,
            protect_data=self._protect_data,
        )
        return IsolatedDatabase(f"{self._name}-database", args, self._child)

    def _cdn(self, key: Key) -> CdnBucket | None:
        """Create the service's files behind CloudFront, if it has any."""
        if self._args.spec.cdn is None:
            return None
        args = CdnBucketArgs(
            host=f"{self._args.spec.cdn.host}.{self._domain}",
            zone_id=self._foundation.network.zone_id,
            key_arn=key.arn,
            log_bucket=self._foundation.cdn_log_bucket,
            log_bucket_domain=self._foundation.cdn_log_bucket_domain,
            tags=self._tags,
            protect_data=self._protect_data,
        )
        return CdnBucket(f"{self._name}-cdn", args, self._child)

    def _mail(self) -> MailDomain | None:
        """Create what the service needs to send mail, if it does."""
        if not self._args.spec.sends_mail:
            return None
        args = MailDomainArgs(
            host=self._args.spec.host_in(self._domain),
            zone_id=self._foundation.network.zone_id,
            region=self._foundation.region,
            tags=self._tags,
        )
        return MailDomain(f"{self._name}-mail", args, self._child)

    def _group(
        self, key: Key, logs: LogGroup, role: ServerRole, security_group: SecurityGroup
    ) -> LoadBalancedInstanceGroup:
        """Create the servers and their routing."""
        spec, release, foundation = self._args.spec, self._args.release, self._foundation
        args = LoadBalancedInstanceGroupArgs(
            spec=spec,
            release=release,
            sizing=self._args.sizing,
            domain=self._domain,
            region=foundation.region,
            network=foundation.network,
            shared_load_balancer=foundation.shared_load_balancer,
            environment_variables=container_environment(
                spec, release, foundation, database=self.database, cdn=self.cdn, mail=self.mail
            ),
            log_group_name=logs.name,
            instance_profile_arn=role.profile.arn,
            server_security_group_id=security_group.id,
            key_arn=key.arn,
            alarm_topic_arn=foundation.alarm_topic_arn,
            tags=self._tags,
            protect_load_balancer=self._protect_data,
        )
        return LoadBalancedInstanceGroup(f"{self._name}-servers", args, self._child)

    def _records(self) -> None:
        """Create the records of the service's hosts, unless another service owns them."""
        spec = self._args.spec
        if not spec.owns_host:
            return
        hosts = {f"record-{label}": f"{label}.{spec.host_in(self._domain)}" for label in spec.redirects}
        for part, host in {"record": spec.host_in(self._domain), **hosts}.items():
            SubdomainRecord(
                f"{self._name}-{part}",
                SubdomainRecordArgs(zone_id=self._foundation.network.zone_id, host=host, target=self.group.alias),
                self._child,
            )

    def _deploy_role(self, role: ServerRole) -> None:
        """Create the role that the service's workflow deploys with, if the environment has a repository."""
        provider, operations = self._foundation.deploy_identity_provider_arn, self._foundation.environment.operations
        if provider is None or operations.github_repository is None:
            return
        deploy_role(
            self._name,
            self._scope,
            identity_provider_arn=provider,
            repository=operations.github_repository,
            launch_template_id=self.group.launch_template_id,
            server_role_arn=role.role.arn,
            cdn=self.cdn,
            tags=self._tags,
            parent=self,
        )
