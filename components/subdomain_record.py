"""A host in the environment's zone that leads to a load balancer or a distribution."""

from dataclasses import dataclass

import pulumi
from pulumi_aws.route53.record import Record

from components import type_tokens


@dataclass(frozen=True, kw_only=True)
class AliasTarget:
    """An AWS resource that a host can be an alias of."""

    dns_name: pulumi.Input[str]
    """DNS name of the load balancer or distribution."""

    zone_id: pulumi.Input[str]
    """ID of the hosted zone of that DNS name, which AWS owns. With another zone's ID, Route 53 refuses the record."""

    evaluate_health: bool = True
    """Whether Route 53 stops answering with an unhealthy target. Must be false for a distribution. Default: true."""

    has_ipv6: bool = True
    """Whether the target answers on IPv6. If not, clients that prefer IPv6 would wait for it. Default: true."""


@dataclass(frozen=True, kw_only=True)
class SubdomainRecordArgs:
    """A host and its target."""

    zone_id: pulumi.Input[str]
    """ID of the hosted zone that the host belongs to."""

    host: str
    """Full name of the host, such as `members.beta.100xglobal.com`. It can be the zone's own name.

    A host outside the zone, or one that has such a record already, is refused by Route 53.
    """

    target: AliasTarget
    """Where the host leads."""


class SubdomainRecord(pulumi.ComponentResource):
    """The A and AAAA records of one host, both aliases of the same target. Without IPv6, only the A record.

    Does not create the zone, a certificate for the host, or CAA records, which the zone has for all its hosts.
    """

    host: pulumi.Output[str]

    def __init__(self, name: str, args: SubdomainRecordArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the records."""
        super().__init__(type_tokens.SUBDOMAIN_RECORD, name, None, opts)
        for record_type in ("A", "AAAA") if args.target.has_ipv6 else ("A",):
            Record(
                f"{name}-{record_type.lower()}",
                zone_id=args.zone_id,
                name=args.host,
                type=record_type,
                aliases=[
                    {
                        "name": args.target.dns_name,
                        "zone_id": args.target.zone_id,
                        "evaluate_target_health": args.target.evaluate_health,
                    }
                ],
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.host = pulumi.Output.from_input(args.host)
        self.register_outputs({"host": self.host})
