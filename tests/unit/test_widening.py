"""Widening: what a change exposes or allows that was not exposed or allowed before."""

from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from release.changes import SECRET_MARKER, UNKNOWN
from release.widening import Grant, Kind, covers, widenings
from tests.unit.release_builders import MEMBERS, child_urn, policy

ALLOW = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::own/*"}
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
ROLE, ROLE_POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
POLICY_ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
PUBLIC_ACCESS_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
LISTENER = "aws:lb/listener:Listener"
ROUTE = "aws:ec2/route:Route"
HTTPS = {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "securityGroupId": "sg-1"}
PRIVATE_RANGE = {**HTTPS, "cidrIpv4": "10.0.0.0/8"}
CONDITION = {"StringEquals": {"a": "b"}}

# A change that widens access: the type, the inputs before and after, and the kind.
Change = tuple[str, dict[str, Any], dict[str, Any], Kind]
POLICY_CHANGES: dict[str, Change] = {
    "another action": (
        ROLE_POLICY,
        {"policy": policy(ALLOW)},
        {"policy": policy({**ALLOW, "Action": ["s3:GetObject", "s3:PutObject"]})},
        Kind.POLICY_GRANT,
    ),
    "every resource": (
        ROLE_POLICY,
        {"policy": policy(ALLOW)},
        {"policy": policy({**ALLOW, "Resource": "*"})},
        Kind.POLICY_GRANT,
    ),
    "a wider wildcard": (
        ROLE_POLICY,
        {"policy": policy({**ALLOW, "Action": "s3:Get?bject"})},
        {"policy": policy({**ALLOW, "Action": "s3:Get*bject"})},
        Kind.POLICY_GRANT,
    ),
    "a condition less": (
        ROLE_POLICY,
        {"policy": policy({**ALLOW, "Condition": CONDITION})},
        {"policy": policy(ALLOW)},
        Kind.POLICY_GRANT,
    ),
    "every principal": (
        ROLE,
        {"assumeRolePolicy": policy({**ALLOW, "Principal": {"Service": "ec2"}})},
        {"assumeRolePolicy": policy({**ALLOW, "Principal": "*"})},
        Kind.POLICY_GRANT,
    ),
    "an unknown policy": (ROLE_POLICY, {"policy": policy(ALLOW)}, {"policy": UNKNOWN}, Kind.POLICY_UNKNOWN),
    "a secret policy": (ROLE_POLICY, {"policy": policy(ALLOW)}, {"policy": "[secret]"}, Kind.POLICY_UNKNOWN),
    "an encrypted policy": (ROLE_POLICY, {}, {"policy": {SECRET_MARKER: "1"}}, Kind.POLICY_UNKNOWN),
    "a malformed policy": (ROLE_POLICY, {}, {"policy": '{"Statement": ["s3:*"]}'}, Kind.POLICY_UNKNOWN),
    "everything except some actions": (
        ROLE_POLICY,
        {"policy": policy(ALLOW)},
        {"policy": policy({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"})},
        Kind.POLICY_EXCEPTION,
    ),
    "a Deny less": (
        BUCKET_POLICY,
        {"policy": policy(ALLOW, {**ALLOW, "Effect": "Deny"})},
        {"policy": policy(ALLOW)},
        Kind.POLICY_DENY_REMOVED,
    ),
    "no policy": ("aws:ec2/vpcEndpoint:VpcEndpoint", {"policy": policy(ALLOW)}, {}, Kind.POLICY_REMOVED),
    "another managed policy": (
        POLICY_ATTACHMENT,
        {"policyArn": "arn:read"},
        {"policyArn": "arn:admin"},
        Kind.MANAGED_POLICY,
    ),
}
IDENTITY_CHANGES: dict[str, Change] = {
    "no permission boundary": (
        ROLE,
        {"permissionsBoundary": "arn:b", "assumeRolePolicy": "{}"},
        {"assumeRolePolicy": "{}"},
        Kind.IDENTITY,
    ),
    "another instance profile": (
        TEMPLATE,
        {"iamInstanceProfile": {"arn": "a"}},
        {"iamInstanceProfile": {"arn": "b"}},
        Kind.IDENTITY,
    ),
    "one more managed policy": (
        ROLE,
        {"managedPolicyArns": ["arn:a"], "assumeRolePolicy": "{}"},
        {"managedPolicyArns": ["arn:a", "arn:b"], "assumeRolePolicy": "{}"},
        Kind.ACCESS_LIST,
    ),
    "one more security group": (
        TEMPLATE,
        {"vpcSecurityGroupIds": ["sg-1"]},
        {"vpcSecurityGroupIds": ["sg-1", "sg-2"]},
        Kind.ACCESS_LIST,
    ),
}
NETWORK_CHANGES: dict[str, Change] = {
    "connections from everywhere": (INGRESS, PRIVATE_RANGE, {**HTTPS, "cidrIpv4": "0.0.0.0/0"}, Kind.NETWORK_RULE),
    "one more port": (INGRESS, PRIVATE_RANGE, {**PRIVATE_RANGE, "toPort": 444}, Kind.NETWORK_RULE),
    "an unknown security group": (
        INGRESS,
        {**HTTPS, "referencedSecurityGroupId": "sg-2"},
        {**HTTPS, "referencedSecurityGroupId": UNKNOWN},
        Kind.NETWORK_RULE,
    ),
    "connections to everywhere": (
        EGRESS,
        {**HTTPS, "cidrIpv6": "fd00::/8"},
        {**HTTPS, "cidrIpv6": "::/0"},
        Kind.NETWORK_RULE,
    ),
    "every protocol": (EGRESS, PRIVATE_RANGE, {**PRIVATE_RANGE, "ipProtocol": "-1"}, Kind.NETWORK_RULE),
    "an inline rule": (
        "aws:ec2/securityGroup:SecurityGroup",
        {"ingress": []},
        {"ingress": [{"cidrBlocks": ["0.0.0.0/0"]}]},
        Kind.INLINE_RULE,
    ),
    "another gateway": (ROUTE, {"gatewayId": "nat"}, {"gatewayId": "igw"}, Kind.ROUTE),
    "another port": (
        LISTENER,
        {"port": 443, "protocol": "HTTPS"},
        {"port": 80, "protocol": "HTTP"},
        Kind.LISTENER,
    ),
}
SETTING_CHANGES: dict[str, Change] = {
    "instance metadata without tokens": (
        TEMPLATE,
        {"metadataOptions": {"httpTokens": "required"}},
        {"metadataOptions": {"httpTokens": "optional"}},
        Kind.METADATA_TOKENS,
    ),
    "public addresses for servers": (
        TEMPLATE,
        {"networkInterfaces": [{"associatePublicIpAddress": "false"}]},
        {"networkInterfaces": [{"associatePublicIpAddress": "true"}]},
        Kind.PUBLIC_ADDRESS,
    ),
    "a public database": (
        "aws:rds/instance:Instance",
        {"publiclyAccessible": False},
        {"publiclyAccessible": True},
        Kind.PUBLIC,
    ),
    "a public load balancer": (
        "aws:lb/loadBalancer:LoadBalancer",
        {"internal": True},
        {"internal": False},
        Kind.PUBLIC,
    ),
    "no block of public access": (
        PUBLIC_ACCESS_BLOCK,
        {"blockPublicAcls": True},
        {"blockPublicAcls": False},
        Kind.PUBLIC_ACCESS_BLOCK,
    ),
    "object ACLs": (
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        {"rule": {"objectOwnership": "BucketOwnerEnforced"}},
        {"rule": {"objectOwnership": "ObjectWriter"}},
        Kind.OBJECT_OWNERSHIP,
    ),
}
CHANGES = POLICY_CHANGES | IDENTITY_CHANGES | NETWORK_CHANGES | SETTING_CHANGES
# The reverse of these widens access as well, or cannot be judged.
WIDER_BOTH_WAYS = {
    "a secret policy",
    "an encrypted policy",
    "a malformed policy",
    "an unknown policy",
    "everything except some actions",
    "a Deny less",
    "no policy",
    "another managed policy",
    "no permission boundary",
    "another instance profile",
    "an unknown security group",
    "another gateway",
    "another port",
}

# A new resource that exposes something which exists already.
CREATIONS: dict[str, tuple[str, dict[str, Any], Kind]] = {
    "an ingress rule": (INGRESS, {**HTTPS, "cidrIpv4": "0.0.0.0/0"}, Kind.NETWORK_RULE),
    "a role policy": (ROLE_POLICY, {"policy": policy(ALLOW)}, Kind.POLICY_GRANT),
    "a managed policy": (POLICY_ATTACHMENT, {"policyArn": "arn:admin"}, Kind.MANAGED_POLICY),
    "a bucket policy": (BUCKET_POLICY, {"policy": policy({**ALLOW, "Principal": "*"})}, Kind.POLICY_GRANT),
    "a route": (ROUTE, {"gatewayId": "igw"}, Kind.ROUTE),
    "a listener": (LISTENER, {"port": 8443, "protocol": "HTTPS"}, Kind.LISTENER),
}


def widening_kinds(resource_type: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> list[Kind]:
    """Return the kinds of widening in a change of a resource of members."""
    return [widening.kind for widening in widenings(child_urn(MEMBERS, resource_type, "x"), old, new)]


@pytest.mark.parametrize("name", CHANGES)
def test_wider_access_is_recognised(name: str) -> None:
    """Actions, resources, principals, conditions, addresses, ports, roles and public access are compared."""
    resource_type, old, new, kind = CHANGES[name]
    assert widening_kinds(resource_type, old, new) == [kind]


@pytest.mark.parametrize("name", [name for name in CHANGES if name not in WIDER_BOTH_WAYS])
def test_narrower_access_widens_nothing(name: str) -> None:
    """The same changes in the opposite direction are harmless."""
    resource_type, new, old, _ = CHANGES[name]
    assert widening_kinds(resource_type, old, new) == []


@pytest.mark.parametrize("name", CREATIONS)
def test_a_new_resource_may_expose_what_exists(name: str) -> None:
    """Such as a rule that opens a security group."""
    resource_type, inputs, kind = CREATIONS[name]
    assert widening_kinds(resource_type, None, inputs) == [kind]


def test_a_new_resource_that_exposes_only_itself_widens_nothing() -> None:
    """A new database is nothing that was closed before."""
    assert widening_kinds("aws:rds/instance:Instance", None, {"publiclyAccessible": True}) == []


def test_deleting_a_restriction_widens_access() -> None:
    """Without its public access block, a bucket may become public."""
    assert widening_kinds(PUBLIC_ACCESS_BLOCK, {"blockPublicAcls": True}, None) == [Kind.RESTRICTION_DELETED]
    assert widening_kinds(LISTENER, {"port": 443}, None) == []


def test_a_tag_of_a_route_table_widens_nothing() -> None:
    """Only a change of its routes changes where traffic goes."""
    old, new = ({"vpcId": "v", "tags": {"A": value}, "tagsAll": {"A": value}} for value in ("1", "2"))
    assert widening_kinds("aws:ec2/routeTable:RouteTable", old, new) == []


def test_grants_are_compared_as_iam_compares_them() -> None:
    """`*` matches any text and `?` one character; actions ignore case; other characters have no special meaning."""
    existing = Grant("-", "s3:Get*", "arn:aws:s3:::own/*", "{}")
    assert covers(existing, Grant("-", "S3:getobject", "arn:aws:s3:::own/a", '{"x": 1}'))
    assert not covers(existing, Grant("-", "s3:*", "arn:aws:s3:::own/a", "{}"))
    assert not covers(existing, Grant("-", "s3:GetObject", "arn:aws:s3:::other/a", "{}"))
    assert not covers(Grant("-", "s3:Get[ab]", "*", "{}"), Grant("-", "s3:Geta", "*", "{}"))
    urn = child_urn(MEMBERS, ROLE_POLICY, "x")
    upper_case = {"policy": policy({**ALLOW, "Action": "S3:GETOBJECT"})}
    assert list(widenings(urn, {"policy": policy(ALLOW)}, upper_case)) == []


def test_messages(snapshot: SnapshotAssertion) -> None:
    """Each kind of widening has a message that says what is exposed or allowed."""
    changes = {name: (resource_type, old, new) for name, (resource_type, old, new, _) in CHANGES.items()}
    creations = {
        f"new: {name}": (resource_type, None, inputs) for name, (resource_type, inputs, _) in CREATIONS.items()
    }
    deletion = {"deleted: a public access block": (PUBLIC_ACCESS_BLOCK, {"blockPublicAcls": True}, None)}
    messages, kinds = {}, set()
    for name, (resource_type, old, new) in {**changes, **creations, **deletion}.items():
        urn = child_urn(MEMBERS, resource_type, "x")
        (widening,) = widenings(urn, old, new)
        messages[name] = f"{widening.kind}: {widening.message}"
        kinds.add(widening.kind)
    assert kinds == set(Kind)
    assert messages == snapshot
