"""The environment's hosted zone: who may issue certificates, who owns the names below, what was asked."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws.cloudwatch.log_group import LogGroup
from pulumi_aws.cloudwatch.log_resource_policy import LogResourcePolicy
from pulumi_aws.route53.query_log import QueryLog
from pulumi_aws.route53.record import Record
from pulumi_aws.route53.zone import Zone as HostedZone

from components.names import CERTIFICATE_REGION, policy_document, tags

TYPE = "hundredx:foundation:Zone"
AMAZON = ("amazon.com", "amazontrust.com", "awstrust.com", "amazonaws.com")  # the authorities behind ACM, from its guide
DELEGATION_SECONDS = 172800  # two days, as registries use for NS records


@dataclass(frozen=True)
class ZoneArgs:
    """domain: the environment's. delegations: name servers of sub-domains with zones of their own, by label.

    log_key_arn: a key in us-east-1, where Route 53 logs; None for CloudWatch's own, as keys stay in their region.
    """

    environment: str
    account_id: str
    domain: str
    delegations: Mapping[str, tuple[str, ...]]
    log_key_arn: pulumi.Input[str] | None
    log_days: int
    protect_data: bool


class Zone(pulumi.ComponentResource):
    """A public hosted zone with CAA, delegations and query logging. Its parent zone must delegate to `name_servers`."""

    zone_id: pulumi.Output[str]
    name_servers: pulumi.Output[list[str]]

    def __init__(self, name: str, args: ZoneArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the zone."""
        super().__init__(TYPE, name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        own = tags(args.environment, f"{args.environment}-zone")
        # A zone made anew gets other name servers: the domain is gone until its parent knows them.
        zone = HostedZone(
            f"{name}-zone",
            name=args.domain,
            comment=f"{args.environment} of 100xglobal.com",
            force_destroy=not args.protect_data,
            tags=own,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect_data),
        )
        issuers = [f'0 {tag} "{authority}"' for authority in AMAZON for tag in ("issue", "issuewild")]
        Record(f"{name}-caa", zone_id=zone.zone_id, name=args.domain, type="CAA", ttl=3600, records=issuers, opts=child)
        for label, servers in sorted(args.delegations.items()):
            Record(f"{name}-to-{label}", zone_id=zone.zone_id, name=f"{label}.{args.domain}", type="NS", ttl=DELEGATION_SECONDS, records=list(servers), opts=child)
        log = LogGroup(
            f"{name}-queries",
            name=f"/{args.environment}/route53/{args.domain}",
            retention_in_days=args.log_days,
            kms_key_id=args.log_key_arn,
            region=CERTIFICATE_REGION,
            tags=own,
            opts=child,
        )
        allowed = LogResourcePolicy(
            f"{name}-queries-policy",
            policy_name=f"{args.environment}-route53-queries",
            policy_document=pulumi.Output.json_dumps(
                policy_document(
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "route53.amazonaws.com"},
                        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                        "Resource": f"arn:aws:logs:{CERTIFICATE_REGION}:{args.account_id}:log-group:/{args.environment}/route53/*",
                        "Condition": {"StringEquals": {"aws:SourceAccount": args.account_id}},
                    }
                )
            ),
            region=CERTIFICATE_REGION,
            opts=child,
        )
        QueryLog(f"{name}-query-log", zone_id=zone.zone_id, cloudwatch_log_group_arn=log.arn, opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed]))
        self.zone_id, self.name_servers = zone.zone_id, zone.name_servers.apply(list)
        self.register_outputs({"zone_id": self.zone_id, "name_servers": self.name_servers})
