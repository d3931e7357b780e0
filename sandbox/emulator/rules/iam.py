"""IAM: names, sessions and trust policies of roles, and policy documents."""

import json
import re
from typing import Any

from ministack.services import iam

from sandbox.emulator.rules import policies
from sandbox.emulator.rules.hooks import Refusal, rule

API = "https://docs.aws.amazon.com/IAM/latest/APIReference"
ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}")
SHORTEST_SESSION, LONGEST_SESSION = 3600, 43200  # seconds
AWS_POLICIES = "arn:aws:iam::aws:policy/"
LARGEST_MANAGED_POLICY = 6144  # characters without white space
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
    """A trust policy follows the grammar, names no resources, and only principals that exist."""
    text = iam._p(parameters, "AssumeRolePolicyDocument") or iam._p(parameters, "PolicyDocument")
    message = policies.problem(text, has_principal=True, has_resource=False)
    if not message and any("Resource" in statement for statement in policies.many(json.loads(text)["Statement"])):
        message = "Has prohibited field Resource"
    return Refusal("MalformedPolicyDocument", message) if message else None


@rule(
    iam,
    "_put_role_policy",
    "_create_policy",
    "_create_policy_version",
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html",
)
def identity_policy(parameters: Any) -> Refusal | None:
    """A policy of a role follows the grammar, and names no principals."""
    message = policies.problem(iam._p(parameters, "PolicyDocument") or "", has_principal=False)
    return Refusal("MalformedPolicyDocument", message) if message else None


@rule(
    iam,
    "_put_role_policy",
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html",
)
def inline_policy_size(parameters: Any) -> Refusal | None:
    """All inline policies of a role have at most 10,240 characters together, without white space."""
    if policies.size(iam._p(parameters, "PolicyDocument") or "") > LARGEST_INLINE_POLICIES:
        role = iam._p(parameters, "RoleName")
        return Refusal("LimitExceeded", f"Maximum policy size of 10240 bytes exceeded for role {role}")
    return None


@rule(
    iam,
    "_create_policy",
    "_create_policy_version",
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html",
)
def managed_policy_size(parameters: Any) -> Refusal | None:
    """A managed policy has at most 6,144 characters without white space."""
    if policies.size(iam._p(parameters, "PolicyDocument") or "") > LARGEST_MANAGED_POLICY:
        return Refusal("LimitExceeded", "Cannot exceed quota for PolicySize: 6144")
    return None


@rule(iam, "_create_role", "_update_role", source=f"{API}/API_CreateRole.html")
def session_duration(parameters: Any) -> Refusal | None:
    """A session of a role lasts one to twelve hours."""
    seconds = iam._p(parameters, "MaxSessionDuration")
    if not seconds or SHORTEST_SESSION <= int(seconds) <= LONGEST_SESSION:
        return None
    message = f"Value '{seconds}' at 'maxSessionDuration' failed to satisfy constraint: between 3600 and 43200"
    return Refusal("ValidationError", message)


@rule(iam, "_attach_role_policy", source=f"{API}/API_AttachRolePolicy.html")
def aws_managed_policy(parameters: Any) -> Refusal | None:
    """A policy of AWS that somebody attaches exists."""
    arn = iam._p(parameters, "PolicyArn")
    if arn.startswith(AWS_POLICIES) and arn not in iam._aws_managed_policies and not is_known(arn):
        return Refusal("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.")
    return None


def is_known(arn: str) -> bool:
    """Tell whether a policy of AWS is one that ministack does not list but that programs use."""
    return arn.removeprefix(AWS_POLICIES).startswith(("service-role/", "aws-service-role/", "job-function/", "Amazon"))
