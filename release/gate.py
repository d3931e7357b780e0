"""Reads a preview and refuses what was not meant: pure, data in and findings out."""

import fnmatch
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from release.deployed import ENVIRONMENT_KEY, SERVICES_KEY, Deployed, name_of, owner, parents, type_of

SIGN_OFFS = "releases/sign-offs.yaml"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # how a preview writes a value that is known after the update

# What holds data, or loses it with itself: a replacement or deletion is refused without a sign-off. The key decides over every
# backup; the zone gets other name servers; the user data of mail is its identity's reputation and its log.
HOLDS_DATA = frozenset(
    {
        "aws:rds/instance:Instance",
        "aws:s3/bucket:Bucket",
        "aws:kms/key:Key",
        "aws:route53/zone:Zone",
        "aws:cloudwatch/logGroup:LogGroup",
        "aws:sesv2/emailIdentity:EmailIdentity",
        "aws:ec2/eip:Eip",
    }
)
# What the program makes besides, which keeps nothing that a new one would not have. A test holds both lists against every
# type that the program registers.
HOLDS_NONE = frozenset(
    [
        "aws:acm/certificate:Certificate",
        "aws:acm/certificateValidation:CertificateValidation",
        "aws:autoscaling/group:Group",
        "aws:autoscaling/policy:Policy",
        "aws:cloudfront/distribution:Distribution",
        "aws:cloudfront/originAccessControl:OriginAccessControl",
        "aws:cloudfront/responseHeadersPolicy:ResponseHeadersPolicy",
        "aws:cloudwatch/dashboard:Dashboard",
        "aws:cloudwatch/logResourcePolicy:LogResourcePolicy",
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        "aws:ec2/egressOnlyInternetGateway:EgressOnlyInternetGateway",
        "aws:ec2/flowLog:FlowLog",
        "aws:ec2/internetGateway:InternetGateway",
        "aws:ec2/launchTemplate:LaunchTemplate",
        "aws:ec2/natGateway:NatGateway",
        "aws:ec2/route:Route",
        "aws:ec2/routeTable:RouteTable",
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        "aws:ec2/securityGroup:SecurityGroup",
        "aws:ec2/subnet:Subnet",
        "aws:ec2/vpc:Vpc",
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        "aws:iam/instanceProfile:InstanceProfile",
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        "aws:iam/role:Role",
        "aws:iam/rolePolicy:RolePolicy",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "aws:kms/alias:Alias",
        "aws:lb/listener:Listener",
        "aws:lb/listenerRule:ListenerRule",
        "aws:lb/loadBalancer:LoadBalancer",
        "aws:lb/targetGroup:TargetGroup",
        "aws:rds/parameterGroup:ParameterGroup",
        "aws:rds/subnetGroup:SubnetGroup",
        "aws:route53/queryLog:QueryLog",
        "aws:route53/record:Record",
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "aws:s3/bucketLogging:BucketLogging",
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketVersioning:BucketVersioning",
        "aws:sesv2/configurationSet:ConfigurationSet",
        "aws:sesv2/emailIdentityMailFromAttributes:EmailIdentityMailFromAttributes",
        "aws:sns/topic:Topic",
        "aws:sns/topicSubscription:TopicSubscription",
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    ]
)
LOSING = frozenset({"delete", "replace", "delete-replaced", "create-replacement", "discard", "discard-replaced"})
POLICY_PROPERTIES = ("policy", "assumeRolePolicy", "policyDocument")
PUBLIC_FLAGS = {"publiclyAccessible": True, "mapPublicIpOnLaunch": True, "internal": False}
CLOSED_FLAGS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
CIDR_PROPERTIES = ("cidrIpv4", "cidrIpv6", "referencedSecurityGroupId", "fromPort", "toPort", "ipProtocol")


@dataclass(frozen=True, order=True)
class Finding:
    """Something that needs a person. rule: outside, data, protect, widening, provider, pending."""

    rule: str
    urn: str
    message: str


@dataclass(frozen=True)
class SignOff:
    """Somebody's word that a finding on a URN is meant, with a reason, until a day."""

    urn: str
    reason: str
    by: str
    expires: date


@dataclass(frozen=True)
class Verdict:
    """What the gate says: findings that stand, those that are signed off, and what is odd about sign-offs."""

    refused: tuple[Finding, ...]
    accepted: tuple[tuple[Finding, SignOff], ...]
    notes: tuple[str, ...]
    changed_services: tuple[str, ...]


def changed_blocks(deployed: Deployed, wanted: Mapping[str, Any]) -> set[str]:
    """Return whose blocks differ between what is deployed and what the file wants: services, and `foundation`."""
    before, after = deployed.config().get(SERVICES_KEY) or {}, wanted.get(SERVICES_KEY) or {}
    out = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    if deployed.config().get(ENVIRONMENT_KEY) != wanted.get(ENVIRONMENT_KEY):
        out.add("foundation")
    return out


def wanted_config(folder: Path, environment: str) -> dict[str, Any]:
    """Return the configuration that an environment's file asks for, as a JSON round trip would have it."""
    document = YAML(typ="safe").load(folder / f"Pulumi.{environment}.yaml")
    out: dict[str, Any] = json.loads(json.dumps(document["config"]))
    return out


def findings(preview: Mapping[str, Any], deployed: Deployed, meant: set[str]) -> list[Finding]:
    """Return all that a preview would do and nobody meant, or that loses or opens something."""
    steps: Sequence[Mapping[str, Any]] = preview.get("steps") or []
    states = [step.get("newState") or step.get("oldState") or {"urn": step["urn"]} for step in steps]
    parent_of = parents(deployed.resources, states)
    out = [Finding("pending", urn, "an operation on it never ended: nobody knows what is there") for urn in deployed.pending]
    for step in steps:
        urn, operation = step["urn"], step["op"]
        old, new = step.get("oldState") or {}, step.get("newState") or {}
        if old.get("protect") and new and not new.get("protect"):
            out.append(Finding("protect", urn, "loses its protection: the next change could delete it"))
        if operation in {"same", "read"}:
            continue
        if not is_root(urn) and (whose := owner(urn, parent_of)) not in meant:
            out.append(Finding("outside", urn, f"{operation} in {whose}, whose block did not change"))
        if operation in LOSING and type_of(urn) in HOLDS_DATA:
            because = f" (because of {', '.join(step['replaceReasons'])})" if step.get("replaceReasons") else ""
            out.append(Finding("data", urn, f"{operation}{because} of what holds data"))
        out += [Finding("widening", urn, message) for message in widenings(urn, old.get("inputs") or {}, new.get("inputs") or {}, created=operation == "create")]
    return sorted(set(out))


def is_root(urn: str) -> bool:
    """Tell whether this is the stack itself, which changes with its outputs."""
    return type_of(urn) == "pulumi:pulumi:Stack"


def widenings(urn: str, old: Mapping[str, Any], new: Mapping[str, Any], *, created: bool) -> Iterable[str]:
    """Yield what a change opens: new actions, principals or resources, addresses, public access. What is new with its service is not wider."""
    if created or not new:
        return
    for name in POLICY_PROPERTIES:
        if new.get(name) and new.get(name) != old.get(name):
            yield from policy_widenings(str(old.get(name) or "{}"), str(new[name]))
    if "securityGroup" in type_of(urn) and any(old.get(name) != new.get(name) for name in CIDR_PROPERTIES):
        changed = [f"{name} {old.get(name)} -> {new.get(name)}" for name in CIDR_PROPERTIES if old.get(name) != new.get(name)]
        yield f"who may connect changes: {', '.join(changed)}"
    for name, public in PUBLIC_FLAGS.items():
        if name in new and new[name] is public and old.get(name) is not public:
            yield f"becomes public ({name})"
    for name in CLOSED_FLAGS:
        if old.get(name) is True and new.get(name) is not True:
            yield f"is no longer closed to the public ({name})"


def grants(text: str) -> set[tuple[str, str, str, str]] | None:
    """Return a policy's grants as (principal, action, resource, condition), or None where it is not known yet."""
    if UNKNOWN in text:
        return None
    out: set[tuple[str, str, str, str]] = set()
    for statement in json.loads(text).get("Statement", []):
        if statement.get("Effect") != "Allow":
            continue
        principals = statement.get("Principal", "-")
        named = [f"{kind}:{value}" for kind, values in principals.items() for value in aslist(values)] if isinstance(principals, dict) else [str(principals)]
        condition = json.dumps(statement.get("Condition", {}), sort_keys=True)
        for principal in named:
            out |= {(principal, action, resource, condition) for action in aslist(statement.get("Action")) for resource in aslist(statement.get("Resource", "-"))}
    return out


def covers(given: tuple[str, str, str, str], grant: tuple[str, str, str, str]) -> bool:
    """Tell whether a grant is part of one that was given: wildcards cover, conditions must be the same or none."""
    return all(fnmatch.fnmatchcase(new, old) for new, old in zip(grant[:3], given[:3], strict=True)) and given[3] in {grant[3], "{}"}


def aslist(value: Any) -> list[str]:
    """Return one or many as many."""
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def policy_widenings(old: str, new: str) -> Iterable[str]:
    """Yield grants that a policy has and had not, and refusals that it had and has not."""
    before, after = grants(old), grants(new)
    if before is None or after is None:
        yield "its policy changes to something that is only known afterwards: look at it with `preview --diff`"
        return
    for principal, action, resource, _ in sorted(grant for grant in after - before if not any(covers(given, grant) for given in before)):
        yield f"newly allows {action} on {resource}" + (f" to {principal}" if principal != "-" else "")
    denied = [{json.dumps(s, sort_keys=True) for s in json.loads(text).get("Statement", []) if s.get("Effect") == "Deny"} for text in (old, new)]
    for statement in sorted(denied[0] - denied[1]):
        yield f"no longer refuses {statement}"


def provider_findings(plan: Mapping[str, Any], deployed: Deployed) -> list[Finding]:
    """Return changes of provider resources, which no step shows: read from a saved plan."""
    before = {resource["urn"]: resource.get("inputs") or {} for resource in deployed.resources if type_of(resource["urn"]).startswith("pulumi:providers:")}
    out = []
    for urn, entry in (plan.get("resourcePlans") or {}).items():
        if not type_of(urn).startswith("pulumi:providers:") or urn not in before:
            continue
        inputs = (entry.get("goal") or {}).get("inputDiff") or {}
        if any(inputs.get(kind) for kind in ("adds", "deletes", "updates")):
            out.append(Finding("provider", urn, f"the provider's settings change ({', '.join(sorted(names_in(inputs)))}): that reaches every resource"))
    return out


def names_in(diff: Mapping[str, Any]) -> set[str]:
    """Return the names of the properties in a plan's difference."""
    return {str(name) for kind in ("adds", "deletes", "updates") for name in (diff.get(kind) or [])}


def read_sign_offs(folder: Path) -> list[SignOff]:
    """Return the sign-offs of the repository; ValueError where one lacks its reason or its day."""
    path = folder / SIGN_OFFS
    if not path.exists():
        return []
    out = []
    for entry in YAML(typ="safe").load(path.read_text(encoding="utf-8")) or []:
        missing = [key for key in ("urn", "reason", "by", "expires") if not (isinstance(entry, dict) and entry.get(key))]
        if missing:
            raise ValueError(f"{SIGN_OFFS}: a sign-off needs urn, reason, by and expires (YYYY-MM-DD); {', '.join(missing)} is missing in {entry}")
        expires = entry["expires"] if isinstance(entry["expires"], date) else date.fromisoformat(str(entry["expires"]))
        out.append(SignOff(str(entry["urn"]), str(entry["reason"]), str(entry["by"]), expires))
    return out


def judge(found: Iterable[Finding], sign_offs: Iterable[SignOff], today: date, meant: set[str]) -> Verdict:
    """Return the verdict: a finding is accepted by a sign-off of its very URN that has not expired."""
    signs = list(sign_offs)
    valid = {sign.urn: sign for sign in signs if sign.expires >= today}
    refused = tuple(finding for finding in found if finding.urn not in valid or finding.rule == "pending")
    accepted = tuple((finding, valid[finding.urn]) for finding in found if finding.urn in valid and finding.rule != "pending")
    used = {finding.urn for finding, _ in accepted}
    notes = [f"the sign-off of {sign.urn} expired on {sign.expires}: {sign.reason}" for sign in signs if sign.expires < today]
    notes += [f"the sign-off of {sign.urn} by {sign.by} was not needed: remove it" for sign in valid.values() if sign.urn not in used]
    return Verdict(refused, accepted, tuple(notes), tuple(sorted(meant)))


def show(verdict: Verdict, layout: str) -> str:
    """Return a verdict as text, markdown or JSON."""
    if layout == "json":
        rows = [{"rule": f.rule, "urn": f.urn, "message": f.message, "signed_off_by": None} for f in verdict.refused]
        rows += [{"rule": f.rule, "urn": f.urn, "message": f.message, "signed_off_by": s.by, "reason": s.reason} for f, s in verdict.accepted]
        return json.dumps({"passed": not verdict.refused, "changed": list(verdict.changed_services), "findings": rows, "notes": list(verdict.notes)}, indent=1)
    mark = "- " if layout == "markdown" else "  "
    code = "`" if layout == "markdown" else ""
    lines = [f"Changes are meant in: {', '.join(verdict.changed_services) or 'nothing'}."]
    lines += [f"{mark}REFUSED {f.rule}: {code}{name_of(f.urn)}{code} {f.message}\n{mark}  {code}{f.urn}{code}" for f in verdict.refused]
    lines += [f"{mark}signed off by {s.by} ({s.reason}): {code}{name_of(f.urn)}{code} {f.message}" for f, s in verdict.accepted]
    lines += [f"{mark}note: {note}" for note in verdict.notes]
    if verdict.refused:
        lines.append(f"The gate is closed. What is meant is signed off by its URN, with reason, by and expires, in {SIGN_OFFS}; anything else is mended.")
    else:
        lines.append("The gate is open.")
    return "\n".join(lines)
