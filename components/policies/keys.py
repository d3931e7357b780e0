"""The policy of a service's KMS key."""

from components.policies.documents import (
    KMS_USE_ACTIONS,
    PolicyDocument,
    ServiceScope,
    Statement,
    account_administers_key,
    policy_document,
)


def service_key_policy(scope: ServiceScope, *, has_cdn: bool) -> PolicyDocument:
    """Return the policy of the key that encrypts everything a service stores.

    Each AWS service can use the key for this service's resources only.
    """
    return policy_document(
        account_administers_key(scope.account_id),
        _log_group_statement(scope),
        *_auto_scaling_statements(scope.account_id),
        *([_cloudfront_statement(scope.account_id)] if has_cdn else []),
    )


def _log_group_statement(scope: ServiceScope) -> Statement:
    """Return the statement that lets CloudWatch encrypt the service's log group."""
    log_group = f"arn:aws:logs:{scope.region}:{scope.account_id}:log-group:{scope.log_group_name}"
    return {
        "Sid": "LogsOfThisService",
        "Effect": "Allow",
        "Principal": {"Service": f"logs.{scope.region}.amazonaws.com"},
        "Action": KMS_USE_ACTIONS,
        "Resource": "*",
        "Condition": {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": log_group}},
    }


def _auto_scaling_statements(account_id: str) -> tuple[Statement, Statement]:
    """Return the statements that let Auto Scaling start servers with encrypted disks.

    The role is a condition, not the principal: KMS refuses a principal that does not exist, and a new account has this
    role only after its first Auto Scaling group.
    """
    role = "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    condition = {
        "StringEquals": {"kms:CallerAccount": account_id},
        "ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{account_id}:role/{role}"},
    }
    return (
        {
            "Sid": "DisksOfScaledServers",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": KMS_USE_ACTIONS,
            "Resource": "*",
            "Condition": condition,
        },
        {
            "Sid": "GrantsForDisks",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": "kms:CreateGrant",
            "Resource": "*",
            "Condition": {**condition, "Bool": {"kms:GrantIsForAWSResource": "true"}},
        },
    )


def _cloudfront_statement(account_id: str) -> Statement:
    """Return the statement that lets the account's distributions decrypt files.

    It does not name the service's distribution, which is created after the bucket that this key encrypts.
    """
    return {
        "Sid": "FilesThroughCloudFront",
        "Effect": "Allow",
        "Principal": {"Service": "cloudfront.amazonaws.com"},
        "Action": "kms:Decrypt",
        "Resource": "*",
        "Condition": {"StringLike": {"AWS:SourceArn": f"arn:aws:cloudfront::{account_id}:distribution/*"}},
    }
