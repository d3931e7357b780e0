"""SES: mail identities."""

import json
import re
from typing import Any

from ministack.core.responses import json_response
from ministack.services import ses_v2

from sandbox.emulator.patches.hooks import Handler, gap, wrap

IDENTITY_ATTRIBUTE = re.compile(r"/identities/([^/]+)/(mail-from|feedback|configuration-set|dkim/signing|dkim)")


def put_attribute(identity: Any, attribute: str, request: Any) -> None:
    """Store what a PUT request sets; `dkim/signing` is accepted without any effect."""
    if attribute == "mail-from":
        identity["MailFromAttributes"] = {
            "MailFromDomain": request.get("MailFromDomain", ""),
            "MailFromDomainStatus": "SUCCESS",
            "BehaviorOnMxFailure": request.get("BehaviorOnMxFailure") or "USE_DEFAULT_VALUE",
        }
    elif attribute == "feedback":
        identity["FeedbackForwardingStatus"] = request.get("EmailForwardingEnabled", False)
    elif attribute == "configuration-set":
        identity["ConfigurationSetName"] = request.get("ConfigurationSetName")
    elif attribute == "dkim":
        identity["DkimAttributes"]["SigningEnabled"] = request.get("SigningEnabled", False)


def store_creation_settings(identity: Any, request: Any) -> None:
    """Store what CreateEmailIdentity sets."""
    identity.update(FeedbackForwardingStatus=True, ConfigurationSetName=request.get("ConfigurationSetName"))
    length = (request.get("DkimSigningAttributes") or {}).get("NextSigningKeyLength") or "RSA_2048_BIT"
    if identity["DkimAttributes"]["Tokens"]:
        identity["DkimAttributes"].update(
            SigningEnabled=True, Status="SUCCESS", NextSigningKeyLength=length, CurrentSigningKeyLength=length
        )


@gap
def ses_keeps_identity_attributes() -> None:
    """An identity keeps its MAIL FROM domain, feedback forwarding, configuration set and DKIM settings."""

    async def handle(original: Handler, method: str, path: str, headers: Any, body: Any, query: Any) -> Any:
        resource = re.sub("^/v2/email", "", path.rstrip("/"))
        request = json.loads(body) if body else {}
        match = IDENTITY_ATTRIBUTE.fullmatch(resource)
        if match and method == "PUT":
            identity = ses_v2._identities.get(match[1])
            if identity is None:
                return ses_v2._json_err("NotFoundException", f"Identity {match[1]} not found", 404)
            put_attribute(identity, match[2], request)
            return json_response({})
        response = await original(method, path, headers, body, query)
        is_creation = resource == "/identities" and method == "POST"
        identity = ses_v2._identities.get(request.get("EmailIdentity")) if is_creation else None
        if identity is not None:
            store_creation_settings(identity, request)
        return response

    wrap(ses_v2, "handle_request", handle)
