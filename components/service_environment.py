"""One service in one environment: everything that belongs to it is a descendant of its ServiceEnvironment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_aws.cloudwatch.dashboard import Dashboard
from pulumi_aws.cloudwatch.log_group import LogGroup
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.iam.instance_profile import InstanceProfile
from pulumi_aws.iam.role import Role
from pulumi_aws.iam.role_policy import RolePolicy
from pulumi_aws.kms.alias import Alias
from pulumi_aws.kms.key import Key
from pulumi_aws.vpc.security_group_egress_rule import SecurityGroupEgressRule

from components.cdn_bucket import CdnBucket, CdnBucketArgs
from components.isolated_database import FromPointInTime, FromSnapshot, IsolatedDatabase, IsolatedDatabaseArgs
from components.load_balanced_instance_group import ANY_IPV4, ANY_IPV6, GroupNetwork, LoadBalancedInstanceGroup, LoadBalancedInstanceGroupArgs, SharedBalancer, registry_region
from components.mail_domain import MailDomain, MailDomainArgs
from components.names import HTTPS_PORT, assumable_by, policy_document, root_access, tags
from components.spec import FrontDoorRoute, OwnBalancer, OwnNetworkBalancer, ServiceSpec
from components.subdomain_record import SubdomainRecord, SubdomainRecordArgs

TYPE = "hundredx:components:ServiceEnvironment"
KEY_DELETION_DAYS = 30  # the longest that KMS waits: time to notice
DEFAULT_IDLE_TIMEOUT_SECONDS = 60  # AWS's own default


@dataclass(frozen=True)
class SharedFoundation:
    """What the environment lends to each service, as handles; no service changes any of it."""

    environment: str
    domain: str
    region: str
    account_id: str
    network: GroupNetwork
    data_subnet_ids: Mapping[str, pulumi.Input[str]]
    front_door: SharedBalancer
    cdn_log_bucket: pulumi.Input[str]
    cdn_log_bucket_domain: pulumi.Input[str]
    alarm_topic_arn: pulumi.Input[str]
    deploy_identity_provider_arn: pulumi.Input[str] | None
    github_repository: str | None
    log_days: int
    backup_days: int
    protect_data: bool


@dataclass(frozen=True)
class ReleaseArgs:
    """What a service's team built, once: the same in every environment it is promoted to."""

    version: str
    image: str
    machine_image: str
    database_engine: str | None = None
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    idle_timeout_seconds: int = DEFAULT_IDLE_TIMEOUT_SECONDS


@dataclass(frozen=True)
class DatabaseSize:
    """How large the service's database is in this environment."""

    instance_class: str
    storage_gb: int
    maximum_storage_gb: int
    multi_az: bool


@dataclass(frozen=True)
class SizeArgs:
    """What differs by environment and never moves."""

    instance_type: str
    minimum: int
    maximum: int
    disk_gb: int
    database: DatabaseSize | None = None
    restore: FromSnapshot | FromPointInTime | None = None
    allow_major_upgrade: bool = False
    deploy_despite_alarms: bool = False


@dataclass(frozen=True)
class ServiceEnvironmentArgs:
    """A service's own description, its release, its size, and what the environment lends to it."""

    spec: ServiceSpec
    release: ReleaseArgs
    size: SizeArgs
    foundation: SharedFoundation


class ServiceEnvironment(pulumi.ComponentResource):
    """A service's key, role, security group, logs, dashboard and deploy role, its servers, and its database, CDN and mail as its spec asks."""

    address: pulumi.Output[str]
    release: pulumi.Output[str]
    servers: pulumi.Output[str]
    database: IsolatedDatabase | None
    cdn: CdnBucket | None
    mail: MailDomain | None
    group: LoadBalancedInstanceGroup

    def __init__(self, name: str, args: ServiceEnvironmentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the service; ValueError where its spec asks for what release or size does not give."""
        super().__init__(TYPE, name, None, opts)
        self._name, self._args, self._lent = name, args, args.foundation
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = tags(self._lent.environment, name, args.spec.name)
        self._host = args.spec.host_in(self._lent.domain)
        self._log_group_name = f"/{self._lent.environment}/{name}/servers"
        key = self._key()
        logs = LogGroup(
            f"{name}-logs",
            name=self._log_group_name,
            retention_in_days=self._lent.log_days,
            kms_key_id=key.arn,
            tags=self._tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[key]),
        )
        role = self._role()
        servers = self._servers_security_group()
        self.database = self._database(key, servers)
        self.cdn = self._cdn(key)
        self.mail = self._mail()
        self._permissions(role, key, logs)
        profile = InstanceProfile(f"{name}-profile", role=role.name, tags=self._tags, opts=self._child)
        self.group = self._group(key, logs, profile, servers)
        if args.spec.owns_host:
            for host in (self._host, *self._redirect_hosts()):
                part = "record" if host == self._host else f"record-{host.split('.', 1)[0]}"
                SubdomainRecord(f"{name}-{part}", SubdomainRecordArgs(zone_id=self._lent.network.zone_id, host=host, target=self.group.alias), self._child)
        self._dashboard()
        self._deploy_role(role)
        self.address = pulumi.Output.from_input(self._address())
        self.release = pulumi.Output.from_input(args.release.version)
        self.servers = pulumi.Output.from_input(f"{args.size.minimum} to {args.size.maximum} x {args.size.instance_type}")
        self.register_outputs({"address": self.address, "release": self.release, "servers": self.servers, **self.summary()})

    def summary(self) -> dict[str, pulumi.Input[object]]:
        """Return what the stack's outputs say of the service."""
        database = self._args.size.database
        return {
            "address": self._address(),
            "release": self._args.release.version,
            "image": self._args.release.image,
            "servers": f"{self._args.size.minimum} to {self._args.size.maximum} x {self._args.size.instance_type}",
            "group": self.group.group_name,
            "database": pulumi.Output.concat(f"{database.instance_class}, ", self.database.address) if self.database and database else "none",
        }

    def _address(self) -> str:
        balancing = self._args.spec.balancer
        if isinstance(balancing, OwnNetworkBalancer):
            return f"{self._host}:{', '.join(map(str, balancing.ports))}"
        path = balancing.path or "" if isinstance(balancing, FrontDoorRoute) else ""
        return f"https://{self._host}{path}"

    def _redirect_hosts(self) -> tuple[str, ...]:
        return tuple(f"{label}.{self._host}" for label in self._args.spec.redirects)

    # --- the service's own

    def _key(self) -> Key:
        """Make the key of all that the service keeps; each AWS service that uses it may do so for this service's things only."""
        lent = self._lent
        use = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
        # By condition, not as the principal: KMS refuses a principal that does not exist, and a new account has this role only
        # after its first Auto Scaling group.
        auto_scaling = f"arn:aws:iam::{lent.account_id}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
        by_auto_scaling = {"StringEquals": {"kms:CallerAccount": lent.account_id}, "ArnEquals": {"aws:PrincipalArn": auto_scaling}}
        through_cloudfront = {
            "Sid": "FilesThroughCloudFront",
            "Effect": "Allow",
            "Principal": {"Service": "cloudfront.amazonaws.com"},
            "Action": "kms:Decrypt",
            "Resource": "*",
            # Not the distribution's own ARN: it is made after the bucket that this key encrypts.
            "Condition": {"StringLike": {"AWS:SourceArn": f"arn:aws:cloudfront::{lent.account_id}:distribution/*"}},
        }
        policy = policy_document(
            root_access(lent.account_id),
            {
                "Sid": "LogsOfThisService",
                "Effect": "Allow",
                "Principal": {"Service": f"logs.{lent.region}.amazonaws.com"},
                "Action": use,
                "Resource": "*",
                "Condition": {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{lent.region}:{lent.account_id}:log-group:{self._log_group_name}"}},
            },
            {"Sid": "DisksOfScaledServers", "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": use, "Resource": "*", "Condition": by_auto_scaling},
            {
                "Sid": "GrantsForDisks",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": "kms:CreateGrant",
                "Resource": "*",
                "Condition": {**by_auto_scaling, "Bool": {"kms:GrantIsForAWSResource": "true"}},
            },
            *([through_cloudfront] if self._args.spec.cdn else []),
        )
        key = Key(
            f"{self._name}-key",
            description=f"{self._name} in {lent.environment}: database, files, disks, logs, secrets",
            enable_key_rotation=True,
            deletion_window_in_days=KEY_DELETION_DAYS,
            policy=pulumi.Output.json_dumps(policy),
            tags=self._tags,
            # Without the key every backup is lost, whatever else is protected.
            opts=pulumi.ResourceOptions(parent=self, protect=lent.protect_data),
        )
        Alias(f"{self._name}-key-alias", name=f"alias/{lent.environment}/{self._name}", target_key_id=key.id, opts=self._child)
        return key

    def _role(self) -> Role:
        return Role(
            f"{self._name}-servers",
            description=f"What the servers of {self._name} may do",
            assume_role_policy=pulumi.Output.json_dumps(assumable_by("ec2.amazonaws.com")),
            tags=self._tags,
            opts=self._child,
        )

    def _permissions(self, role: Role, key: Key, logs: LogGroup) -> None:
        """Let the servers read what is their own, and nothing of another service."""
        lent = self._lent
        registry, repository = self._args.release.image.split("@")[0].split("/", 1)
        parameters = f"arn:aws:ssm:{lent.region}:{lent.account_id}:parameter/{lent.environment}/{self._name}"
        # Shell access without SSH, keys or open ports. Not AWS's own policy for it: that one reads every service's parameters.
        shell = ["ssm:UpdateInstanceInformation"]
        shell += [f"ssmmessages:{verb}{channel}Channel" for verb in ("Create", "Open") for channel in ("Control", "Data")]
        shell += [f"ec2messages:{verb}" for verb in ("AcknowledgeMessage", "DeleteMessage", "FailMessage", "GetEndpoint", "GetMessages", "SendReply")]
        statements: list[dict[str, object]] = [
            {"Sid": "SystemsManager", "Effect": "Allow", "Action": shell, "Resource": "*"},  # these take no resource
            {"Sid": "OwnKey", "Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": key.arn},
            {"Sid": "OwnLogs", "Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": pulumi.Output.concat(logs.arn, ":*")},
            {
                "Sid": "OwnParameters",
                "Effect": "Allow",
                "Action": ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"],
                "Resource": [parameters, f"{parameters}/*"],
            },
            {"Sid": "RegistryLogin", "Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},  # takes no resource
            {
                "Sid": "OwnImage",
                "Effect": "Allow",
                "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"],
                "Resource": f"arn:aws:ecr:{registry_region(registry, lent.region)}:*:repository/{repository}",  # images may be in an account of their own
            },
        ]
        if self.database:
            statements.append({"Sid": "OwnSecret", "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": self.database.secret_arn})
        if self.cdn and self._args.spec.cdn:
            writes = ["s3:PutObject", "s3:DeleteObject"] if self._args.spec.cdn.servers_may == "read and write" else []
            statements.append({"Sid": "OwnFiles", "Effect": "Allow", "Action": ["s3:GetObject", *writes], "Resource": pulumi.Output.concat(self.cdn.bucket_arn, "/*")})
            statements.append({"Sid": "OwnBucket", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": self.cdn.bucket_arn})
        if self.mail:
            settings = pulumi.Output.concat(f"arn:aws:ses:{lent.region}:{lent.account_id}:configuration-set/", self.mail.configuration_set_name)
            statements.append({"Sid": "SendAsItself", "Effect": "Allow", "Action": ["ses:SendEmail", "ses:SendRawEmail"], "Resource": [self.mail.identity_arn, settings]})
        RolePolicy(f"{self._name}-permissions", role=role.name, policy=pulumi.Output.json_dumps(policy_document(*statements)), opts=self._child)

    def _servers_security_group(self) -> SecurityGroup:
        """Make the servers' group. Nothing comes in but from the balancer; out go HTTPS, and what the database adds."""
        group = SecurityGroup(
            f"{self._name}-access", description=f"Servers of {self._name}", vpc_id=self._lent.network.vpc_id, revoke_rules_on_delete=True, tags=self._tags, opts=self._child
        )
        for part, ipv4, ipv6 in (("ipv4", ANY_IPV4, None), ("ipv6", None, ANY_IPV6)):
            SecurityGroupEgressRule(
                f"{self._name}-https-out-{part}",
                security_group_id=group.id,
                description="HTTPS: AWS's services, the registry, partners",
                cidr_ipv4=ipv4,
                cidr_ipv6=ipv6,
                ip_protocol="tcp",
                from_port=HTTPS_PORT,
                to_port=HTTPS_PORT,
                tags=self._tags,
                opts=self._child,
            )
        return group

    # --- the four components

    def _database(self, key: Key, servers: SecurityGroup) -> IsolatedDatabase | None:
        if not self._args.spec.has_database:
            return None
        size, engine, lent = self._args.size.database, self._args.release.database_engine, self._lent
        if size is None or engine is None:
            message = f"{self._name} has a database: its release needs database_engine and its sizing needs database"
            raise ValueError(message)
        return IsolatedDatabase(
            f"{self._name}-database",
            IsolatedDatabaseArgs(
                vpc_id=lent.network.vpc_id,
                subnet_ids=lent.data_subnet_ids,
                client_security_group_id=servers.id,
                database_name=self._name.replace("-", "_"),
                engine_version=engine,
                instance_class=size.instance_class,
                storage_gb=size.storage_gb,
                maximum_storage_gb=size.maximum_storage_gb,
                multi_az=size.multi_az,
                key_arn=key.arn,
                backup_days=lent.backup_days,
                alarm_topic_arn=lent.alarm_topic_arn,
                tags=self._tags,
                protect_data=lent.protect_data,
                restore=self._args.size.restore,
                allow_major_upgrade=self._args.size.allow_major_upgrade,
            ),
            self._child,
        )

    def _cdn(self, key: Key) -> CdnBucket | None:
        spec, lent = self._args.spec.cdn, self._lent
        if spec is None:
            return None
        args = CdnBucketArgs(
            host=f"{spec.host}.{lent.domain}",
            zone_id=lent.network.zone_id,
            key_arn=key.arn,
            log_bucket=lent.cdn_log_bucket,
            log_bucket_domain=lent.cdn_log_bucket_domain,
            tags=self._tags,
            protect_data=lent.protect_data,
        )
        return CdnBucket(f"{self._name}-cdn", args, self._child)

    def _mail(self) -> MailDomain | None:
        if not self._args.spec.sends_mail:
            return None
        return MailDomain(f"{self._name}-mail", MailDomainArgs(host=self._host, zone_id=self._lent.network.zone_id, region=self._lent.region, tags=self._tags), self._child)

    def _group(self, key: Key, logs: LogGroup, profile: InstanceProfile, servers: SecurityGroup) -> LoadBalancedInstanceGroup:
        spec, release, size, lent = self._args.spec, self._args.release, self._args.size, self._lent
        return LoadBalancedInstanceGroup(
            self._name + "-servers",
            LoadBalancedInstanceGroupArgs(
                balancing=spec.balancer,
                network=lent.network,
                shared_balancer=lent.front_door if isinstance(spec.balancer, FrontDoorRoute) else None,
                host=self._host,
                redirect_hosts=self._redirect_hosts(),
                image=release.image,
                machine_image=release.machine_image,
                instance_type=size.instance_type,
                disk_gb=size.disk_gb,
                minimum=size.minimum,
                maximum=size.maximum,
                port=spec.port,
                health_path=spec.health_path,
                idle_timeout_seconds=release.idle_timeout_seconds if isinstance(spec.balancer, OwnBalancer) else DEFAULT_IDLE_TIMEOUT_SECONDS,
                environment_variables=self._environment_variables(),
                region=lent.region,
                log_group_name=logs.name,
                instance_profile_arn=profile.arn,
                server_security_group_id=servers.id,
                key_arn=key.arn,
                alarm_topic_arn=lent.alarm_topic_arn,
                protect_balancer=lent.protect_data,
                deploy_despite_alarms=size.deploy_despite_alarms,
                tags=self._tags,
            ),
            self._child,
        )

    def _environment_variables(self) -> dict[str, pulumi.Input[str]]:
        """Return what the container is told: where its things are, never a password."""
        told: dict[str, pulumi.Input[str]] = {**self._args.release.environment_variables}
        told |= {"ENVIRONMENT": self._lent.environment, "RELEASE": self._args.release.version, "PORT": str(self._args.spec.port), "AWS_REGION": self._lent.region}
        if self.database:
            told |= {
                "DATABASE_HOST": self.database.address,
                "DATABASE_PORT": self.database.port.apply(str),
                "DATABASE_NAME": self.database.database_name,
                "DATABASE_SECRET_ARN": self.database.secret_arn,
            }
        if self.cdn:
            told |= {"FILES_BUCKET": self.cdn.bucket_name, "FILES_URL": pulumi.Output.concat("https://", self.cdn.host)}
        if self.mail:
            told["MAIL_CONFIGURATION_SET"] = self.mail.configuration_set_name
        return told

    # --- running it

    def _dashboard(self) -> None:
        region = self._lent.region
        servers = ["AWS/EC2", "CPUUtilization", "AutoScalingGroupName", self.group.group_name]
        widgets: list[dict[str, object]] = [{"type": "metric", "width": 12, "height": 6, "properties": {"title": "Servers: CPU", "region": region, "metrics": [servers]}}]
        if self.database:
            identifier = self.database.identifier
            metrics = [["AWS/RDS", metric, "DBInstanceIdentifier", identifier] for metric in ("CPUUtilization", "DatabaseConnections")]
            widgets.append({"type": "metric", "width": 12, "height": 6, "properties": {"title": "Database", "region": region, "metrics": metrics}})
        query = f"SOURCE '{self._log_group_name}' | fields @timestamp, @message | sort @timestamp desc | limit 50"
        widgets.append({"type": "log", "width": 24, "height": 6, "properties": {"title": "Log", "region": region, "query": query, "view": "table"}})
        Dashboard(
            f"{self._name}-dashboard", dashboard_name=f"{self._lent.environment}-{self._name}", dashboard_body=pulumi.Output.json_dumps({"widgets": widgets}), opts=self._child
        )

    def _deploy_role(self, servers: Role) -> None:
        """Make the role by which the service's workflow deploys: it changes this service's resources here, and nothing else."""
        lent = self._lent
        if lent.deploy_identity_provider_arn is None or lent.github_repository is None:
            return
        issuer = "token.actions.githubusercontent.com"
        trust = policy_document(
            {
                "Effect": "Allow",
                "Principal": {"Federated": lent.deploy_identity_provider_arn},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    # The GitHub environment `<environment>-<service>` has its own reviewers: only its jobs get this subject.
                    "StringEquals": {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": f"repo:{lent.github_repository}:environment:{lent.environment}-{self._name}"},
                },
            }
        )
        role = Role(
            f"{self._name}-deploy",
            description=f"Deploys {self._name} to {lent.environment}",
            assume_role_policy=pulumi.Output.json_dumps(trust),
            max_session_duration=3600,
            tags=self._tags,
            opts=self._child,
        )
        own = {"StringEquals": {"aws:ResourceTag/Service": self._args.spec.name, "aws:ResourceTag/Environment": lent.environment}}
        changes = [
            *("ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate"),
            *(
                "autoscaling:UpdateAutoScalingGroup",
                "autoscaling:StartInstanceRefresh",
                "autoscaling:CancelInstanceRefresh",
                "autoscaling:RollbackInstanceRefresh",
                "autoscaling:PutScalingPolicy",
            ),
            *("elasticloadbalancing:ModifyTargetGroup", "elasticloadbalancing:ModifyTargetGroupAttributes", "elasticloadbalancing:ModifyRule"),
            *("rds:ModifyDBInstance", "cloudwatch:PutMetricAlarm"),
        ]
        here = f"arn:aws:ec2:{lent.region}:{lent.account_id}"
        started = [f"{here}:{kind}/*" for kind in ("instance", "volume", "network-interface")]
        template = pulumi.Output.concat(f"{here}:launch-template/", self.group.launch_template_id)
        from_own_template = {"ArnEquals": {"ec2:LaunchTemplate": template}}
        files: list[Mapping[str, object]] = (
            [
                {"Sid": "OwnFiles", "Effect": "Allow", "Action": ["s3:PutObject", "s3:DeleteObject"], "Resource": pulumi.Output.concat(self.cdn.bucket_arn, "/*")},
                {"Sid": "OwnBucket", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": self.cdn.bucket_arn},
                {
                    "Sid": "ShowNewFiles",
                    "Effect": "Allow",
                    "Action": "cloudfront:CreateInvalidation",
                    "Resource": pulumi.Output.concat(f"arn:aws:cloudfront::{lent.account_id}:distribution/", self.cdn.distribution_id),
                },
            ]
            if self.cdn
            else []
        )
        RolePolicy(
            f"{self._name}-deploy-permissions",
            role=role.name,
            policy=pulumi.Output.json_dumps(
                policy_document(
                    {"Sid": "OwnResources", "Effect": "Allow", "Action": changes, "Resource": "*", "Condition": own},
                    # Auto Scaling asks, in the deployer's name, whether a server could be started: from the own template only,
                    # with the image and the security groups that it names, in whatever subnet the group has.
                    {"Sid": "StartServers", "Effect": "Allow", "Action": "ec2:RunInstances", "Resource": [*started, f"{here}:subnet/*", template], "Condition": from_own_template},
                    {
                        "Sid": "StartAsTheTemplateSays",
                        "Effect": "Allow",
                        "Action": "ec2:RunInstances",
                        "Resource": [f"{here}:security-group/*", f"arn:aws:ec2:{lent.region}::image/*"],
                        "Condition": {**from_own_template, "Bool": {"ec2:IsLaunchTemplateResource": "true"}},
                    },
                    {
                        "Sid": "TagServers",
                        "Effect": "Allow",
                        "Action": "ec2:CreateTags",
                        "Resource": started,
                        "Condition": {
                            "StringEquals": {"ec2:CreateAction": "RunInstances", "aws:RequestTag/Service": self._args.spec.name, "aws:RequestTag/Environment": lent.environment}
                        },
                    },
                    *files,
                    {
                        "Sid": "HandOnOwnRole",
                        "Effect": "Allow",
                        "Action": "iam:PassRole",
                        "Resource": servers.arn,
                        "Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
                    },
                    {
                        "Sid": "Look",
                        "Effect": "Allow",
                        "Action": [
                            "ec2:Describe*",
                            "autoscaling:Describe*",
                            "elasticloadbalancing:Describe*",
                            "rds:Describe*",
                            "cloudwatch:Describe*",
                            "rds:ListTagsForResource",
                            "cloudwatch:ListTagsForResource",
                        ],
                        "Resource": "*",
                    },
                )
            ),
            opts=self._child,
        )
