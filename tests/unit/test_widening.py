"""Widening: what a change exposes or allows that was not exposed or allowed before."""

from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from release.findings import Rule
from release.widening import UNKNOWN, Grant, Kind, covers, widenings
from tests.unit.release_builders import MEMBERS, OLD, PAYMENTS, child_urn, make_update, policy, preview_findings, step

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


def widening_kinds(*steps: dict[str, Any], **options: Any) -> list[str]:
    """Return the kinds of widening that the gate finds; it must find nothing else."""
    findings = preview_findings(*steps, **options)
    assert {finding.rule for finding in findings} <= {Rule.WIDENING}
    return [finding.detail for finding in findings]


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("operation", ["update", "replace"])
def test_wider_access_is_a_finding(name: str, operation: str) -> None:
    """Actions, resources, principals, conditions, addresses, ports, roles and public access are compared."""
    resource_type, old, new, kind = CHANGES[name]
    change = step(operation, child_urn(MEMBERS, resource_type, "x"), old_inputs=old, new_inputs=new)
    findings = preview_findings(change)
    assert [finding.detail for finding in findings if finding.rule == Rule.WIDENING] == [kind]


@pytest.mark.parametrize("name", [name for name in CHANGES if name not in WIDER_BOTH_WAYS])
def test_narrower_access_is_no_finding(name: str) -> None:
    """The same changes in the opposite direction pass."""
    resource_type, new, old, _ = CHANGES[name]
    urn = child_urn(MEMBERS, resource_type, "x")
    assert preview_findings(step("update", urn, old_inputs=old, new_inputs=new)) == []


@pytest.mark.parametrize("name", CREATIONS)
def test_a_new_resource_exposes_what_exists_but_not_what_is_created_with_it(name: str) -> None:
    """A rule for a running service is a finding; the same rule for a service that is created with it is none."""
    resource_type, inputs, kind = CREATIONS[name]
    created = step("create", child_urn(MEMBERS, resource_type, "x"), new_inputs=inputs)
    assert widening_kinds(created) == [kind]
    assert widening_kinds(step("create", MEMBERS, ""), created) == []


@pytest.mark.parametrize("name", CREATIONS)
def test_completing_a_partially_created_service_exposes_nothing(name: str) -> None:
    """Its component exists since the first attempt, but no successful update had it."""
    resource_type, inputs, kind = CREATIONS[name]
    created = step("create", child_urn(MEMBERS, resource_type, "x"), new_inputs=inputs)
    services = {"members": {"release": OLD}}
    assert widening_kinds(created, updates=(make_update(services, "failed"),)) == []
    assert widening_kinds(created, updates=(make_update({"payments": {"release": OLD}}),)) == []
    assert widening_kinds(created, updates=(make_update(services),)) == [kind]


@pytest.mark.parametrize(
    ("resource_type", "inputs", "kinds"),
    [
        (INGRESS, {"securityGroupId": UNKNOWN, "cidrIpv4": "0.0.0.0/0"}, []),
        (INGRESS, {"securityGroupId": "sg-payments", "cidrIpv4": "0.0.0.0/0"}, [Kind.NETWORK_RULE]),
        (EGRESS, {"securityGroupId": "sg-payments", "referencedSecurityGroupId": UNKNOWN}, []),
    ],
    ids=["into its own group", "into another service's group", "from another service's group to its new one"],
)
def test_a_new_service_may_not_open_another_services_resources(
    resource_type: str, inputs: dict[str, Any], kinds: list[Kind]
) -> None:
    """It may open its own security group, and a load balancer may connect to its new servers."""
    group = {
        "urn": child_urn(PAYMENTS, "aws:ec2/securityGroup:SecurityGroup", "sg"),
        "parent": PAYMENTS,
        "custom": True,
        "id": "sg-payments",
    }
    events = MEMBERS.replace("members", "events")
    rule = step("create", child_urn(events, resource_type, "x"), events, new_inputs={**HTTPS, **inputs})
    options: dict[str, Any] = {"expected": frozenset({"events"}), "resources": (group,)}
    assert widening_kinds(step("create", events, ""), rule, **options) == kinds


def test_deleting_a_restriction_is_a_finding() -> None:
    """Without its public access block, a bucket may become public."""
    urn = child_urn(MEMBERS, PUBLIC_ACCESS_BLOCK, "x")
    assert widening_kinds(step("delete", urn, old_inputs={"blockPublicAcls": True})) == [Kind.RESTRICTION_DELETED]


def test_a_tag_of_a_route_table_is_no_finding() -> None:
    """Only a change of its routes changes where traffic goes."""
    urn = child_urn(MEMBERS, "aws:ec2/routeTable:RouteTable", "x")
    old, new = ({"vpcId": "v", "tags": {"A": value}, "tagsAll": {"A": value}} for value in ("1", "2"))
    assert preview_findings(step("update", urn, old_inputs=old, new_inputs=new)) == []


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
