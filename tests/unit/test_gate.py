"""The gate: pure functions on previews, plans, files and sign-offs."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pulumi
import pytest

from cli.promotion import sign_off
from components import cdn_bucket, isolated_database, load_balanced_instance_group, mail_domain, service_environment, subdomain_record
from foundation import environment, front_door, network, records, zone
from release import gate, record, sign_offs
from release.deployed import Deployed, Update, fingerprint, owner, parents
from release.holds_data import HOLDS_DATA, HOLDS_NONE
from release.sign_offs import SignOff
from release.widening import UNKNOWN, Grant, covers, widenings
from tests.unit.conftest import STACKS, program_run

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)


def step(operation: str, urn: str, old: dict[str, Any] | None = None, new: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return one step of a preview."""
    return {"op": operation, "urn": urn, "oldState": {"urn": urn, **(old or {})}, "newState": {"urn": urn, **(new or {})} if operation != "delete" else None, **more}


MEMBERS = "urn:pulumi:beta::100xglobal::hundredx:components:ServiceEnvironment::members"
PAYMENTS = MEMBERS.replace("members", "payments")


def child(of: str, kind: str, name: str) -> str:
    """Return the URN of a resource right below another."""
    head, types, _ = of.rsplit("::", 2)
    return f"{head}::{types}${kind}::{name}"


def found(*steps: dict[str, Any], meant: set[str] | None = None, **state: Any) -> list[tuple[str, str]]:
    """Return the rules and messages of what the gate finds."""
    good = Update("update", "succeeded", NOW, {"100xglobal:services": {"members": {"release": OLD}, "payments": {"release": OLD}}})
    deployed = Deployed("beta", state.get("updates", (good,)), ({"urn": MEMBERS}, {"urn": PAYMENTS}, *state.get("resources", ())), tuple(state.get("pending", ())))
    return [(finding.rule, finding.message) for finding in gate.findings({"steps": list(steps)}, deployed, {"members"} if meant is None else meant)]


def test_a_change_of_the_promoted_service_passes() -> None:
    """Its template and group."""
    template = child(MEMBERS, "aws:ec2/launchTemplate:LaunchTemplate", "members-template")
    assert found(step("update", template, {"parent": MEMBERS}, {"parent": MEMBERS})) == []


def test_a_change_outside_is_refused_by_ancestors_not_by_names() -> None:
    """A resource that is named members and belongs to payments."""
    stranger = child(PAYMENTS, "aws:ec2/launchTemplate:LaunchTemplate", "members-template")
    (rule, message), *_ = found(step("update", stranger, {"parent": PAYMENTS}, {"parent": PAYMENTS}))
    assert rule == "outside"
    assert "update in payments" in message
    shared = "urn:pulumi:beta::100xglobal::hundredx:foundation:Foundation$aws:ec2/vpc:Vpc::network-vpc"
    assert found(step("update", shared))[0] == ("outside", "update in foundation, whose block did not change")
    assert found(step("update", shared), meant={"foundation"}) == []


@pytest.mark.parametrize("kind", sorted(HOLDS_DATA))
@pytest.mark.parametrize("operation", ["delete", "replace", "create-replacement", "delete-replaced"])
def test_losing_data_is_refused(kind: str, operation: str) -> None:
    """Of every type that holds any; also in the service that is meant."""
    urn = child(MEMBERS, kind, "x")
    assert "data" in [rule for rule, _ in found(step(operation, urn, {"parent": MEMBERS}, {"parent": MEMBERS}, replaceReasons=["name"]))]


def test_losing_protection_is_refused_though_it_is_no_change() -> None:
    """`same` in the preview; the next change could delete it."""
    urn = child(MEMBERS, "aws:rds/instance:Instance", "x")
    assert found(step("same", urn, {"parent": MEMBERS, "protect": True}, {"parent": MEMBERS}))[0][0] == "protect"


def policy(*statements: dict[str, Any]) -> str:
    """Return a policy's text."""
    return json.dumps({"Statement": list(statements)})


ALLOW = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::own/*"}
INGRESS, EGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
HTTPS = {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "securityGroupId": "sg-1"}
# What opens something, and what it is called: type, inputs before, inputs after, message.
WIDENINGS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    (ROLE_POLICY, {"policy": policy(ALLOW)}, {"policy": policy({**ALLOW, "Action": ["s3:GetObject", "s3:PutObject"]})}, "newly allows s3:PutObject"),
    (ROLE_POLICY, {"policy": policy(ALLOW)}, {"policy": policy({**ALLOW, "Resource": "*"})}, "newly allows s3:GetObject on *"),
    (ROLE_POLICY, {"policy": policy({**ALLOW, "Action": "s3:Get?bject"})}, {"policy": policy({**ALLOW, "Action": "s3:Get*bject"})}, "newly allows s3:Get*bject"),
    (ROLE_POLICY, {"policy": policy({**ALLOW, "Condition": {"StringEquals": {"a": "b"}}})}, {"policy": policy(ALLOW)}, "newly allows s3:GetObject"),
    (ROLE_POLICY, {"policy": policy(ALLOW)}, {"policy": UNKNOWN}, "only known afterwards"),
    (ROLE_POLICY, {"policy": policy(ALLOW)}, {"policy": policy({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"})}, "newly allows all but some"),
    ("aws:iam/role:Role", {"assumeRolePolicy": policy({**ALLOW, "Principal": {"Service": "ec2"}})}, {"assumeRolePolicy": policy({**ALLOW, "Principal": "*"})}, "to *"),
    ("aws:iam/role:Role", {"permissionsBoundary": "arn:b", "assumeRolePolicy": "{}"}, {"assumeRolePolicy": "{}"}, "without its bounds"),
    ("aws:iam/role:Role", {"managedPolicyArns": ["arn:a"], "assumeRolePolicy": "{}"}, {"managedPolicyArns": ["arn:a", "arn:b"], "assumeRolePolicy": "{}"}, "arn:b"),
    ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", {"policyArn": "arn:read"}, {"policyArn": "arn:admin"}, "newly allows all of arn:admin"),
    ("aws:s3/bucketPolicy:BucketPolicy", {"policy": policy(ALLOW, {**ALLOW, "Effect": "Deny"})}, {"policy": policy(ALLOW)}, "no longer refuses"),
    ("aws:ec2/vpcEndpoint:VpcEndpoint", {"policy": policy(ALLOW)}, {}, "AWS's own default holds"),
    (INGRESS, {**HTTPS, "cidrIpv4": "10.0.0.0/8"}, {**HTTPS, "cidrIpv4": "0.0.0.0/0"}, "newly lets in from 0.0.0.0/0, tcp 443"),
    (INGRESS, {**HTTPS, "cidrIpv4": "10.0.0.0/8"}, {**HTTPS, "cidrIpv4": "10.0.0.0/8", "toPort": 444}, "tcp 443-444"),
    (INGRESS, {**HTTPS, "referencedSecurityGroupId": "sg-2"}, {**HTTPS, "referencedSecurityGroupId": UNKNOWN}, "known afterwards"),
    (EGRESS, {**HTTPS, "cidrIpv6": "fd00::/8"}, {**HTTPS, "cidrIpv6": "::/0"}, "newly lets out to ::/0"),
    (EGRESS, {**HTTPS, "cidrIpv4": "10.0.0.0/8"}, {**HTTPS, "cidrIpv4": "10.0.0.0/8", "ipProtocol": "-1"}, "-1 443"),
    ("aws:ec2/securityGroup:SecurityGroup", {"ingress": []}, {"ingress": [{"cidrBlocks": ["0.0.0.0/0"]}]}, "newly lets through (ingress)"),
    ("aws:ec2/launchTemplate:LaunchTemplate", {"vpcSecurityGroupIds": ["sg-1"]}, {"vpcSecurityGroupIds": ["sg-1", "sg-2"]}, "gets more vpcSecurityGroupIds: sg-2"),
    ("aws:ec2/launchTemplate:LaunchTemplate", {"iamInstanceProfile": {"arn": "a"}}, {"iamInstanceProfile": {"arn": "b"}}, "acts as another"),
    ("aws:ec2/route:Route", {"gatewayId": "nat"}, {"gatewayId": "igw"}, "the way that traffic takes"),
    ("aws:ec2/launchTemplate:LaunchTemplate", {"metadataOptions": {"httpTokens": "required"}}, {"metadataOptions": {"httpTokens": "optional"}}, "httpTokens is no longer required"),
    ("aws:rds/instance:Instance", {"publiclyAccessible": False}, {"publiclyAccessible": True}, "becomes public"),
    ("aws:lb/loadBalancer:LoadBalancer", {"internal": True}, {"internal": False}, "becomes public"),
    ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", {"blockPublicAcls": True}, {"blockPublicAcls": False}, "no longer closed"),
    (
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        {"rule": {"objectOwnership": "BucketOwnerEnforced"}},
        {"rule": {"objectOwnership": "ObjectWriter"}},
        "lets access lists open single files again",
    ),
]


@pytest.mark.parametrize(("kind", "old", "new", "told"), WIDENINGS)
def test_widening_is_refused(kind: str, old: dict[str, Any], new: dict[str, Any], told: str) -> None:
    """Actions, resources, principals, conditions, addresses, ports, roles, public access."""
    urn = child(MEMBERS, kind, "x")
    for operation in ("update", "replace"):
        change = found(step(operation, urn, {"parent": MEMBERS, "inputs": old}, {"parent": MEMBERS, "inputs": new}))
        assert [rule for rule, message in change if told in message] == ["widening"]


NARROWINGS = [
    row
    for row in WIDENINGS
    if UNKNOWN not in str(row[2])
    and "Deny" not in str(row[1])
    and row[2]
    and row[0] != "aws:ec2/route:Route"
    and "iamInstanceProfile" not in row[1]
    and "NotAction" not in str(row[2])
]


@pytest.mark.parametrize(("kind", "new", "old"), [row[:3] for row in NARROWINGS if "permissionsBoundary" not in row[1] and "policyArn" not in row[1]])
def test_narrowing_is_not_refused(kind: str, new: dict[str, Any], old: dict[str, Any]) -> None:
    """The same changes the other way round."""
    urn = child(MEMBERS, kind, "x")
    assert found(step("update", urn, {"parent": MEMBERS, "inputs": old}, {"parent": MEMBERS, "inputs": new})) == []


OPENING = [
    (INGRESS, {**HTTPS, "cidrIpv4": "0.0.0.0/0"}, "newly lets in from 0.0.0.0/0"),
    (ROLE_POLICY, {"policy": policy(ALLOW)}, "newly allows s3:GetObject"),
    ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", {"policyArn": "arn:admin"}, "arn:admin"),
    ("aws:s3/bucketPolicy:BucketPolicy", {"policy": policy({**ALLOW, "Principal": "*"})}, "to *"),
    ("aws:ec2/route:Route", {"gatewayId": "igw"}, "the way that traffic takes"),
    ("aws:lb/listener:Listener", {"port": 8443, "protocol": "HTTPS"}, "newly listens on HTTPS 8443"),
]


@pytest.mark.parametrize(("kind", "new", "told"), OPENING)
def test_what_is_new_opens_what_is_there_but_not_what_is_new_with_it(kind: str, new: dict[str, Any], told: str) -> None:
    """A rule of a service that runs is refused; the same rule of a service that comes with it is not."""
    urn = child(MEMBERS, kind, "x")
    rule = {"op": "create", "urn": urn, "newState": {"urn": urn, "parent": MEMBERS, "inputs": new}}
    assert [name for name, message in found(rule) if told in message] == ["widening"]
    assert found({"op": "create", "urn": MEMBERS, "newState": {"urn": MEMBERS}}, rule) == []


@pytest.mark.parametrize(("kind", "new", "told"), OPENING)
def test_going_on_with_what_came_up_half_opens_nothing(kind: str, new: dict[str, Any], told: str) -> None:
    """The component is there since the first try, and no good update had it: there was nothing to open."""
    urn = child(MEMBERS, kind, "x")
    rule = {"op": "create", "urn": urn, "newState": {"urn": urn, "parent": MEMBERS, "inputs": new}}
    assert found(rule, updates=(update({"members": {"release": OLD}}, "failed"),)) == []
    assert found(rule, updates=(update({"payments": {"release": OLD}}),)) == []
    assert any(told in message for _, message in found(rule, updates=(update({"members": {"release": OLD}}),)))


def test_a_new_service_does_not_reach_into_what_is_there() -> None:
    """Its own group may be opened; another's is refused, but for the way from a balancer to its new servers."""
    theirs = {"urn": child(PAYMENTS, "aws:ec2/securityGroup:SecurityGroup", "sg"), "parent": PAYMENTS, "custom": True, "id": "sg-payments"}
    events_urn = MEMBERS.replace("members", "events")
    component = {"op": "create", "urn": events_urn, "newState": {"urn": events_urn}}

    def opened(kind: str, **inputs: Any) -> list[str]:
        urn = child(events_urn, kind, "x")
        rule = {"op": "create", "urn": urn, "newState": {"urn": urn, "parent": events_urn, "inputs": inputs}}
        return [name for name, _ in found(component, rule, meant={"events"}, resources=(theirs,))]

    assert opened(INGRESS, **{**HTTPS, "securityGroupId": UNKNOWN, "cidrIpv4": "0.0.0.0/0"}) == []
    assert opened(INGRESS, **{**HTTPS, "securityGroupId": "sg-payments", "cidrIpv4": "0.0.0.0/0"}) == ["widening"]
    assert opened(EGRESS, **{**HTTPS, "securityGroupId": "sg-payments", "referencedSecurityGroupId": UNKNOWN}) == []


def test_a_held_release_that_aws_took_back_does_not_come_again_by_itself() -> None:
    """Somebody else's `up` would try it again."""
    template = {"urn": child(MEMBERS, "aws:ec2/launchTemplate:LaunchTemplate", "t"), "parent": MEMBERS, "id": "lt-1", "outputs": {"latestVersion": 2}}
    group = {"urn": child(MEMBERS, "aws:autoscaling/group:Group", "g"), "parent": MEMBERS, "outputs": {"launchTemplate": {"id": "lt-1", "version": "1"}}}
    deployed = Deployed("beta", (update({"members": {"release": NEW}}),), ({"urn": MEMBERS}, template, group), ())
    wanted = {"100xglobal:services": {"members": {"release": NEW}}}
    events = [event("promote", NEW), event("hold", NEW, "2026-11-21")]
    assert [finding.rule for finding in gate.release_findings(deployed, wanted, events, "sandbox")] == ["held"]
    assert gate.release_findings(deployed, wanted, events[:1], "sandbox") == []


def test_what_closed_something_is_not_taken_away() -> None:
    """A bucket without its block of public access."""
    urn = child(MEMBERS, "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "x")
    assert found({"op": "delete", "urn": urn, "oldState": {"urn": urn, "parent": MEMBERS, "inputs": {"blockPublicAcls": True}}})[0][0] == "widening"


def test_a_tag_of_a_route_table_opens_nothing() -> None:
    """Its routes do."""
    urn = child(MEMBERS, "aws:ec2/routeTable:RouteTable", "x")
    old, new = {"vpcId": "v", "tags": {"A": "1"}, "tagsAll": {"A": "1"}}, {"vpcId": "v", "tags": {"A": "2"}, "tagsAll": {"A": "2"}}
    assert found(step("update", urn, {"parent": MEMBERS, "inputs": old}, {"parent": MEMBERS, "inputs": new})) == []


def test_versioning_is_not_taken_away() -> None:
    """AWS suspends it then."""
    urn = child(MEMBERS, "aws:s3/bucketVersioning:BucketVersioning", "x")
    assert found({"op": "delete", "urn": urn, "oldState": {"urn": urn, "parent": MEMBERS}}) == [("protect", "is taken away, and what it guards is not guarded")]


def test_iams_patterns() -> None:
    """`*` is any text, `?` one character, and a pattern is not taken for a text that it does not cover."""
    given = Grant("-", "s3:Get*", "arn:aws:s3:::own/*", "{}")
    assert covers(given, Grant("-", "S3:getobject", "arn:aws:s3:::own/a", '{"x": 1}'))
    assert not covers(given, Grant("-", "s3:*", "arn:aws:s3:::own/a", "{}"))
    assert not covers(given, Grant("-", "s3:GetObject", "arn:aws:s3:::other/a", "{}"))
    assert not covers(Grant("-", "s3:Get[ab]", "*", "{}"), Grant("-", "s3:Geta", "*", "{}")), "brackets mean nothing to IAM"
    assert list(widenings(child(MEMBERS, ROLE_POLICY, "x"), {"policy": policy(ALLOW)}, {"policy": policy({**ALLOW, "Action": "S3:GETOBJECT"})})) == []


LOWERED = [
    ("aws:rds/instance:Instance", {"deletionProtection": True}, {"deletionProtection": False}, "deletionProtection goes to false"),
    ("aws:rds/instance:Instance", {"deletionProtection": True}, {}, "deletionProtection goes to false"),
    ("aws:rds/instance:Instance", {"skipFinalSnapshot": False}, {"skipFinalSnapshot": True}, "skipFinalSnapshot goes to true"),
    ("aws:rds/instance:Instance", {"backupRetentionPeriod": 14}, {"backupRetentionPeriod": 7}, "from 14 to 7"),
    ("aws:s3/bucket:Bucket", {}, {"forceDestroy": True}, "forceDestroy goes to true"),
    ("aws:s3/bucketVersioning:BucketVersioning", {"versioningConfiguration": {"status": "Enabled"}}, {"versioningConfiguration": {"status": "Suspended"}}, "versioning goes to"),
    (
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        {"rules": [{"id": "old", "status": "Enabled", "noncurrentVersionExpiration": {"noncurrentDays": 90}}]},
        {"rules": [{"id": "old", "status": "Enabled", "noncurrentVersionExpiration": {"noncurrentDays": 1}}]},
        "noncurrentVersionExpiration of old",
    ),
    ("aws:cloudwatch/logGroup:LogGroup", {"retentionInDays": 365}, {"retentionInDays": 30}, "from 365 to 30"),
    ("aws:cloudwatch/logGroup:LogGroup", {}, {"retentionInDays": 30}, "from inf to 30"),
    ("aws:lb/loadBalancer:LoadBalancer", {"enableDeletionProtection": True}, {"enableDeletionProtection": False}, "enableDeletionProtection"),
]


@pytest.mark.parametrize(("kind", "old", "new", "told"), LOWERED)
def test_a_lowered_guard_of_data_is_refused_and_a_raised_one_is_not(kind: str, old: dict[str, Any], new: dict[str, Any], told: str) -> None:
    """What AWS itself keeps data with; the next change could lose it."""
    urn = child(MEMBERS, kind, "x")
    lowered = found(step("update", urn, {"parent": MEMBERS, "inputs": old}, {"parent": MEMBERS, "inputs": new}))
    assert [rule for rule, message in lowered if told in message] == ["protect"]
    assert found(step("update", urn, {"parent": MEMBERS, "inputs": new}, {"parent": MEMBERS, "inputs": old})) == []


def test_a_pending_operation_stops_the_gate_and_cannot_be_signed_off() -> None:
    """Nobody knows what is there."""
    finding = gate.Finding("pending", "urn:x", "never ended")
    verdict = gate.judge([finding], [SignOff("urn:x", "pending", "r", "b", date(2030, 1, 1))], date(2026, 1, 1), set())
    assert verdict.refused == (finding,)


def test_a_sign_off_holds_for_its_urn_until_its_day() -> None:
    """Expired and unused ones are told."""
    finding = gate.Finding("data", "urn:a", "replace of what holds data")
    signs = [
        SignOff("urn:a", "data", "restored from staging", "kim", date(2026, 12, 1)),
        SignOff("urn:b", "data", "old", "kim", date(2026, 1, 1)),
        SignOff("urn:c", "data", "idle", "kim", date(2026, 12, 1)),
    ]
    verdict = gate.judge([finding], signs, date(2026, 11, 23), {"members"})
    assert verdict.refused == ()
    assert verdict.accepted[0][1].reason == "restored from staging"
    assert any("urn:b (data) expired" in note for note in verdict.notes)
    assert any("urn:c (data) by kim was not needed" in note for note in verdict.notes)
    far = gate.judge([finding], [SignOff("urn:a", "data", "for ever", "kim", date(2099, 1, 1))], date(2026, 11, 23), {"members"})
    assert far.refused == (finding,)
    assert "does not count" in far.notes[0]
    late = gate.judge([finding], signs, date(2026, 12, 2), {"members"})
    assert late.refused == (finding,)


@pytest.mark.parametrize("layout", ["text", "markdown", "json"])
def test_the_verdict_names_object_consequence_and_way_out(layout: str) -> None:
    """In every layout."""
    verdict = gate.judge([gate.Finding("data", "urn:pulumi:b::p::t::members-db", "replace of what holds data")], [], date(2026, 1, 1), {"members"})
    text = gate.show(verdict, layout, "beta")
    assert "members-db" in text
    assert "replace of what holds data" in text
    assert json.loads(text)["passed"] is False if layout == "json" else "./infra sign-off 'urn:pulumi:b::p::t::members-db' --rule data" in text


def test_a_sign_off_is_for_one_rule() -> None:
    """Who signed that a database may change did not sign that it may be lost."""
    finding = gate.Finding("data", "urn:a", "replace of what holds data")
    verdict = gate.judge([finding], [SignOff("urn:a", "outside", "tags", "kim", date(2026, 12, 1))], date(2026, 11, 23), set())
    assert verdict.refused == (finding,)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- {urn: 'urn:a', rule: data, by: kim, expires: 2026-12-01}", "reason is missing"),
        ("- {urn: 'urn:a', rule: date, reason: x, by: kim, expires: 2026-12-01}", "'date' is no such rule"),
        ("- {urn: 'urn:a', rule: pending, reason: x, by: kim, expires: 2026-12-01}", "'pending' is no such rule"),
        ("- {urn: 'urn:a', rule: data, reason: x, by: kim, expires: soon}", "'soon' is no day"),
        ("- just words", "this is 'just words'"),
        ("- {urn: [", "cannot be read"),
    ],
)
def test_a_sign_off_that_says_too_little_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """It says what is missing, and in which file."""
    (tmp_path / sign_offs.FOLDER).mkdir(parents=True)
    (tmp_path / sign_offs.FOLDER / "x.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(sign_offs.SignOffError, match=told) as error:
        sign_offs.read(tmp_path, "beta")
    assert "x.yaml" in str(error.value)


def test_the_verb_writes_a_sign_off_that_the_gate_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One file each, of one stack only; too long or without a reason is refused."""
    urn = child(MEMBERS, "aws:rds/instance:Instance", "members-db")
    assert sign_off(tmp_path, urn, "data", "restored copy", 3) == 0
    (sign,) = sign_offs.read(tmp_path, "beta")
    assert (sign.urn, sign.rule, sign.reason) == (urn, "data", "restored copy")
    assert sign_offs.read(tmp_path, "prod") == []
    assert gate.judge([gate.Finding("data", urn, "replace")], [sign], date.today(), set()).refused == ()  # noqa: DTZ011 sign-offs end with a day
    assert record.read(tmp_path) == [], "a sign-off is no event"
    for again in (
        (urn, "data", " ", 3),
        (urn, "held", "again", 3),
        ("members-db", "data", "again", 3),
        (urn, "data", "again", 3),
    ):
        assert sign_off(tmp_path, *again) == 1
    assert len(list((tmp_path / sign_offs.FOLDER).iterdir())) == 1
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("stack", STACKS)
def test_every_type_is_known_to_hold_data_or_not(stack: str) -> None:
    """A new type must be thought about."""
    types = {resource.type for resource in program_run(stack).resources.values() if resource.type.startswith("aws:")}
    assert types <= HOLDS_DATA | HOLDS_NONE
    assert not HOLDS_DATA & HOLDS_NONE


def test_every_type_that_the_program_can_make_is_known() -> None:
    """Also what no environment's file asks for today: every class of pulumi_aws that components and foundation import."""
    modules = [cdn_bucket, isolated_database, load_balanced_instance_group, mail_domain, service_environment, subdomain_record]
    modules += [environment, front_door, network, records, zone]
    classes = {thing for module in modules for thing in vars(module).values() if isinstance(thing, type) and issubclass(thing, pulumi.CustomResource)}
    types = {str(thing.pulumi_type) for thing in classes if thing is not pulumi.CustomResource}  # type: ignore[attr-defined] # set by a decorator
    assert len(types) > 40
    assert types == HOLDS_DATA | HOLDS_NONE


def update(config: dict[str, Any], result: str = "succeeded") -> Update:
    """Return an update that ran with services."""
    return Update("update", result, NOW, {"100xglobal:services": config, "100xglobal:environment": {"domain": "d"}})


OLD, NEW = {"version": "1.0.0", "image": "a"}, {"version": "1.1.0", "image": "b"}


def test_what_was_meant_are_the_blocks_that_changed_also_since_a_failed_update() -> None:
    """Going back from what a failed update began is a change too; and nothing is meant where nothing differs."""
    wanted = {"100xglobal:services": {"members": {"release": OLD}, "core": {"release": OLD}}, "100xglobal:environment": {"domain": "d"}}
    good, bad = update({"members": {"release": OLD}, "core": {"release": OLD}}), update({"members": {"release": NEW}, "core": {"release": OLD}}, "failed")
    assert gate.changed_blocks(Deployed("beta", (good,), (), ()), wanted) == set()
    assert gate.changed_blocks(Deployed("beta", (bad, good), (), ()), wanted) == {"members"}
    assert gate.changed_blocks(Deployed("beta", (bad,), (), ()), wanted) == {"members", "core", "foundation"}
    assert gate.changed_blocks(Deployed("beta", (good,), (), ()), {**wanted, "100xglobal:environment": {"domain": "e"}}) == {"foundation"}


def test_a_service_whose_deployment_aws_took_back_may_be_tried_again() -> None:
    """Its group runs an older version of its template than the newest."""
    template = {"urn": child(MEMBERS, "aws:ec2/launchTemplate:LaunchTemplate", "t"), "parent": MEMBERS, "id": "lt-1", "outputs": {"latestVersion": 2}}
    group = {"urn": child(MEMBERS, "aws:autoscaling/group:Group", "g"), "parent": MEMBERS, "outputs": {"launchTemplate": {"id": "lt-1", "version": "1"}}}
    good = update({"members": {"release": OLD}})
    wanted = {"100xglobal:services": {"members": {"release": OLD}}, "100xglobal:environment": {"domain": "d"}}
    assert gate.changed_blocks(Deployed("beta", (good,), ({"urn": MEMBERS}, template, group), ()), wanted) == {"members"}
    group["outputs"]["launchTemplate"]["version"] = "2"  # type: ignore[index]
    assert gate.changed_blocks(Deployed("beta", (good,), ({"urn": MEMBERS}, template, group), ()), wanted) == set()


def event(kind: record.EventKind, release: dict[str, Any], at: str = "2026-11-20") -> record.Event:
    """Return an event of members in beta."""
    return record.Event(kind, "members", release["version"], release["image"], at, "kim", environment="beta", place="sandbox", reason="r", release=fingerprint(release))


def test_a_release_written_by_hand_or_held_does_not_pass() -> None:
    """Of beta and prod; alpha's come from CI, and the first of a service with its file."""

    def rules(stack: str, release: dict[str, Any], *events: record.Event, there: bool = True, enabled: bool = True, place: str = "sandbox") -> list[str]:
        urn = MEMBERS.replace("beta", stack)
        deployed = Deployed(stack, (update({"members": {"release": OLD}}),), ({"urn": urn},) if there else (), ())
        wanted = {"100xglobal:services": {"members": {"release": release, "enabled": enabled}}}
        return [finding.rule for finding in gate.release_findings(deployed, wanted, events, place)]

    assert rules("beta", OLD) == []
    assert rules("beta", NEW) == ["record"]
    assert rules("beta", NEW, event("promote", NEW)) == []
    assert rules("beta", NEW, event("promote", NEW), place="aws") == ["record"], "what the sandbox rehearsed was not asked for on AWS"
    assert rules("beta", {**NEW, "environment_variables": {"A": "b"}}, event("promote", NEW)) == ["record"]
    assert rules("beta", NEW, event("promote", NEW), event("rollback", OLD, "2026-11-21")) == ["record"]
    assert rules("alpha", NEW) == []
    assert rules("staging", NEW) == []
    assert rules("beta", NEW, there=False) == []
    assert rules("beta", NEW, enabled=False) == []
    assert rules("beta", NEW, event("promote", NEW), event("hold", NEW, "2026-11-21")) == ["held"]
    assert rules("beta", NEW, event("promote", NEW), event("hold", NEW, "2026-11-21"), event("release-hold", NEW, "2026-11-22")) == []


def test_the_owner_of_every_resource_is_found() -> None:
    """In the whole program."""
    run = program_run("prod")
    states = [{"urn": resource.urn, "parent": resource.parent} for resource in run.resources.values()]
    parent_of = parents(states)
    for service in run.outputs["services"]:
        assert {urn for urn in run.resources if owner(urn, parent_of) == service} == run.below(service)


def test_a_changed_provider_is_found_in_the_plan() -> None:
    """No step shows it."""
    urn = "urn:pulumi:beta::100xglobal::pulumi:providers:aws::default_7_51_1"
    plan = {"resourcePlans": {urn: {"goal": {"inputDiff": {"updates": {"defaultTags": "x"}}}, "steps": ["same"]}}}
    deployed = Deployed("beta", (), ({"urn": urn, "inputs": {"region": "us-east-1"}},), ())
    assert [finding.rule for finding in gate.provider_findings(plan, deployed)] == ["provider"]
    assert gate.provider_findings({"resourcePlans": {urn: {"goal": {"inputDiff": {}}, "steps": ["same"]}}}, deployed) == []
    assert [finding.rule for finding in gate.provider_findings({"resourcePlans": {urn: {"goal": {}, "steps": ["update"]}}}, deployed)] == ["provider"]
    upgraded = {"resourcePlans": {urn.replace("7_51", "7_60"): {"goal": {"inputDiff": {"adds": {"region": "x"}}}, "steps": ["create"]}}}
    assert [finding.rule for finding in gate.provider_findings(upgraded, deployed)] == ["provider"]
    assert gate.provider_findings(upgraded, Deployed("beta", (), (), ())) == [], "a new environment"
