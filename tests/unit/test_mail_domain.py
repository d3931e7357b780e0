"""MailDomain: the records that other mail servers check."""

from components.mail_domain import mail_records
from mocks.aws import Run


def test_mail_is_signed_and_authorized(prod: Run) -> None:
    """The zone has the records for DKIM, SPF, DMARC, MAIL FROM and MX."""
    records = {
        record.name: record.inputs
        for record in prod.of("route53/record:Record").values()
        if record.name.startswith("email-mail")
    }
    assert records["email-mail-mx"]["records"] == ["10 email.100xglobal.com"]
    assert records["email-mail-spf"]["records"] == ["v=spf1 include:amazonses.com -all"]
    assert records["email-mail-dmarc"]["records"][0].startswith("v=DMARC1; p=quarantine")
    assert records["email-mail-dkim-2"]["name"] == "two._domainkey.email.100xglobal.com"
    identity = prod.one("sesv2/emailIdentityMailFromAttributes:EmailIdentityMailFromAttributes", "email-mail-mail-from")
    assert identity.inputs["mailFromDomain"] == "bounce.email.100xglobal.com"


def test_bounces_are_sent_to_the_region_of_ses() -> None:
    """SES only receives bounces at the endpoint of the region that it sends from."""
    records = {record.part: record for record in mail_records("mail.example.com", "eu-west-1")}
    assert records["bounce-mx"].host == "bounce.mail.example.com"
    assert records["bounce-mx"].value == "10 feedback-smtp.eu-west-1.amazonses.com"
