"""KMS: key policies that lock their owner out, and waiting periods."""

import json
from typing import Any

from ministack.services import kms

from sandbox.emulator.rules import policies
from sandbox.emulator.rules.hooks import Refusal, rule

API = "https://docs.aws.amazon.com/kms/latest/APIReference"
POLICY_ACTIONS = frozenset({"*", "kms:*", "kms:Put*", "kms:PutKeyPolicy"})
SHORTEST_WINDOW_DAYS, LONGEST_WINDOW_DAYS = 7, 30


@rule(kms, "_create_key", "_put_key_policy", source=f"{API}/API_PutKeyPolicy.html")
def lockout(data: Any) -> Refusal | None:
    """A key's policy lets somebody change that policy later."""
    if not data.get("Policy") or data.get("BypassPolicyLockoutSafetyCheck"):
        return None
    try:
        statements = policies.many(json.loads(data["Policy"])["Statement"])
    except (ValueError, KeyError, TypeError):
        return Refusal("MalformedPolicyDocumentException", "The policy is not valid JSON")
    if any(lets_change_policy(statement) for statement in statements):
        return None
    message = "The new key policy will not allow you to update the key policy in the future."
    return Refusal("MalformedPolicyDocumentException", message)


def lets_change_policy(statement: Any) -> bool:
    """Tell whether a statement lets a principal of IAM change the policy."""
    principal = statement.get("Principal")
    is_principal = principal == "*" or (isinstance(principal, dict) and "AWS" in principal)
    actions = set(policies.many(statement.get("Action", [])))
    return statement.get("Effect") == "Allow" and is_principal and bool(POLICY_ACTIONS & actions)


@rule(kms, "_create_key", "_put_key_policy", source=f"{API}/API_PutKeyPolicy.html")
def key_policy(data: Any) -> Refusal | None:
    """A key's policy follows the grammar, and names only principals that exist."""
    message = policies.problem(data["Policy"], has_principal=True) if data.get("Policy") else ""
    return Refusal("MalformedPolicyDocumentException", message) if message else None


@rule(kms, "_schedule_key_deletion", source=f"{API}/API_ScheduleKeyDeletion.html")
def deletion_window(data: Any) -> Refusal | None:
    """A key is deleted after 7 to 30 days."""
    days = data.get("PendingWindowInDays", LONGEST_WINDOW_DAYS)
    if SHORTEST_WINDOW_DAYS <= int(days) <= LONGEST_WINDOW_DAYS:
        return None
    return Refusal("ValidationException", f"Value '{days}' at 'pendingWindowInDays' must be between 7 and 30")
