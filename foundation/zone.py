"""The environment's hosted zone."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws.cloudwatch.log_group import LogGroup
from pulumi_aws.cloudwatch.log_resource_policy import LogResourcePolicy
from pulumi_aws.route53.query_log import QueryLog
from pulumi_aws.route53.record import Record
from pulumi_aws.route53.zone import Zone as HostedZone

from components import type_tokens
from components.constants import GLOBAL_SERVICES_REGION
from components.tags import resource_tags
from foundation.policies import query_log_policy

# The certificate authorities behind ACM. Source: ACM user guide, "Configure a CAA record".
CERTIFICATE_AUTHORITIES = ("amazon.com", "amazontrust.com", "awstrust.com", "amazonaws.com")
CAA_TTL_SECONDS = 3600
DELEGATION_TTL_SECONDS = 172800  # two days, as registries use for NS records


@dataclass(frozen=True, kw_only=True)
class ZoneArgs:
    """The domain, its delegated subdomains, and how its queries are logged."""

    environment: str
    """Name of the environment. It is part of fixed names and of tags."""

    account_id: str
    """ID of the AWS account, 12 digits. With a wrong ID, Route 53 cannot log queries."""

    domain: str
    """The environment's domain. Changing it recreates the zone and everything in it."""

    delegations: Mapping[str, Sequence[str]]
    """Name servers of the subdomains that have their own zone, by label. Wrong ones make the subdomain unreachable."""

    log_key_arn: pulumi.Input[str] | None
    """KMS key of the query log, which must be in us-east-1. None: CloudWatch's own key."""

    log_days: int
    """Days for which queries are kept. CloudWatch allows certain values only."""

    protect_data: bool = True
    """Whether Pulumi refuses to delete the zone, and AWS to delete one that contains records. Default: true."""


class Zone(pulumi.ComponentResource):
    """A public hosted zone with CAA records, delegations and a log of its queries.

    Does not register the domain, or delegate to itself: its name servers must be entered in the parent zone or at the
    registrar, or no host can be found. Does not create the records of services. Does not sign the zone with DNSSEC.
    """

    zone_id: pulumi.Output[str]
    name_servers: pulumi.Output[list[str]]

    def __init__(self, name: str, args: ZoneArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the zone and its records."""
        super().__init__(type_tokens.ZONE, name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = resource_tags(args.environment, f"{args.environment}-zone")
        # A recreated zone gets other name servers: no host is found until the parent zone has them.
        zone = HostedZone(
            f"{name}-zone",
            name=args.domain,
            comment=f"{args.environment} of 100xglobal.com",
            force_destroy=not args.protect_data,
            tags=self._tags,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect_data),
        )
        self._records(zone)
        self._query_log(zone)
        self.zone_id, self.name_servers = zone.zone_id, zone.name_servers.apply(list)
        self.register_outputs({"zone_id": self.zone_id, "name_servers": self.name_servers})

    def _records(self, zone: HostedZone) -> None:
        """Allow only ACM to issue certificates, and delegate the subdomains that have their own zone."""
        name, args = self._name, self._args
        Record(
            f"{name}-caa",
            zone_id=zone.zone_id,
            name=args.domain,
            type="CAA",
            ttl=CAA_TTL_SECONDS,
            records=[
                f'0 {tag} "{authority}"' for authority in CERTIFICATE_AUTHORITIES for tag in ("issue", "issuewild")
            ],
            opts=self._child,
        )
        for label, name_servers in sorted(args.delegations.items()):
            Record(
                f"{name}-to-{label}",
                zone_id=zone.zone_id,
                name=f"{label}.{args.domain}",
                type="NS",
                ttl=DELEGATION_TTL_SECONDS,
                records=list(name_servers),
                opts=self._child,
            )

    def _query_log(self, zone: HostedZone) -> None:
        """Log the zone's queries, in the only region that Route 53 can log to."""
        name, args = self._name, self._args
        log_group = LogGroup(
            f"{name}-queries",
            name=f"/{args.environment}/route53/{args.domain}",
            retention_in_days=args.log_days,
            kms_key_id=args.log_key_arn,
            region=GLOBAL_SERVICES_REGION,
            tags=self._tags,
            opts=self._child,
        )
        permission = LogResourcePolicy(
            f"{name}-queries-policy",
            policy_name=f"{args.environment}-route53-queries",
            policy_document=json.dumps(query_log_policy(environment=args.environment, account_id=args.account_id)),
            region=GLOBAL_SERVICES_REGION,
            opts=self._child,
        )
        QueryLog(
            f"{name}-query-log",
            zone_id=zone.zone_id,
            cloudwatch_log_group_arn=log_group.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permission]),
        )
