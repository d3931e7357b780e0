"""The grammar of policy documents, which IAM, KMS and S3 check before they accept one.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import iam

VERSIONS = frozenset({"2008-10-17", "2012-10-17"})
ELEMENTS = frozenset(
    {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition", "Principal", "NotPrincipal"}
)
PRINCIPALS = frozenset({"Principal", "NotPrincipal"})
ACTION = re.compile(r"\*|[a-zA-Z0-9-]+:[a-zA-Z0-9*?]+")
RESOURCE = re.compile(r"\*|\*?arn:[a-z*-]*:.*|\$\{.*", re.DOTALL)
SID = re.compile(r"[A-Za-z0-9]*")
SERVICE = re.compile(r"[a-z0-9.-]+\.amazon(aws)?\.com(\.cn)?")
LOCAL_ROLE = re.compile(r"arn:aws:iam::(?P<account>\d{12}):role/(?:.*/)?(?P<name>[^/]+)")
OPERATOR = re.compile(
    r"(ForAllValues:|ForAnyValue:)?("
    r"String(Not)?(Equals|EqualsIgnoreCase|Like)|Numeric(Not)?Equals|Numeric(LessThan|GreaterThan)(Equals)?"
    r"|Date(Not)?Equals|Date(LessThan|GreaterThan)(Equals)?|Bool|BinaryEquals|(Not)?IpAddress|Arn(Not)?(Equals|Like)|Null"
    r")(IfExists)?"
)


def many(value: Any) -> list[Any]:
    """Return a value of a policy as a list."""
    return value if isinstance(value, list) else [value]


def size(text: str) -> int:
    """Return the number of characters in a policy document without white space, which is what AWS limits."""
    return len(re.sub(r"\s", "", text))


def problem(text: str, *, has_principal: bool, has_resource: bool = True) -> str:
    """Return what is wrong with a policy document; empty if nothing.

    has_principal: whether its statements name who they are for, as those of a trust policy or of a resource's policy.
    has_resource: whether its statements name what they are about.
    """
    try:
        document = json.loads(text)
    except ValueError:
        return "Syntax errors in policy."
    if not isinstance(document, dict) or "Statement" not in document:
        return "Syntax errors in policy."
    if document.get("Version", "2012-10-17") not in VERSIONS:
        return "The policy must contain a valid version string"
    statements = many(document["Statement"])
    names = [statement["Sid"] for statement in statements if isinstance(statement, dict) and statement.get("Sid")]
    if len(names) != len(set(names)):
        return "Statement IDs (SID) in a single policy must be unique."
    problems = (
        found
        for statement in statements
        for found in statement_problems(statement, has_principal=has_principal, has_resource=has_resource)
    )
    return next(problems, "")


def statement_problems(statement: Any, *, has_principal: bool, has_resource: bool) -> Iterator[str]:
    """Yield what is wrong with a statement."""
    if not isinstance(statement, dict) or set(statement) - ELEMENTS:
        yield "Syntax errors in policy."
        return
    if statement.get("Effect") not in {"Allow", "Deny"}:
        yield f"Invalid effect: {statement.get('Effect')}"
    if bool(PRINCIPALS & set(statement)) is not has_principal:
        yield "Missing required field Principal" if has_principal else "Policy document should not specify a principal."
    actions = [*many(statement.get("Action", [])), *many(statement.get("NotAction", []))]
    if not actions:
        yield "Policy statement must contain actions."
    resources = [*many(statement.get("Resource", [])), *many(statement.get("NotResource", []))]
    if not resources and has_resource:
        yield "Policy statement must contain resources."
    if not all(isinstance(action, str) and ACTION.fullmatch(action) for action in actions):
        yield "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
    if not all(isinstance(resource, str) and RESOURCE.fullmatch(resource) for resource in resources):
        yield f'Resource {resources[0]} must be in ARN format or "*".'
    if not SID.fullmatch(str(statement.get("Sid") or "")):
        yield "Statement IDs (SID) must be alphanumeric."
    if not all(map(OPERATOR.fullmatch, statement.get("Condition") or {})):
        yield "Invalid Condition type"
    yield from principal_problems(statement)


def principal_problems(statement: Any) -> Iterator[str]:
    """Yield principals that do not exist."""
    for element in PRINCIPALS & set(statement):
        principal = statement[element]
        if not isinstance(principal, dict):
            continue
        for service in many(principal.get("Service", [])):
            if not SERVICE.fullmatch(str(service)):
                yield f'Invalid principal in policy: "SERVICE":"{service}"'
        for name in many(principal.get("AWS", [])):
            role = LOCAL_ROLE.fullmatch(str(name))
            if role and role["account"] == get_account_id() and role["name"] not in iam._roles:
                yield f'Invalid principal in policy: "AWS":"{name}"'
