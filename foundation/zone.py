"""The environment's hosted zone."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi.runtime import is_dry_run
from pulumi_aws.cloudwatch.log_group import LogGroup
from pulumi_aws.cloudwatch.log_resource_policy import LogResourcePolicy
from pulumi_aws.route53.query_log import QueryLog
from pulumi_aws.route53.record import Record
from pulumi_aws.route53.zone import Zone as HostedZone

from components import type_tokens
from components.constants import GLOBAL_SERVICES_REGION
from components.tags import resource_tags
from foundation.policies import query_log_policy
from settings.models import DnsRecord

# The certificate authorities behind ACM. Source: ACM user guide, "Configure a CAA record".
CERTIFICATE_AUTHORITIES = ("amazon.com", "amazontrust.com", "awstrust.com", "amazonaws.com")
CAA_TTL_SECONDS = 3600
DELEGATION_TTL_SECONDS = 3600  # a mistake in a delegation lasts an hour, not the two days that registries use
# The domain itself sends and receives no mail. Sources: RFC 7505 (null MX), RFC 7208 (SPF), RFC 7489 (DMARC).
NO_MAIL = {
    "mx": DnsRecord(type="MX", values=["0 ."]),
    "spf": DnsRecord(type="TXT", values=["v=spf1 -all"]),
    "dmarc": DnsRecord(host="_dmarc", type="TXT", values=["v=DMARC1; p=reject"]),
}
LONGEST_STRING = 255  # characters of one string of a TXT record. Source: RFC 1035, section 3.3


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

    records: Mapping[str, DnsRecord]
    """Records that belong to no service, by a label of their own. See `environment.dns.records`."""

    has_mail: bool
    """Whether a service sends mail as the domain itself, and has the records for that."""

    log_key_arn: pulumi.Input[str] | None
    """KMS key of the query log, which must be in us-east-1. None: CloudWatch's own key."""

    log_days: int
    """Days for which queries are kept. CloudWatch allows certain values only."""

    protect_data: bool = True
    """Whether Pulumi refuses to delete the zone, and AWS to delete one that contains records. Default: true."""


class Zone(pulumi.ComponentResource):
    """A public hosted zone with CAA records, delegations, records of no service, and a log of its queries.

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
        if not is_dry_run():
            zone.name_servers.apply(lambda servers: self._show(zone, servers))
        self._records(zone)
        self._query_log(zone)
        self.zone_id, self.name_servers = zone.zone_id, zone.name_servers.apply(list)
        self.register_outputs({"zone_id": self.zone_id, "name_servers": self.name_servers})

    def _show(self, zone: HostedZone, name_servers: Sequence[str]) -> None:
        """Show the name servers beside the zone during an update: certificates wait until the parent has them."""
        text = f"name servers of {self._args.domain}, for its parent zone or registrar: {', '.join(name_servers)}"
        pulumi.log.info(text, resource=zone, ephemeral=True)

    def _records(self, zone: HostedZone) -> None:
        """Allow only ACM to issue certificates, delegate subdomains, and create the records that no service owns."""
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
        for part, record in self._records_of_no_service():
            Record(
                f"{name}-{part}",
                zone_id=zone.zone_id,
                name=args.domain if record.host == "@" else f"{record.host}.{args.domain}",
                type=record.type,
                ttl=record.ttl_seconds,
                records=[_in_strings(value) if record.type == "TXT" else value for value in record.values],
                opts=self._child,
            )

    def _records_of_no_service(self) -> Iterator[tuple[str, DnsRecord]]:
        """Yield the records of the environment file, and what they leave of the records of a domain without mail."""
        written = self._args.records
        for label, record in sorted(written.items()):
            yield f"record-{label}", record
        for part, default in NO_MAIL.items():
            is_replaced = any(
                record.host == default.host and record.type in {default.type, "CNAME"} for record in written.values()
            )
            if not is_replaced and not self._args.has_mail:
                yield f"no-mail-{part}", default

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


def _in_strings(text: str) -> str:
    """Return the text of a TXT record in strings that are short enough; the provider adds the first and last quote."""
    return '" "'.join(text[start : start + LONGEST_STRING] for start in range(0, len(text), LONGEST_STRING))
