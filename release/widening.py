"""What a change opens, of IAM and of the network: pure, on a resource's inputs before and after."""

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from release.deployed import type_of

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # how a preview writes a value that is known after the update
POLICIES = ("policy", "assumeRolePolicy", "policyDocument")
PUBLIC = {"publiclyAccessible": True, "mapPublicIpOnLaunch": True, "internal": False}
CLOSED = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
ATTACHED = ("vpcSecurityGroupIds", "securityGroups", "managedPolicyArns")  # lists of what lets in or allows
IDENTITIES = ("iamInstanceProfile", "role", "roles", "permissionsBoundary")  # as whom it acts, and how far it may
INGRESS_RULE, EGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
ROUTES = frozenset({"aws:ec2/route:Route", "aws:ec2/routeTableAssociation:RouteTableAssociation", "aws:ec2/routeTable:RouteTable"})
LISTENER = "aws:lb/listener:Listener"
# New, these open something that is there already.
OPENS_WHEN_NEW = frozenset(
    {
        "aws:iam/role:Role",
        "aws:iam/rolePolicy:RolePolicy",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:cloudwatch/logResourcePolicy:LogResourcePolicy",
        INGRESS_RULE,
        EGRESS_RULE,
        LISTENER,
        *ROUTES,
    }
)
# Deleted, these open something that stays.
CLOSES = frozenset(
    {
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    }
)


class Grant(NamedTuple):
    """One thing that one policy statement allows. condition: as JSON text, `{}` for none."""

    principal: str
    action: str
    resource: str
    condition: str


def widenings(urn: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Iterable[str]:
    """Yield what a change opens: new actions, principals or resources, addresses, public access. None: it is not there before, or after."""
    kind = type_of(urn)
    if new is None:
        if kind in CLOSES:
            yield "is taken away, and what it closed is open"
        return
    if old is None:
        if kind not in OPENS_WHEN_NEW:
            return
        old = {}
    for name in POLICIES:
        if new.get(name) != old.get(name):
            yield from policy_widenings(old.get(name), new.get(name))
    if new.get("policyArn") != old.get("policyArn"):
        yield f"newly allows all of {new.get('policyArn')}"
    if kind in {INGRESS_RULE, EGRESS_RULE} and not connects_as_before(old, new):
        yield f"newly lets {'in from' if kind == INGRESS_RULE else 'out to'} {peer(new)}, {ports(new)}" + (f" (before: {peer(old)}, {ports(old)})" if old else "")
    if kind in ROUTES and untagged(old) != untagged(new):
        yield "changes the way that traffic takes"
    if kind == LISTENER and (old.get("port"), old.get("protocol")) != (new.get("port"), new.get("protocol")):
        yield f"newly listens on {new.get('protocol')} {new.get('port'):g}"
    yield from opened_settings(old, new)


def untagged(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return inputs without tags, and without what the bridge notes for itself."""
    return {name: value for name, value in inputs.items() if name not in {"tags", "tagsAll"} and not name.startswith("__")}


def opened_settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[str]:
    """Yield settings that a change opens, of whatever type."""
    for name in ("ingress", "egress"):
        before = [json.dumps(rule, sort_keys=True) for rule in old.get(name) or []]
        for rule in new.get(name) or []:
            if json.dumps(rule, sort_keys=True) not in before:
                yield f"newly lets through ({name}): {json.dumps(rule, sort_keys=True)}"
    for name, public in PUBLIC.items():
        if name in new and new[name] is public and old.get(name, public if name == "internal" else None) is not public:
            yield f"becomes public ({name})"
    for name in CLOSED:
        if old.get(name) is True and new.get(name) is not True:
            yield f"is no longer closed to the public ({name})"
    if (old.get("metadataOptions") or {}).get("httpTokens") == "required" and (new.get("metadataOptions") or {}).get("httpTokens") != "required":
        yield "gives its credentials to whoever makes it ask for them (metadataOptions.httpTokens is no longer required)"
    if '"associatePublicIpAddress": "true"' in plain(new.get("networkInterfaces") or []) and new.get("networkInterfaces") != old.get("networkInterfaces"):
        yield "gives its servers public addresses (networkInterfaces)"
    ownership = [(inputs.get("rule") or {}).get("objectOwnership") for inputs in (old, new)]
    if ownership[0] == "BucketOwnerEnforced" and ownership[1] != ownership[0]:
        yield f"lets access lists open single files again (objectOwnership {ownership[1]})"
    yield from attached(old, new)


def attached(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[str]:
    """Yield what newly lets in, allows, or acts."""
    for name in ATTACHED:
        added = [str(item) for item in as_list(new.get(name)) if item not in as_list(old.get(name))]
        if added and old:
            yield f"gets more {name}: {', '.join('one that is known afterwards' if UNKNOWN in item else item for item in added)}"
    for name in IDENTITIES:
        if old.get(name) is not None and old.get(name) != new.get(name):
            yield f"acts as another, or without its bounds ({name}: {plain(old.get(name))} -> {plain(new.get(name))})"


def plain(value: Any) -> str:
    """Return a value for a message."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text.replace(UNKNOWN, "known afterwards")


# --- the network


def peer(rule: Mapping[str, Any]) -> str:
    """Return whom a rule lets through."""
    found = next((str(rule[name]) for name in ("cidrIpv4", "cidrIpv6", "referencedSecurityGroupId", "prefixListId") if rule.get(name)), "nobody")
    return plain(found)


def ports(rule: Mapping[str, Any]) -> str:
    """Return a rule's protocol and ports."""
    if rule.get("fromPort") is None:
        return f"protocol {rule.get('ipProtocol')}"
    last = f"-{rule['toPort']:g}" if rule.get("toPort") != rule["fromPort"] else ""
    return f"{rule.get('ipProtocol')} {rule['fromPort']:g}{last}"


def connects_as_before(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether all that a rule lets through was let through before."""
    if not old or UNKNOWN in json.dumps(new) or old.get("securityGroupId") != new.get("securityGroupId"):
        return False
    everything = str(old.get("ipProtocol")) == "-1"
    if not everything and old.get("ipProtocol") != new.get("ipProtocol"):
        return False
    if not everything and not (old.get("fromPort", 0) <= new.get("fromPort", -1) and new.get("toPort", 1e9) <= old.get("toPort", -1)):
        return False
    return all(is_within(new.get(name), old.get(name)) for name in ("cidrIpv4", "cidrIpv6")) and all(
        new.get(name) in {None, old.get(name)} for name in ("referencedSecurityGroupId", "prefixListId")
    )


def is_within(inner: str | None, outer: str | None) -> bool:
    """Tell whether a range is part of another; none is part of any."""
    if inner is None or inner == outer:
        return True
    return outer is not None and ipaddress.ip_network(inner).subnet_of(ipaddress.ip_network(outer))  # type: ignore[arg-type] # both of one version: the callers compare like with like


# --- IAM


def policy_widenings(old: Any, new: Any) -> Iterable[str]:
    """Yield grants that a policy has and had not, and refusals that it had and has not."""
    if new is None:
        yield "its policy is taken away, so that AWS's own default holds"
        return
    if UNKNOWN in str(old) or UNKNOWN in str(new):
        yield "its policy changes to something that is only known afterwards: look at it with `preview --diff`"
        return
    before, after = statements(old), statements(new)
    had = [grant for statement in before for grant in grants(statement)]
    for statement in after:
        for grant in grants(statement):
            if not any(covers(given, grant) for given in had):
                yield f"newly allows {grant.action} on {grant.resource}" + (f" to {grant.principal}" if grant.principal != "-" else "")
        if statement.get("Effect") == "Allow" and {"NotAction", "NotResource", "NotPrincipal"} & set(statement) and statement not in before:
            yield f"newly allows all but some: {json.dumps(statement, sort_keys=True)}"
    for statement in before:
        if statement.get("Effect") == "Deny" and statement not in after:
            yield f"no longer refuses {json.dumps(statement, sort_keys=True)}"


def statements(policy: Any) -> list[dict[str, Any]]:
    """Return a policy's statements; a policy is JSON text or, in some resources, an object."""
    document = json.loads(policy) if isinstance(policy, str) and policy else policy or {}
    found = document.get("Statement") or []
    return [found] if isinstance(found, dict) else list(found)


def grants(statement: Mapping[str, Any]) -> Iterable[Grant]:
    """Yield what a statement allows, one by one."""
    if statement.get("Effect") != "Allow":
        return
    principals = statement.get("Principal", "-")
    named = [f"{kind}:{value}" for kind, values in principals.items() for value in as_list(values)] if isinstance(principals, dict) else [str(principals)]
    condition = json.dumps(statement.get("Condition", {}), sort_keys=True)
    for principal in named:
        for action in as_list(statement.get("Action", [])):
            for resource in as_list(statement.get("Resource", "-")):
                yield Grant(principal, str(action), str(resource), condition)


def covers(given: Grant, grant: Grant) -> bool:
    """Tell whether a grant is part of one that was given: wildcards cover, actions know no case, conditions must be the same or none."""
    pairs = ((grant.principal, given.principal), (grant.action.lower(), given.action.lower()), (grant.resource, given.resource))
    return all(matches(new, old) for new, old in pairs) and given.condition in {grant.condition, "{}"}


def matches(text: str, pattern: str) -> bool:
    """Tell whether IAM's pattern (`*` any text, `?` one character) takes all that a text, a pattern itself, takes."""
    expression = "".join(".*" if character == "*" else "[^*]" if character == "?" else re.escape(character) for character in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def as_list(value: Any) -> list[Any]:
    """Return one or many as many."""
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]
