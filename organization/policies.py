"""The policies of what exists once for all environments."""

import json
from collections.abc import Sequence

from components.policies.documents import (
    PolicyDocument,
    account_administers_key,
    policy_document,
    refuse_plain_http,
)

PULL_ACTIONS = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
PUSH_ACTIONS = (
    *PULL_ACTIONS,
    "ecr:CompleteLayerUpload",
    "ecr:DescribeImages",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)
UNTAGGED_DAYS = 30  # images without a tag are left by builds that failed half-way
KEPT_IMAGES = 500  # ECR keeps at most 20,000; a service that releases every working day needs two years for 500


def pull_policy(accounts: Sequence[str]) -> PolicyDocument:
    """Return the policy of a repository: the servers of these accounts pull from it, and `preflight` looks into it."""
    return policy_document(
        {
            "Sid": "EnvironmentsPull",
            "Effect": "Allow",
            "Principal": {"AWS": [f"arn:aws:iam::{account}:root" for account in accounts]},
            "Action": [*PULL_ACTIONS, "ecr:DescribeImages"],
        }
    )


def lifecycle_policy() -> str:
    """Return which images ECR deletes.

    A release names its image by digest, and its version is a tag, so the newest versions are kept. Source: ECR user
    guide, "Automate the cleanup of images by using lifecycle policies".
    """
    untagged = {
        "rulePriority": 1,
        "description": "left by builds that failed",
        "selection": {
            "tagStatus": "untagged",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": UNTAGGED_DAYS,
        },
        "action": {"type": "expire"},
    }
    old = {
        "rulePriority": 2,
        "description": "old versions",
        "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEPT_IMAGES},
        "action": {"type": "expire"},
    }
    return json.dumps({"rules": [untagged, old]})


def push_policy(repository_arn: str) -> PolicyDocument:
    """Return what a workflow needs to push images to one repository."""
    return policy_document(
        {"Sid": "Login", "Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {"Sid": "Push", "Effect": "Allow", "Action": PUSH_ACTIONS, "Resource": repository_arn},
    )


def push_trust_policy(*, identity_provider_arn: str, issuer: str, repository: str) -> PolicyDocument:
    """Return the trust policy of a push role: only workflows on the main branch of one GitHub repository assume it."""
    return policy_document(
        {
            "Effect": "Allow",
            "Principal": {"Federated": identity_provider_arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {
                    f"{issuer}:aud": "sts.amazonaws.com",
                    f"{issuer}:sub": f"repo:{repository}:ref:refs/heads/main",
                }
            },
        }
    )


def key_policy(account_id: str) -> PolicyDocument:
    """Return the policy of a key that only its own account uses. ECR uses it through grants of its own."""
    return policy_document(account_administers_key(account_id))


def state_bucket_policy(bucket_arn: str) -> PolicyDocument:
    """Return the policy of the bucket of states: TLS only. Who may read it is decided by the roles of the account."""
    return policy_document(refuse_plain_http(bucket_arn))
