"""Which resources hold data, and which of their settings protect it.

A test compares both lists of types with every type that the program can create.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from common.console import count

# Deleting or replacing one of these loses data. Without its KMS key a backup is unreadable, a new hosted zone has other
# name servers, a mail identity has a reputation to lose, and an address may be on the allow list of a partner.
DATA_TYPES = frozenset(
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
# The other types that the program creates. A new one is as good as the old one.
STATELESS_TYPES = frozenset(
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

# Settings by which AWS protects data, with the value that switches the protection off.
PROTECTION_SETTINGS = {
    "deletionProtection": False,
    "enableDeletionProtection": False,
    "skipFinalSnapshot": True,
    "forceDestroy": True,
    "deleteAutomatedBackups": True,
    "enableKeyRotation": False,
    "storageEncrypted": False,
}
DEFAULTS = {"deleteAutomatedBackups": True}  # what AWS assumes if a setting is missing; False for all others
PROTECTION_TYPES = frozenset({"aws:s3/bucketVersioning:BucketVersioning"})  # deleting one of these removes a protection
# Settings in days, with the consequence of a lower value.
RETENTION_SETTINGS = {
    "backupRetentionPeriod": "older backups are deleted",
    "retentionInDays": "older logs are deleted",
    "deletionWindowInDays": "a deleted key can be recovered for a shorter time",
}
EXPIRATIONS = (("expiration", "days"), ("noncurrentVersionExpiration", "noncurrentDays"))


@dataclass(frozen=True)
class Weakening:
    """A protection that a change removes or weakens. setting: the property or the part of it that changes."""

    setting: str
    message: str


def weakenings(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Weakening]:
    """Yield each protection of data that a change of a resource's inputs removes or weakens."""
    for setting, off in PROTECTION_SETTINGS.items():
        default = DEFAULTS.get(setting, False)
        if bool(old.get(setting, default)) is not off and bool(new.get(setting, default)) is off:
            yield Weakening(setting, f"changes {setting} to {str(off).lower()}, which removes a protection of its data")
    for setting, consequence in RETENTION_SETTINGS.items():
        before, after = retention_days(setting, old), retention_days(setting, new)
        if before is not None and after is not None and after < before:
            yield Weakening(setting, f"reduces {setting} from {in_days(before)} to {in_days(after)}; {consequence}")
    before_rules, after_rules = expiration_days(old), expiration_days(new)
    for rule, days in after_rules.items():
        before = before_rules.get(rule, math.inf)
        if days < before:
            yield Weakening(rule, f"reduces {rule} from {in_days(before)} to {in_days(days)}; older data is deleted")
    statuses = [(inputs.get("versioningConfiguration") or {}).get("status") for inputs in (old, new)]
    if statuses[0] == "Enabled" and statuses[1] != "Enabled":
        message = f"changes versioning from Enabled to {statuses[1]}; overwritten files can no longer be restored"
        yield Weakening("versioningConfiguration", message)


def retention_days(setting: str, inputs: Mapping[str, Any]) -> float | None:
    """Return a retention in days, or None if it is unknown. CloudWatch keeps logs forever if it is missing or 0."""
    days = inputs.get(setting)
    if setting == "retentionInDays":
        days = days or math.inf
    return days if isinstance(days, int | float) else None


def in_days(days: float) -> str:
    """Return a retention as people write it."""
    return "forever" if math.isinf(days) else count(int(days), "day")


def expiration_days(inputs: Mapping[str, Any]) -> dict[str, float]:
    """Return after how many days each enabled lifecycle rule of a bucket deletes something, by a label of the rule."""
    expirations: dict[str, float] = {}
    for rule in inputs.get("rules") or []:
        if not isinstance(rule, Mapping) or rule.get("status") == "Disabled":
            continue
        for action, field in EXPIRATIONS:
            days = (rule.get(action) or {}).get(field)
            if isinstance(days, int | float):
                scope = json.dumps(rule["filter"], sort_keys=True) if rule.get("filter") else "everything"
                expirations[f"{action} of rule {rule.get('id')} for {scope}"] = days
    return expirations
