"""Route 53: records that contradict others, or whose values are none."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from ministack.services import route53

from sandbox.emulator.rules.hooks import Refusal, rule

GUIDE = "https://docs.aws.amazon.com/Route53/latest/DeveloperGuide"


def requested(body: bytes) -> Iterator[tuple[str, Any]]:
    """Yield the action and the record of each change in a request."""
    root = route53._parse_body(body)
    batch = route53._find(root, "ChangeBatch") if root is not None else None
    changes = route53._find(batch, "Changes") if batch is not None else None
    for change in route53._findall(changes, "Change") if changes is not None else ():
        element = route53._find(change, "ResourceRecordSet")
        if element is not None:
            yield route53._text(change, "Action"), route53._parse_record_set(element)


def created(body: bytes) -> list[Any]:
    """Return the records that a request creates or replaces."""
    return [record for action, record in requested(body) if action in {"CREATE", "UPSERT"}]


def full(name: str) -> str:
    """Return a name with a dot at its end, in lower case."""
    return f"{name.rstrip('.').lower()}."


def values(record: Any) -> list[str]:
    """Return the values of a record; an alias has none."""
    return [
        str(entry.get("Value", "")) if isinstance(entry, dict) else str(entry)
        for entry in record.get("ResourceRecords") or []
    ]


@rule(route53, "_change_resource_record_sets", source=f"{GUIDE}/ResourceRecordTypes.html")
def cname_alone(zone_id: str, body: bytes) -> Refusal | None:
    """A CNAME is not at the top of a zone, and no other record has its name."""
    zone = route53._zones.get(zone_id) or {}
    deleted = [route53._rs_key(record) for action, record in requested(body) if action == "DELETE"]
    existing = [record for record in route53._records.get(zone_id) or [] if route53._rs_key(record) not in deleted]
    for record in created(body):
        name, kind = full(record["Name"]), record["Type"]
        if kind == "CNAME" and name == full(zone.get("name", "")):
            message = f"RRSet of type CNAME with DNS name {name} is not permitted at apex in zone {name}"
            return Refusal("InvalidChangeBatch", message)
        others = {other["Type"] for other in [*existing, *created(body)] if full(other["Name"]) == name} - {kind}
        if others and "CNAME" in {kind, *others}:
            message = f"RRSet of type CNAME with DNS name {name} is not permitted as it conflicts with other records"
            return Refusal("InvalidChangeBatch", message)
    return None


@rule(route53, "_change_resource_record_sets", source=f"{GUIDE}/DomainNameFormat.html")
def record_in_zone(zone_id: str, body: bytes) -> Refusal | None:
    """A record belongs to the domain of its zone."""
    domain = full((route53._zones.get(zone_id) or {}).get("name", ""))
    for record in created(body):
        name = full(record["Name"])
        if name != domain and not name.endswith(f".{domain}"):
            return Refusal("InvalidChangeBatch", f"RRSet with DNS name {name} is not permitted in zone {domain}")
    return None


@rule(route53, "_change_resource_record_sets", source=f"{GUIDE}/ResourceRecordTypes.html")
def record_values(_zone_id: str, body: bytes) -> Refusal | None:
    """The values of A and AAAA records are addresses, and those of TXT records are in quotes."""
    for record in created(body):
        for value in values(record):
            if not is_valid(record["Type"], value):
                message = f"Invalid Resource Record: '{value}' is not a valid value of type {record['Type']}"
                return Refusal("InvalidChangeBatch", message)
    return None


def is_valid(kind: str, value: str) -> bool:
    """Tell whether a value fits the type of its record."""
    if kind in {"A", "AAAA"}:
        try:
            return ipaddress.ip_address(value).version == (4 if kind == "A" else 6)
        except ValueError:
            return False
    return kind not in {"TXT", "SPF"} or (value.startswith('"') and value.endswith('"'))
