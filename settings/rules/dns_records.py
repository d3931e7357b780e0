"""Rules for the records of an environment's zone that belong to no service."""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping

from settings.models import DnsRecord, Settings
from settings.problems import Location, Rule, Violation
from settings.service_spec import ServiceSpec

DOMAIN_ITSELF = "@"
HOST_NAME = r"(?=.{1,254}$)([a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]{2,63}\.?"
MAXIMUM_TEXT = 4000  # characters of a value. Source: Route 53 developer guide, "TXT record type"
NUMBER = "(0|[1-9][0-9]{0,4})"


def _is_address(version: int) -> Callable[[str], bool]:
    def check(value: str) -> bool:
        try:
            return ipaddress.ip_address(value).version == version
        except ValueError:
            return False

    return check


def _matches(pattern: str) -> Callable[[str], bool]:
    return lambda value: re.fullmatch(pattern, value) is not None


# By type: whether a value is right, and what one looks like.
VALUES: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "A": (_is_address(4), "192.0.2.1"),
    "AAAA": (_is_address(6), "2001:db8::1"),
    "CNAME": (_matches(HOST_NAME), "www.example.com"),
    "MX": (_matches(rf"{NUMBER} ({HOST_NAME}|\.)"), "10 mail.example.com"),
    "SRV": (_matches(rf"{NUMBER} {NUMBER} {NUMBER} ({HOST_NAME}|\.)"), "10 5 443 sip.example.com"),
    "TXT": (_matches(rf"[ !#-\[\]-~]{{1,{MAXIMUM_TEXT}}}"), "v=spf1 -all, without quotes and backslashes"),
}


def check_dns_records(settings: Settings, specs: Mapping[str, ServiceSpec]) -> Iterator[Violation]:
    """Yield records with values that DNS refuses, records that something else needs, and incomplete ones for mail."""
    records = settings.environment.dns.records
    for label, record in records.items():
        location: Location = ("environment", "dns", "records", label)
        is_valid, example = VALUES[record.type]
        for value in record.values:
            if not is_valid(value):
                message = f"{value!r} is not a value of a record of type {record.type}. One looks like {example}."
                yield Violation((*location, "values"), Rule.INVALID_DNS_RECORD, message)
        conflict = _conflict(label, record, settings, specs)
        if conflict:
            yield Violation(location, Rule.CONFLICTING_DNS_RECORD, conflict)
        missing = _missing_mail_records(record, records)
        if missing:
            yield Violation(location, Rule.INCOMPLETE_MAIL_RECORDS, missing)


def _conflict(label: str, record: DnsRecord, settings: Settings, specs: Mapping[str, ServiceSpec]) -> str:
    """Return why a record cannot exist beside the others; empty if it can."""
    dns = settings.environment.dns
    if record.type == "CNAME" and len(record.values) > 1:
        return "is a CNAME with several values, but a host can be an alias of only one other."
    if record.type == "CNAME" and record.host == DOMAIN_ITSELF:
        return "is a CNAME of the domain itself, which DNS does not allow beside the zone's own records."
    delegated = record.host.rsplit(".", 1)[-1]
    if delegated in dns.delegations:
        return f"is below {delegated}, which is delegated: resolvers ask its own zone, and never see this record."
    for other_label, other in dns.records.items():
        if other_label == label or other.host != record.host:
            continue
        if other.type != record.type and "CNAME" in {record.type, other.type}:
            return f"has the host of {other_label}, but no other record can exist beside a CNAME."
        if other.type == record.type:
            return f"has the host and type of {other_label}. Write all values into one record."
    for name, spec in specs.items():
        if name in settings.services and _is_needed(record, spec):
            return f"has a host of the service {name}, which has a record of its own there."
    return ""


def _is_needed(record: DnsRecord, spec: ServiceSpec) -> bool:
    """Tell whether a service has a record of the same host and type, or of a host that would become an alias."""
    host = "" if record.host == DOMAIN_ITSELF else record.host
    addresses = set(spec.hosts())
    mail = (
        {spec.host, f"_dmarc.{spec.host}".rstrip("."), f"bounce.{spec.host}".rstrip(".")} if spec.sends_mail else set()
    )
    if record.type in {"A", "AAAA"}:
        return host in addresses
    if record.type == "CNAME":
        return host in addresses | mail
    return record.type in {"MX", "TXT"} and host in mail


def _missing_mail_records(record: DnsRecord, records: Mapping[str, DnsRecord]) -> str:
    """Return what the domain's mail needs besides this record; empty if there is nothing."""
    if record.host != DOMAIN_ITSELF or record.type not in {"MX", "TXT"}:
        return ""
    at_domain = {other.type: other.values for other in records.values() if other.host == DOMAIN_ITSELF}
    senders = [value for value in at_domain.get("TXT", []) if value.startswith("v=spf1 ")]
    if len(senders) != 1 and ("TXT" in at_domain or "MX" in at_domain):
        return (
            "needs exactly one SPF value in the TXT record of the domain itself (host @), which says who may send mail "
            "as the domain: v=spf1 include:... -all, or v=spf1 -all for nobody."
        )
    if record.type == "MX" and not any(other.host == "_dmarc" for other in records.values()):
        return (
            "needs a record of the host _dmarc, which says what happens to mail that only claims to be from the "
            "domain: v=DMARC1; p=none; rua=mailto:... to begin with, later p=reject."
        )
    return ""
