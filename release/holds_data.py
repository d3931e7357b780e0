"""What a change must not take away: the types that hold data, and the settings by which AWS keeps it. One place, tested against every type that the program can make."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

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
        "aws:route53/healthCheck:HealthCheck",
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

# An AWS setting that guards what is there: what each says when it is off, so that lowering it can be told from raising it.
GUARDS = {
    "deletionProtection": False,
    "enableDeletionProtection": False,
    "skipFinalSnapshot": True,
    "forceDestroy": True,
    "deleteAutomatedBackups": True,
    "enableKeyRotation": False,
    "storageEncrypted": False,
}
GUARDIANS = frozenset({"aws:s3/bucketVersioning:BucketVersioning"})  # deleted, it is as if its guard were lowered
KEPT_DAYS = ("backupRetentionPeriod", "retentionInDays", "deletionWindowInDays")  # fewer of them, and what is older is gone


def lowered(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[str]:
    """Yield each guard of data that a change takes away."""
    for name, off in GUARDS.items():
        unsaid = name == "deleteAutomatedBackups"  # what AWS takes where nothing is said: false, but for this
        if bool(old.get(name, unsaid)) is not off and bool(new.get(name, unsaid)) is off:
            yield f"{name} goes to {str(off).lower()}"
    for name in KEPT_DAYS:
        before, after = (for_ever(inputs.get(name)) if name == "retentionInDays" else inputs.get(name) for inputs in (old, new))
        if isinstance(before, int | float) and isinstance(after, int | float) and after < before:
            yield f"{name} goes from {before:g} to {after:g}: what is older is gone"
    earlier, later = expiries(old), expiries(new)
    yield from (f"{name} goes from {earlier.get(name, 'never')} to {days} days: what is older is gone" for name, days in later.items() if days < earlier.get(name, float("inf")))
    before, after = ((inputs.get("versioningConfiguration") or {}).get("status") for inputs in (old, new))
    if before == "Enabled" and after != "Enabled":
        yield f"versioning goes to {after}: what is overwritten is gone"


def for_ever(days: Any) -> Any:
    """Return days of logs; none and 0 are for ever (CloudWatch)."""
    return days or float("inf")


def expiries(inputs: Mapping[str, Any]) -> dict[str, float]:
    """Return after how many days a bucket's lifecycle rules take something away."""
    out: dict[str, float] = {}
    for rule in inputs.get("rules") or []:
        if isinstance(rule, Mapping) and rule.get("status") != "Disabled":
            for what, field in (("expiration", "days"), ("noncurrentVersionExpiration", "noncurrentDays")):
                days = (rule.get(what) or {}).get(field)
                if isinstance(days, int | float):
                    out[f"{what} of {rule.get('id')} for {json.dumps(rule.get('filter') or 'everything', sort_keys=True)}"] = days
    return out
