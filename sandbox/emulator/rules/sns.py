"""SNS: subscriptions."""

import re
from typing import Any

from ministack.services import sns

from sandbox.emulator.rules.hooks import Refusal, rule

API = "https://docs.aws.amazon.com/sns/latest/api"
PROTOCOLS = frozenset({"http", "https", "email", "email-json", "sms", "sqs", "application", "lambda", "firehose"})
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@rule(sns, "_subscribe", source=f"{API}/API_Subscribe.html")
def subscription(parameters: Any) -> Refusal | None:
    """A subscription has a protocol of SNS and an endpoint that fits it."""
    protocol, endpoint = sns._p(parameters, "Protocol"), sns._p(parameters, "Endpoint")
    if protocol not in PROTOCOLS:
        return Refusal("InvalidParameter", f"Invalid parameter: Does not support this protocol string: {protocol}")
    if protocol.startswith("email") and not EMAIL.fullmatch(endpoint):
        return Refusal("InvalidParameter", "Invalid parameter: Email address")
    return None
