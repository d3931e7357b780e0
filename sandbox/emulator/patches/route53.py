"""Route 53: query logging, DNSSEC, and tags."""

import re
from typing import Any

from ministack.core.responses import AccountScopedDict, new_uuid
from ministack.services import route53

from sandbox.emulator.patches.hooks import Handler, gap, persist, wrap
from sandbox.emulator.patches.query_protocol import decode, to_xml

VERSION = "2013-04-01"
NAMESPACE = f"https://route53.amazonaws.com/doc/{VERSION}/"
URL = f"https://route53.amazonaws.com/{VERSION}"


def xml_response(root: str, content: str, status: int = 200, location: str = "") -> Any:
    """Return a response of the REST-XML protocol. location: the URL of the resource that was created."""
    headers = {"Content-Type": "text/xml"} | ({"Location": location} if location else {})
    return status, headers, f'<?xml version="1.0"?><{root} xmlns="{NAMESPACE}">{content}</{root}>'.encode()


def element(body: str, name: str) -> str:
    """Return the text of an element, or an empty string."""
    match = re.search(rf"<{name}>([^<]+)<", body)
    return match[1] if match else ""


def answer_query_logging(logs: Any, method: str, path: str, body: Any) -> Any:
    """Answer a request about query logging configurations. logs: maps their ids to zone and log group."""

    def config_xml(identity: str) -> str:
        zone, group = logs[identity]
        config = {"Id": identity, "HostedZoneId": zone, "CloudWatchLogsLogGroupArn": group}
        return to_xml({"QueryLoggingConfig": config})

    identity = path.removeprefix("/queryloggingconfig").removeprefix("/")
    if not identity and method == "POST":
        request, identity = decode(body), new_uuid()
        logs[identity] = [element(request, "HostedZoneId"), element(request, "CloudWatchLogsLogGroupArn")]
        location = f"{URL}/queryloggingconfig/{identity}"
        return xml_response("CreateQueryLoggingConfigResponse", config_xml(identity), 201, location)
    if not identity:
        configs = "".join(config_xml(identity) for identity in logs)
        return xml_response("ListQueryLoggingConfigsResponse", f"<QueryLoggingConfigs>{configs}</QueryLoggingConfigs>")
    if identity not in logs:
        return route53._error_response("NoSuchQueryLoggingConfig", "no such configuration", 404)
    if method == "DELETE":
        logs.pop(identity)
        return xml_response("DeleteQueryLoggingConfigResponse", "")
    return xml_response("GetQueryLoggingConfigResponse", config_xml(identity))


@gap
def route53_supports_query_logging_and_dnssec_status() -> None:
    """A zone has query logging configurations and a DNSSEC status. The provider reads both before it deletes a zone."""
    logs = AccountScopedDict()

    async def handle(original: Handler, method: str, path: str, headers: Any, body: Any, query: Any) -> Any:
        resource = re.sub(f"^/{VERSION}", "", path)
        if re.fullmatch(r"/hostedzone/[^/]+/dnssec", resource):
            unsigned = to_xml({"Status": {"ServeSignature": "NOT_SIGNING"}})
            return xml_response("GetDNSSECResponse", f"{unsigned}<KeySigningKeys/>")
        if re.fullmatch(r"/queryloggingconfig(/[^/]+)?", resource):
            return answer_query_logging(logs, method, resource, body)
        return await original(method, path, headers, body, query)

    persist(route53, "query_logging_configs", logs)
    wrap(route53, "handle_request", handle)


@gap
def route53_saves_the_tags_of_every_account() -> None:
    """The tags of zones survive a restart for every account, not only for the account of the last request."""
    persist(route53, "tags_of_every_account", route53._tags)
