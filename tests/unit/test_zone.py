"""The hosted zone: records that belong to no service."""

from foundation.zone import Zone, ZoneArgs
from mocks.aws import Run, run
from settings.models import DnsRecord
from tests.unit.conftest import program_run

RECORD = "route53/record:Record"
SPF = "v=spf1 include:_spf.example.net -all"


def records_of(*, has_mail: bool = False, **records: DnsRecord) -> dict[tuple[str, str], list[str]]:
    """Return the values of a zone's records by host and type, without CAA."""
    args = ZoneArgs(
        environment="alpha",
        account_id="222222222222",
        domain="example.com",
        delegations={},
        records=records,
        has_mail=has_mail,
        log_key_arn=None,
        log_days=30,
    )
    registered = run(lambda: Zone("zone", args)).of(RECORD)
    inputs = [record.inputs for name, record in registered.items() if name != "zone-caa"]
    return {(record["name"], record["type"]): record["records"] for record in inputs}


NO_MAIL = {
    ("example.com", "MX"): ["0 ."],
    ("example.com", "TXT"): ["v=spf1 -all"],
    ("_dmarc.example.com", "TXT"): ["v=DMARC1; p=reject"],
}


def test_a_domain_without_mail_says_so() -> None:
    """Nobody can send mail as the domain, and mail to it is refused at once."""
    assert records_of() == NO_MAIL


def test_the_records_of_the_file_replace_those_of_a_domain_without_mail() -> None:
    """A CNAME replaces a default of any type, because nothing can exist beside it."""
    records = records_of(
        mail=DnsRecord(type="MX", values=["1 mx.example.net"]),
        spf=DnsRecord(type="TXT", values=[SPF, "site-verification=1"]),
        dmarc=DnsRecord(host="_dmarc", type="CNAME", values=["dmarc.example.net"]),
        docs=DnsRecord(host="docs", type="CNAME", values=["pages.example.net"], ttl_seconds=300),
    )
    assert records == {
        ("example.com", "MX"): ["1 mx.example.net"],
        ("example.com", "TXT"): [SPF, "site-verification=1"],
        ("_dmarc.example.com", "CNAME"): ["dmarc.example.net"],
        ("docs.example.com", "CNAME"): ["pages.example.net"],
    }


def test_a_service_that_sends_mail_as_the_domain_has_the_records() -> None:
    """Route 53 refuses a second record of the same host and type."""
    assert records_of(has_mail=True) == {}


def test_a_long_text_is_split_into_strings() -> None:
    """A string of a TXT record has at most 255 characters; readers join them (RFC 7208, section 3.3)."""
    key = "v=DKIM1; p=" + "A" * 400
    value = records_of(dkim=DnsRecord(host="s._domainkey", type="TXT", values=[key]))[
        "s._domainkey.example.com", "TXT"
    ][0]
    strings = value.split('" "')
    assert [len(string) for string in strings] == [255, len(key) - 255]
    assert "".join(strings) == key


def test_no_two_records_of_an_environment_have_the_same_host_and_type() -> None:
    """Route 53 would refuse the second one. Validation records, whose names AWS chooses, are left out."""
    registered: Run = program_run("prod")
    records = [record.inputs for name, record in registered.of(RECORD).items() if not name.endswith("-proof")]
    identities = [(record["name"], record["type"]) for record in records]
    assert len(identities) > 20
    assert len(identities) == len(set(identities))
