"""What a host needs to send mail through SES that other servers accept, and to receive mail."""

from dataclasses import dataclass
from typing import NamedTuple

import pulumi
from pulumi_aws.route53.record import Record
from pulumi_aws.sesv2.configuration_set import ConfigurationSet
from pulumi_aws.sesv2.email_identity import EmailIdentity
from pulumi_aws.sesv2.email_identity_mail_from_attributes import EmailIdentityMailFromAttributes

from components import type_tokens

DKIM_TOKENS = 3  # SES developer guide, "Easy DKIM": an identity always has three
RECORD_TTL_SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class MailDomainArgs:
    """The host of the mail, and where it is sent from."""

    host: str
    """Domain that mail is sent from and received at. Changing it recreates the identity."""

    zone_id: pulumi.Input[str]
    """ID of the hosted zone that the host belongs to. In another zone, SES never verifies the identity."""

    region: str
    """AWS region that SES sends from. With another region, messages that bounce are never reported."""

    tags: dict[str, str]
    """Tags of the identity and the configuration set."""


class MailRecord(NamedTuple):
    """A DNS record for mail. part: its part of the resource name."""

    part: str
    host: str
    type: str
    value: str


def bounce_host(host: str) -> str:
    """Return the host that other servers send their bounces to (SES's MAIL FROM domain)."""
    return f"bounce.{host}"


def mail_records(host: str, region: str) -> list[MailRecord]:
    """Return the records for mail, without those for DKIM, whose values SES generates.

    Source: SES developer guide, "Using a custom MAIL FROM domain" and "Complying with DMARC".
    """
    bounce = bounce_host(host)
    spf = "v=spf1 include:amazonses.com -all"
    dmarc = f"v=DMARC1; p=quarantine; adkim=s; aspf=r; rua=mailto:dmarc@{host}"
    return [
        MailRecord("mx", host, "MX", f"10 {host}"),
        MailRecord("spf", host, "TXT", spf),
        MailRecord("dmarc", f"_dmarc.{host}", "TXT", dmarc),
        MailRecord("bounce-mx", bounce, "MX", f"10 feedback-smtp.{region}.amazonses.com"),
        MailRecord("bounce-spf", bounce, "TXT", spf),
    ]


class MailDomain(pulumi.ComponentResource):
    """An SES identity with its configuration set, a MAIL FROM domain, and the records for DKIM, SPF, DMARC and MX.

    Does not create the servers that receive mail: the MX record names the host, and a service listens there. Does not
    take the account out of SES's sandbox, in which it can only send to verified addresses: ask AWS to do that. Does not
    let anybody send: give a role permission to do that. Does not read DMARC reports.
    """

    identity_arn: pulumi.Output[str]
    configuration_set_name: pulumi.Output[str]

    def __init__(self, name: str, args: MailDomainArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the identity and its records."""
        super().__init__(type_tokens.MAIL_DOMAIN, name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        configuration_set = self._configuration_set()
        identity = self._identity(configuration_set)
        for index in range(DKIM_TOKENS):
            token = identity.dkim_signing_attributes.tokens[index]
            host = pulumi.Output.concat(token, f"._domainkey.{args.host}")
            self._record(f"dkim-{index + 1}", host, "CNAME", pulumi.Output.concat(token, ".dkim.amazonses.com"))
        for record in mail_records(args.host, args.region):
            self._record(record.part, record.host, record.type, record.value)
        self.identity_arn = identity.arn
        self.configuration_set_name = configuration_set.configuration_set_name
        self.register_outputs(
            {"identity_arn": self.identity_arn, "configuration_set_name": self.configuration_set_name}
        )

    def _configuration_set(self) -> ConfigurationSet:
        """Create the rules of sending: over TLS only, and never again to an address that bounced or complained."""
        return ConfigurationSet(
            f"{self._name}-settings",
            configuration_set_name=self._name,
            delivery_options={"tls_policy": "REQUIRE"},
            reputation_options={"reputation_metrics_enabled": True},
            suppression_options={"suppressed_reasons": ["BOUNCE", "COMPLAINT"]},
            tags=self._args.tags,
            opts=self._child,
        )

    def _identity(self, configuration_set: ConfigurationSet) -> EmailIdentity:
        """Create the identity and its MAIL FROM domain."""
        identity = EmailIdentity(
            f"{self._name}-identity",
            email_identity=self._args.host,
            configuration_set_name=configuration_set.configuration_set_name,
            dkim_signing_attributes={"next_signing_key_length": "RSA_2048_BIT"},
            tags=self._args.tags,
            opts=self._child,
        )
        EmailIdentityMailFromAttributes(
            f"{self._name}-mail-from",
            email_identity=identity.email_identity,
            mail_from_domain=bounce_host(self._args.host),
            behavior_on_mx_failure="REJECT_MESSAGE",
            opts=self._child,
        )
        return identity

    def _record(self, part: str, host: pulumi.Input[str], record_type: str, value: pulumi.Input[str]) -> None:
        """Create one record."""
        Record(
            f"{self._name}-{part}",
            zone_id=self._args.zone_id,
            name=host,
            type=record_type,
            ttl=RECORD_TTL_SECONDS,
            records=[value],
            opts=self._child,
        )
