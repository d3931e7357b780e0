"""What a change exposes or allows that was not exposed or allowed before: IAM and network. Pure."""

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from release.changes import SECRET_MARKER, UNKNOWN
from release.stack_state import type_of

POLICY_PROPERTIES = ("policy", "assumeRolePolicy", "policyDocument")
PUBLIC_SETTINGS = {"publiclyAccessible": True, "mapPublicIpOnLaunch": True, "internal": False}  # the value that exposes
PUBLIC_ACCESS_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
ACCESS_LISTS = ("vpcSecurityGroupIds", "securityGroups", "managedPolicyArns")  # a longer list allows more
IDENTITY_PROPERTIES = ("iamInstanceProfile", "role", "roles", "permissionsBoundary")
PEER_PROPERTIES = ("cidrIpv4", "cidrIpv6", "referencedSecurityGroupId", "prefixListId")
INGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS_RULE = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
EVERY_PROTOCOL = "-1"  # AWS then ignores the ports
ROUTE_TYPES = frozenset(
    {
        "aws:ec2/route:Route",
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        "aws:ec2/routeTable:RouteTable",
    }
)
LISTENER = "aws:lb/listener:Listener"
# Creating one of these can expose something that already exists.
EXPOSING_WHEN_CREATED = frozenset(
    {
        "aws:iam/role:Role",
        "aws:iam/rolePolicy:RolePolicy",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:cloudwatch/logResourcePolicy:LogResourcePolicy",
        INGRESS_RULE,
        EGRESS_RULE,
        LISTENER,
        *ROUTE_TYPES,
    }
)
# Deleting one of these exposes something that stays.
EXPOSING_WHEN_DELETED = frozenset(
    {
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    }
)


class Kind(StrEnum):
    """The ways in which a change can widen access."""

    RESTRICTION_DELETED = "restriction-deleted"
    POLICY_REMOVED = "policy-removed"
    POLICY_UNKNOWN = "policy-unknown"
    POLICY_GRANT = "policy-grant"
    POLICY_EXCEPTION = "policy-exception"
    POLICY_DENY_REMOVED = "policy-deny-removed"
    MANAGED_POLICY = "managed-policy"
    NETWORK_RULE = "network-rule"
    INLINE_RULE = "inline-rule"
    ROUTE = "route"
    LISTENER = "listener"
    PUBLIC = "public"
    PUBLIC_ACCESS_BLOCK = "public-access-block"
    METADATA_TOKENS = "metadata-tokens"
    PUBLIC_ADDRESS = "public-address"
    OBJECT_OWNERSHIP = "object-ownership"
    ACCESS_LIST = "access-list"
    IDENTITY = "identity"


@dataclass(frozen=True)
class Widening:
    """One thing that a change exposes or allows."""

    kind: Kind
    message: str


class Grant(NamedTuple):
    """One thing that a policy statement allows. condition: JSON text, `{}` for none."""

    principal: str
    action: str
    resource: str
    condition: str


Inputs = Mapping[str, Any]


def widenings(urn: str, old: Inputs | None, new: Inputs | None) -> Iterator[Widening]:
    """Yield what a change exposes or allows.

    old, new: the resource's inputs; None if it does not exist before or after.
    """
    resource_type = type_of(urn)
    if new is None:
        if resource_type in EXPOSING_WHEN_DELETED:
            yield Widening(Kind.RESTRICTION_DELETED, "would be deleted, which lifts a restriction of access")
        return
    if old is None:
        if resource_type not in EXPOSING_WHEN_CREATED:
            return
        old = {}
    for name in POLICY_PROPERTIES:
        if new.get(name) != old.get(name):
            yield from policy_widenings(old.get(name), new.get(name))
    if new.get("policyArn") != old.get("policyArn"):
        yield Widening(Kind.MANAGED_POLICY, f"attaches the managed policy {new.get('policyArn')}")
    yield from network_widenings(resource_type, old, new)
    yield from setting_widenings(old, new)
    yield from identity_widenings(old, new)


# --- network


def network_widenings(resource_type: str, old: Inputs, new: Inputs) -> Iterator[Widening]:
    """Yield new connections, routes and listeners."""
    if resource_type in {INGRESS_RULE, EGRESS_RULE} and not is_covered_connection(old, new):
        direction = "from" if resource_type == INGRESS_RULE else "to"
        before = f" (before: {peer(old)} on {ports(old)})" if old else ""
        yield Widening(Kind.NETWORK_RULE, f"allows connections {direction} {peer(new)} on {ports(new)}{before}")
    if resource_type in ROUTE_TYPES and without_tags(old) != without_tags(new):
        yield Widening(Kind.ROUTE, "changes where network traffic is routed")
    if resource_type == LISTENER and (old.get("port"), old.get("protocol")) != (new.get("port"), new.get("protocol")):
        yield Widening(Kind.LISTENER, f"listens on {new.get('protocol')} {new.get('port'):g}")
    for name in ("ingress", "egress"):
        existing = [json.dumps(rule, sort_keys=True) for rule in old.get(name) or []]
        for rule in new.get(name) or []:
            text = json.dumps(rule, sort_keys=True)
            if text not in existing:
                yield Widening(Kind.INLINE_RULE, f"adds the {name} rule {text}")


def without_tags(inputs: Inputs) -> dict[str, Any]:
    """Return inputs without tags and without the bridge's own bookkeeping."""
    return {
        name: value for name, value in inputs.items() if name not in {"tags", "tagsAll"} and not name.startswith("__")
    }


def peer(rule: Inputs) -> str:
    """Return the other side of a security group rule."""
    return readable(next((str(rule[name]) for name in PEER_PROPERTIES if rule.get(name)), "nobody"))


def ports(rule: Inputs) -> str:
    """Return the protocol and ports of a security group rule."""
    if str(rule.get("ipProtocol")) == EVERY_PROTOCOL:
        return "every protocol and port"
    if rule.get("fromPort") is None:
        return f"protocol {rule.get('ipProtocol')}"
    last = f"-{rule['toPort']:g}" if rule.get("toPort") != rule["fromPort"] else ""
    return f"{rule.get('ipProtocol')} {rule['fromPort']:g}{last}"


def is_covered_connection(old: Inputs, new: Inputs) -> bool:
    """Tell whether everything that a new rule allows was allowed by the old one."""
    if not old or UNKNOWN in json.dumps(new) or old.get("securityGroupId") != new.get("securityGroupId"):
        return False
    if str(old.get("ipProtocol")) != EVERY_PROTOCOL:
        if old.get("ipProtocol") != new.get("ipProtocol"):
            return False
        if old.get("fromPort", 0) > new.get("fromPort", -1) or new.get("toPort", 1e9) > old.get("toPort", -1):
            return False
    ranges_covered = all(is_within(new.get(name), old.get(name)) for name in ("cidrIpv4", "cidrIpv6"))
    peers_covered = all(
        new.get(name) in {None, old.get(name)} for name in ("referencedSecurityGroupId", "prefixListId")
    )
    return ranges_covered and peers_covered


def is_within(inner: str | None, outer: str | None) -> bool:
    """Tell whether an IP range is part of another one. No range is part of any range."""
    if inner is None or inner == outer:
        return True
    if outer is None:
        return False
    # Both ranges come from the same property, so they are of the same IP version.
    return ipaddress.ip_network(inner).subnet_of(ipaddress.ip_network(outer))  # type: ignore[arg-type] # see above


# --- settings and identities


def setting_widenings(old: Inputs, new: Inputs) -> Iterator[Widening]:
    """Yield settings that make a resource public or easier to abuse, whatever its type."""
    for name, public in PUBLIC_SETTINGS.items():
        default = public if name == "internal" else None  # a load balancer is public unless it says otherwise
        if name in new and new[name] is public and old.get(name, default) is not public:
            yield Widening(Kind.PUBLIC, f"becomes public ({name} changes to {str(public).lower()})")
    for name in PUBLIC_ACCESS_BLOCKS:
        if old.get(name) is True and new.get(name) is not True:
            yield Widening(Kind.PUBLIC_ACCESS_BLOCK, f"no longer blocks public access ({name} is not true)")
    tokens = [(inputs.get("metadataOptions") or {}).get("httpTokens") for inputs in (old, new)]
    if tokens[0] == "required" and tokens[1] != "required":
        message = (
            "no longer requires session tokens for instance metadata, so a forged request can obtain its credentials"
        )
        yield Widening(Kind.METADATA_TOKENS, f"{message} (metadataOptions.httpTokens)")
    interfaces = [inputs.get("networkInterfaces") or [] for inputs in (old, new)]
    if '"associatePublicIpAddress": "true"' in readable(interfaces[1]) and interfaces[0] != interfaces[1]:
        yield Widening(Kind.PUBLIC_ADDRESS, "gives its servers public IP addresses (networkInterfaces)")
    owners = [(inputs.get("rule") or {}).get("objectOwnership") for inputs in (old, new)]
    if owners[0] == "BucketOwnerEnforced" and owners[1] != owners[0]:
        yield Widening(Kind.OBJECT_OWNERSHIP, f"allows access by object ACLs again (objectOwnership is {owners[1]})")


def identity_widenings(old: Inputs, new: Inputs) -> Iterator[Widening]:
    """Yield new memberships, and identities or permission boundaries that change."""
    for name in ACCESS_LISTS:
        added = [readable(item) for item in as_list(new.get(name)) if item not in as_list(old.get(name))]
        if added and old:
            yield Widening(Kind.ACCESS_LIST, f"adds {', '.join(added)} to {name}")
    for name in IDENTITY_PROPERTIES:
        if old.get(name) is not None and old.get(name) != new.get(name):
            change = f"{readable(old.get(name))} -> {readable(new.get(name))}"
            yield Widening(Kind.IDENTITY, f"changes {name}, and with it what it may do: {change}")


def readable(value: Any) -> str:
    """Return a value for a message."""
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text.replace(UNKNOWN, "(known after the update)")


# --- IAM policies


def policy_widenings(old: Any, new: Any) -> Iterator[Widening]:
    """Yield what a new policy allows and the old one did not, and what it no longer denies."""
    if new is None:
        yield Widening(Kind.POLICY_REMOVED, "loses its policy, so that AWS's default applies")
        return
    before, after = statements(old), statements(new)
    if before is None or after is None:
        message = "gets a policy that is secret, malformed or only known after the update, so nobody can review it here"
        yield Widening(Kind.POLICY_UNKNOWN, message)
        return
    granted = [grant for statement in before for grant in grants(statement)]
    for statement in after:
        for grant in grants(statement):
            if not any(covers(existing, grant) for existing in granted):
                principal = f" to {grant.principal}" if grant.principal != "-" else ""
                yield Widening(Kind.POLICY_GRANT, f"allows {grant.action} on {grant.resource}{principal}")
        negations = {"NotAction", "NotResource", "NotPrincipal"} & set(statement)
        if statement.get("Effect") == "Allow" and negations and statement not in before:
            text = json.dumps(statement, sort_keys=True)
            yield Widening(Kind.POLICY_EXCEPTION, f"allows everything except what a statement names: {text}")
    for statement in before:
        if statement.get("Effect") == "Deny" and statement not in after:
            yield Widening(Kind.POLICY_DENY_REMOVED, f"no longer denies {json.dumps(statement, sort_keys=True)}")


def statements(policy: Any) -> list[dict[str, Any]] | None:
    """Return a policy's statements; None if they cannot be read. A policy is JSON text or an object."""
    try:
        document = json.loads(policy) if isinstance(policy, str) and policy else policy or {}
    except ValueError:
        return None
    if not isinstance(document, dict) or SECRET_MARKER in document or UNKNOWN in json.dumps(document):
        return None
    content = document.get("Statement") or []
    found = [content] if isinstance(content, dict) else content
    is_readable = isinstance(found, list) and all(isinstance(statement, dict) for statement in found)
    return found if is_readable else None


def grants(statement: Mapping[str, Any]) -> Iterator[Grant]:
    """Yield each combination of principal, action and resource that a statement allows."""
    if statement.get("Effect") != "Allow":
        return
    condition = json.dumps(statement.get("Condition", {}), sort_keys=True)
    for principal in principals(statement.get("Principal", "-")):
        for action in as_list(statement.get("Action", [])):
            for resource in as_list(statement.get("Resource", "-")):
                yield Grant(principal, str(action), str(resource), condition)


def principals(value: Any) -> list[str]:
    """Return a statement's principals, such as `Service:ec2.amazonaws.com`."""
    if isinstance(value, dict):
        return [f"{kind}:{name}" for kind, names in value.items() for name in as_list(names)]
    return [str(value)]


def covers(existing: Grant, grant: Grant) -> bool:
    """Tell whether an existing grant includes another one.

    Wildcards include what they match, actions ignore case, and conditions must be equal or absent.
    """
    pairs = (
        (grant.principal, existing.principal),
        (grant.action.lower(), existing.action.lower()),
        (grant.resource, existing.resource),
    )
    same_condition = existing.condition in {grant.condition, "{}"}
    return same_condition and all(matches(text, pattern) for text, pattern in pairs)


def matches(text: str, pattern: str) -> bool:
    """Tell whether an IAM pattern matches everything that a text, itself a pattern, matches.

    `*` stands for any text, `?` for one character.
    """
    wildcards = {"*": ".*", "?": "[^*]"}
    expression = "".join(wildcards.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def as_list(value: Any) -> list[Any]:
    """Return a value that may be one or many as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
