"""What a host needs to send mail through SES that others accept, and to take mail in. A part of ServiceEnvironment."""

from dataclasses import dataclass

import pulumi
from pulumi_aws.route53.record import Record
from pulumi_aws.sesv2.configuration_set import ConfigurationSet
from pulumi_aws.sesv2.email_identity import EmailIdentity
from pulumi_aws.sesv2.email_identity_mail_from_attributes import EmailIdentityMailFromAttributes

TYPE = "hundredx:components:MailDomain"
DKIM_KEYS = 3  # SES's Easy DKIM always gives three tokens


@dataclass(frozen=True)
class MailDomainArgs:
    """host: the domain that mail is sent from and comes in at. zone_id: its zone. region: where SES sends from."""

    host: str
    zone_id: pulumi.Input[str]
    region: str
    tags: dict[str, str]


class MailDomain(pulumi.ComponentResource):
    """An SES identity with DKIM and MAIL FROM, and the records for it: DKIM, SPF, DMARC, MX."""

    identity_arn: pulumi.Output[str]
    configuration_set_name: pulumi.Output[str]

    def __init__(self, name: str, args: MailDomainArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the identity and its records."""
        super().__init__(TYPE, name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        settings = ConfigurationSet(
            f"{name}-settings",
            configuration_set_name=name,
            delivery_options={"tls_policy": "REQUIRE"},
            reputation_options={"reputation_metrics_enabled": True},
            suppression_options={"suppressed_reasons": ["BOUNCE", "COMPLAINT"]},
            tags=args.tags,
            opts=child,
        )
        identity = EmailIdentity(
            f"{name}-identity",
            email_identity=args.host,
            configuration_set_name=settings.configuration_set_name,
            dkim_signing_attributes={"next_signing_key_length": "RSA_2048_BIT"},
            tags=args.tags,
            opts=child,
        )
        bounce = f"bounce.{args.host}"
        EmailIdentityMailFromAttributes(f"{name}-mail-from", email_identity=identity.email_identity, mail_from_domain=bounce, behavior_on_mx_failure="REJECT_MESSAGE", opts=child)

        def record(part: str, host: pulumi.Input[str], kind: str, value: pulumi.Input[str]) -> None:
            Record(f"{name}-{part}", zone_id=args.zone_id, name=host, type=kind, ttl=3600, records=[value], opts=child)

        for index in range(DKIM_KEYS):
            token = identity.dkim_signing_attributes.tokens[index]
            record(f"dkim-{index + 1}", pulumi.Output.concat(token, f"._domainkey.{args.host}"), "CNAME", pulumi.Output.concat(token, ".dkim.amazonses.com"))
        record("mx", args.host, "MX", f"10 {args.host}")
        record("spf", args.host, "TXT", "v=spf1 include:amazonses.com -all")
        record("dmarc", f"_dmarc.{args.host}", "TXT", f"v=DMARC1; p=quarantine; adkim=s; aspf=r; rua=mailto:dmarc@{args.host}")
        record("bounce-mx", bounce, "MX", f"10 feedback-smtp.{args.region}.amazonses.com")
        record("bounce-spf", bounce, "TXT", "v=spf1 include:amazonses.com -all")
        self.identity_arn, self.configuration_set_name = identity.arn, settings.configuration_set_name
        self.register_outputs({"identity_arn": self.identity_arn, "configuration_set_name": self.configuration_set_name})
