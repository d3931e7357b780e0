"""The policies of the foundation as pure functions: they take plain values and return documents."""

from components.constants import GLOBAL_SERVICES_REGION
from components.policies.documents import (
    KMS_USE_ACTIONS,
    PolicyDocument,
    account_administers_key,
    policy_document,
    refuse_plain_http,
)

LOG_WRITERS = (
    "logdelivery.elasticloadbalancing.amazonaws.com",
    "delivery.logs.amazonaws.com",
    "logging.s3.amazonaws.com",
)


def foundation_key_policy(*, environment: str, account_id: str, region: str) -> PolicyDocument:
    """Return the policy of the key that encrypts the foundation's logs and alarms."""
    regions = sorted({region, GLOBAL_SERVICES_REGION})  # Route 53 logs queries in the second one
    log_groups = f"arn:aws:logs:*:{account_id}:log-group:/{environment}/*"
    return policy_document(
        account_administers_key(account_id),
        {
            "Sid": "Logs",
            "Effect": "Allow",
            "Principal": {"Service": [f"logs.{log_region}.amazonaws.com" for log_region in regions]},
            "Action": KMS_USE_ACTIONS,
            "Resource": "*",
            "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": log_groups}},
        },
        {
            "Sid": "Alarms",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
            "Resource": "*",
            "Condition": _source_account(account_id),
        },
    )


def log_bucket_policy(bucket_arn: str, *, account_id: str) -> PolicyDocument:
    """Return the policy of a bucket that load balancers, CloudFront and S3 write access logs to."""
    return policy_document(
        {
            "Sid": "BalancersWrite",
            "Effect": "Allow",
            "Principal": {"Service": LOG_WRITERS},
            "Action": "s3:PutObject",
            "Resource": f"{bucket_arn}/*",
            "Condition": _source_account(account_id),
        },
        {
            "Sid": "NetworkBalancersLook",
            "Effect": "Allow",
            "Principal": {"Service": "delivery.logs.amazonaws.com"},
            "Action": ["s3:GetBucketAcl", "s3:ListBucket"],
            "Resource": bucket_arn,
            "Condition": _source_account(account_id),
        },
        refuse_plain_http(bucket_arn),
    )


def flow_log_policy(log_group_arn: str) -> PolicyDocument:
    """Return the permissions of the role that writes VPC flow logs."""
    return policy_document(
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
            "Resource": f"{log_group_arn}:*",
        },
        {
            "Effect": "Allow",
            "Action": "logs:DescribeLogGroups",
            "Resource": "*",  # this action cannot be limited to a resource
        },
    )


def query_log_policy(*, environment: str, account_id: str) -> PolicyDocument:
    """Return the resource policy that lets Route 53 log the queries of the environment's zone."""
    log_groups = f"arn:aws:logs:{GLOBAL_SERVICES_REGION}:{account_id}:log-group:/{environment}/route53/*"
    return policy_document(
        {
            "Effect": "Allow",
            "Principal": {"Service": "route53.amazonaws.com"},
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": log_groups,
            "Condition": _source_account(account_id),
        }
    )


def _source_account(account_id: str) -> dict[str, dict[str, str]]:
    """Return the condition that an AWS service acts for this account, and not for somebody else's."""
    return {"StringEquals": {"aws:SourceAccount": account_id}}
