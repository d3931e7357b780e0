"""IAM: names and trust policies of roles."""

import json
import re
from typing import Any

from ministack.services import iam

from sandbox.emulator.rules.hooks import Refusal, rule

API = "https://docs.aws.amazon.com/IAM/latest/APIReference"
ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}")
LARGEST_INLINE_POLICIES = 10240  # characters without white space, of all inline policies of a role together


@rule(iam, "_create_role", source=f"{API}/API_CreateRole.html")
def role_name(parameters: Any) -> Refusal | None:
    """The name of a role has at most 64 characters."""
    name = iam._p(parameters, "RoleName") or ""
    if ROLE_NAME.fullmatch(name):
        return None
    message = f"1 validation error detected: Value '{name}' at 'roleName' failed to satisfy constraint: Member must"
    return Refusal("ValidationError", f"{message} have length less than or equal to 64")


@rule(
    iam,
    "_create_role",
    "_update_assume_role_policy",
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html",
)
def trust_policy(parameters: Any) -> Refusal | None:
    """A trust policy is valid JSON and names no resources."""
    text = iam._p(parameters, "AssumeRolePolicyDocument") or iam._p(parameters, "PolicyDocument")
    try:
        statements = json.loads(text)["Statement"]
    except (ValueError, KeyError, TypeError):
        return Refusal("MalformedPolicyDocument", "This policy contains invalid Json")
    if any("Resource" in statement for statement in (statements if isinstance(statements, list) else [statements])):
        return Refusal("MalformedPolicyDocument", "Has prohibited field Resource")
    return None


@rule(
    iam,
    "_put_role_policy",
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html",
)
def inline_policy(parameters: Any) -> Refusal | None:
    """An inline policy is valid JSON, and all of a role have at most 10,240 characters without white space."""
    text = iam._p(parameters, "PolicyDocument") or ""
    try:
        json.loads(text)
    except ValueError:
        return Refusal("MalformedPolicyDocument", "Syntax errors in policy.")
    if len(re.sub(r"\s", "", text)) > LARGEST_INLINE_POLICIES:
        role = iam._p(parameters, "RoleName")
        return Refusal("LimitExceeded", f"Maximum policy size of 10240 bytes exceeded for role {role}")
    return None
