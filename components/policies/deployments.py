"""The role that a service's workflow deploys with: who can assume it, and what it can change."""

from components.policies.buckets import bucket_access_statements
from components.policies.documents import PolicyDocument, ServiceScope, Statement, policy_document

GITHUB_ISSUER = "token.actions.githubusercontent.com"
# What a release or a sizing changes. A rule of the shared load balancer is not among it: with other conditions, it
# would take over the requests of another service.
CHANGE_ACTIONS = (
    "ec2:CreateLaunchTemplateVersion",
    "ec2:ModifyLaunchTemplate",
    "autoscaling:StartInstanceRefresh",
    "autoscaling:CancelInstanceRefresh",
    "autoscaling:RollbackInstanceRefresh",
    "autoscaling:PutScalingPolicy",
    "elasticloadbalancing:ModifyTargetGroup",
    "elasticloadbalancing:ModifyTargetGroupAttributes",
    "rds:ModifyDBInstance",
    "cloudwatch:PutMetricAlarm",
)
# What Pulumi's provider and `./infra` read of these resources. IAM cannot limit most of it to one service. The user
# data of running servers (ec2:DescribeInstanceAttribute) is left out. Launch templates show it, too, but it has no
# secrets.
READ_ACTIONS = (
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeInstanceTypes",
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeInstanceRefreshes",
    "autoscaling:DescribeLoadBalancerTargetGroups",
    "autoscaling:DescribePolicies",
    "autoscaling:DescribeScalingActivities",
    "autoscaling:DescribeTags",
    "autoscaling:DescribeTrafficSources",
    "autoscaling:DescribeWarmPool",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "rds:DescribeDBInstances",
    "rds:ListTagsForResource",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:ListTagsForResource",
)


def deploy_trust_policy(scope: ServiceScope, *, identity_provider_arn: str, repository: str) -> PolicyDocument:
    """Return the trust policy of a service's deploy role.

    Only jobs of the GitHub environment `<environment>-<service>`, which has its own reviewers, get this subject.
    """
    subject = f"repo:{repository}:environment:{scope.environment}-{scope.service}"
    return policy_document(
        {
            "Effect": "Allow",
            "Principal": {"Federated": identity_provider_arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {f"{GITHUB_ISSUER}:aud": "sts.amazonaws.com", f"{GITHUB_ISSUER}:sub": subject}
            },
        }
    )


def deploy_policy(
    scope: ServiceScope,
    *,
    launch_template_id: str,
    server_role_arn: str,
    bucket_arn: str | None = None,
    distribution_id: str | None = None,
) -> PolicyDocument:
    """Return what a service's workflow can change: this service's resources in this environment, and nothing else.

    bucket_arn, distribution_id: None if the service has no CDN.
    """
    tags = _own_tags(scope)
    files: list[Statement] = []
    if bucket_arn is not None and distribution_id is not None:
        files = _file_statements(scope.account_id, bucket_arn, distribution_id)
    return policy_document(
        {
            "Sid": "OwnResources",
            "Effect": "Allow",
            "Action": CHANGE_ACTIONS,
            "Resource": "*",
            "Condition": {"StringEquals": tags},
        },
        {
            "Sid": "OwnGroup",
            "Effect": "Allow",
            "Action": "autoscaling:UpdateAutoScalingGroup",
            "Resource": "*",
            # With $Latest, AWS would not check later versions of the template, which can name another service's role.
            # Source: EC2 Auto Scaling user guide, "Control Amazon EC2 launch template usage in Auto Scaling groups".
            "Condition": {
                "StringEquals": tags,
                "BoolIfExists": {"autoscaling:LaunchTemplateVersionSpecified": "true"},
            },
        },
        *_start_server_statements(scope, launch_template_id),
        *files,
        {
            "Sid": "HandOnOwnRole",
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": server_role_arn,
            "Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        },
        {"Sid": "Look", "Effect": "Allow", "Action": READ_ACTIONS, "Resource": "*"},
    )


def _own_tags(scope: ServiceScope) -> dict[str, str]:
    """Return the condition that a resource is the service's in this environment."""
    return {"aws:ResourceTag/Service": scope.service, "aws:ResourceTag/Environment": scope.environment}


def _start_server_statements(scope: ServiceScope, launch_template_id: str) -> list[Statement]:
    """Return the statements for starting servers from the service's own launch template.

    Auto Scaling checks as the deployer whether a server could be started: with the image that the template names, in
    security groups of the service and in any subnet of the group.
    """
    own_tags = _own_tags(scope)
    prefix = f"arn:aws:ec2:{scope.region}:{scope.account_id}"
    template = f"{prefix}:launch-template/{launch_template_id}"
    started = [f"{prefix}:{kind}/*" for kind in ("instance", "volume", "network-interface")]
    from_own_template = {"ArnEquals": {"ec2:LaunchTemplate": template}}
    return [
        {
            "Sid": "StartServers",
            "Effect": "Allow",
            "Action": "ec2:RunInstances",
            "Resource": [*started, f"{prefix}:subnet/*", template],
            "Condition": from_own_template,
        },
        {
            "Sid": "StartAsTheTemplateSays",
            "Effect": "Allow",
            "Action": "ec2:RunInstances",
            "Resource": f"arn:aws:ec2:{scope.region}::image/*",
            "Condition": {**from_own_template, "Bool": {"ec2:IsLaunchTemplateResource": "true"}},
        },
        {
            "Sid": "StartInOwnSecurityGroup",
            "Effect": "Allow",
            "Action": "ec2:RunInstances",
            "Resource": f"{prefix}:security-group/*",
            "Condition": {**from_own_template, "StringEquals": own_tags},
        },
        {
            "Sid": "TagServers",
            "Effect": "Allow",
            "Action": "ec2:CreateTags",
            "Resource": started,
            "Condition": {
                "StringEquals": {
                    "ec2:CreateAction": "RunInstances",
                    "aws:RequestTag/Service": scope.service,
                    "aws:RequestTag/Environment": scope.environment,
                }
            },
        },
    ]


def _file_statements(account_id: str, bucket_arn: str, distribution_id: str) -> list[Statement]:
    """Return the statements for publishing the service's files."""
    return [
        *bucket_access_statements(bucket_arn, ["s3:PutObject", "s3:DeleteObject"]),
        {
            "Sid": "ShowNewFiles",
            "Effect": "Allow",
            "Action": "cloudfront:CreateInvalidation",
            "Resource": f"arn:aws:cloudfront::{account_id}:distribution/{distribution_id}",
        },
    ]
