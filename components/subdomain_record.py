"""A name in the environment's zone that leads to a balancer or a distribution."""

from dataclasses import dataclass

import pulumi
from pulumi_aws.route53.health_check import HealthCheck
from pulumi_aws.route53.record import Record

from components.names import HTTPS_PORT

TYPE = "hundredx:components:SubdomainRecord"


@dataclass(frozen=True)
class AliasTarget:
    """Where a name leads.

    ipv6: whether the target answers on IPv6, so that an AAAA record is true. evaluate_health: whether Route 53 looks at the
    target's health; it refuses to for a distribution.
    """

    dns_name: pulumi.Input[str]
    zone_id: pulumi.Input[str]
    ipv6: bool = True
    evaluate_health: bool = True


@dataclass(frozen=True)
class SubdomainRecordArgs:
    """zone_id: the hosted zone. host: the full name; the zone's own name is its apex, which an alias may stand at.

    certificate_authorities: the only ones that may issue certificates for this host (CAA); none given, the zone's apply.
    health_check_path: where Route 53 checks over HTTPS from outside whether the host answers; None for no check.
    """

    zone_id: pulumi.Input[str]
    host: str
    target: AliasTarget
    certificate_authorities: tuple[str, ...] = ()
    health_check_path: str | None = None
    tags: dict[str, str] | None = None


class SubdomainRecord(pulumi.ComponentResource):
    """A and AAAA aliases of one host. One owner a name: a second record of the same host fails at AWS."""

    host: pulumi.Output[str]

    def __init__(self, name: str, args: SubdomainRecordArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the records."""
        super().__init__(TYPE, name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        for part, kind in (("a", "A"), ("aaaa", "AAAA")):
            if kind == "AAAA" and not args.target.ipv6:
                continue
            Record(
                f"{name}-{part}",
                zone_id=args.zone_id,
                name=args.host,
                type=kind,
                aliases=[{"name": args.target.dns_name, "zone_id": args.target.zone_id, "evaluate_target_health": args.target.evaluate_health}],
                opts=child,
            )
        if args.certificate_authorities:
            records = [f'0 {tag} "{authority}"' for authority in args.certificate_authorities for tag in ("issue", "issuewild")]
            Record(f"{name}-caa", zone_id=args.zone_id, name=args.host, type="CAA", ttl=3600, records=records, opts=child)
        if args.health_check_path:
            HealthCheck(
                f"{name}-check",
                type="HTTPS",
                fqdn=args.host,
                port=HTTPS_PORT,
                resource_path=args.health_check_path,
                enable_sni=True,
                failure_threshold=3,
                request_interval=30,
                tags=args.tags,
                opts=child,
            )
        self.host = pulumi.Output.from_input(args.host)
        self.register_outputs({"host": self.host})
