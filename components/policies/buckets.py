"""The policy of a bucket behind CloudFront, and the statements of the roles that use its files."""

from components.policies.documents import PolicyDocument, Statement, policy_document, refuse_plain_http


def cdn_bucket_policy(bucket_arn: str, distribution_arn: str) -> PolicyDocument:
    """Return the policy of a bucket that only one CloudFront distribution reads."""
    return policy_document(
        {
            "Sid": "DistributionReads",
            "Effect": "Allow",
            "Principal": {"Service": "cloudfront.amazonaws.com"},
            "Action": "s3:GetObject",
            "Resource": f"{bucket_arn}/*",
            "Condition": {"StringEquals": {"AWS:SourceArn": distribution_arn}},
        },
        refuse_plain_http(bucket_arn),
    )


def bucket_access_statements(bucket_arn: str, object_actions: list[str]) -> tuple[Statement, Statement]:
    """Return the statements that let a role use the files of a bucket and list them."""
    return (
        {"Sid": "OwnFiles", "Effect": "Allow", "Action": object_actions, "Resource": f"{bucket_arn}/*"},
        {"Sid": "OwnBucket", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket_arn},
    )
