"""The role that a service's workflow deploys with: who can assume it, and what it can change."""

from components.policies.buckets import bucket_access_statements
from components.policies.documents import PolicyDocument, ServiceScope, Statement, policy_document

GITHUB_ISSUER = "token.actions.githubusercontent.com"
CHANGE_ACTIONS = (
    "ec2:CreateLaunchTemplateVersion",
    "ec2:ModifyLaunchTemplate",
    "autoscaling:UpdateAutoScalingGroup",
    "autoscaling:StartInstanceRefresh",
    "autoscaling:CancelInstanceRefresh",
    "autoscaling:RollbackInstanceRefresh",
    "autoscaling:PutScalingPolicy",
    "elasticloadbalancing:ModifyTargetGroup",
    "elasticloadbalancing:ModifyTargetGroupAttributes",
    "elasticloadbalancing:ModifyRule",
    "rds:ModifyDBInstance",
    "cloudwatch:PutMetricAlarm",
)
READ_ACTIONS = (
    "ec2:Describe*",
    "autoscaling:Describe*",
    "elasticloadbalancing:Describe*",
    "rds:Describe*",
    "cloudwatch:Describe*",
    "rds:ListTagsForResource",
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
    tags = {"aws:ResourceTag/Service": scope.service, "aws:ResourceTag/Environment": scope.environment}
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


def _start_server_statements(scope: ServiceScope, launch_template_id: str) -> list[Statement]:
    """Return the statements for starting servers from the service's own launch template.

    Auto Scaling checks as the deployer whether a server could be started: with the image and the security groups that
    the template names, in any subnet of the group.
    """
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
            "Resource": [f"{prefix}:security-group/*", f"arn:aws:ec2:{scope.region}::image/*"],
            "Condition": {**from_own_template, "Bool": {"ec2:IsLaunchTemplateResource": "true"}},
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
