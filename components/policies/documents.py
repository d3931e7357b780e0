"""What IAM, KMS and bucket policies have in common."""

from collections.abc import Mapping
from dataclasses import dataclass

Statement = Mapping[str, object]
PolicyDocument = Mapping[str, object]

# What an AWS service needs to encrypt and decrypt with a key. Source: CloudWatch Logs user guide, "Encrypt log data".
KMS_USE_ACTIONS = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey")


@dataclass(frozen=True, kw_only=True)
class ServiceScope:
    """The service and environment that a policy is limited to."""

    environment: str
    """Name of the environment, such as `beta`."""

    service: str
    """Name of the service, such as `members`."""

    region: str
    """AWS region of the environment, such as `us-east-1`."""

    account_id: str
    """ID of the environment's AWS account, 12 digits."""

    @property
    def log_group_name(self) -> str:
        """Return the name of the log group that the service's servers write to."""
        return f"/{self.environment}/{self.service}/servers"


def policy_document(*statements: Statement) -> PolicyDocument:
    """Return a policy that consists of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def service_trust_policy(principal: str) -> PolicyDocument:
    """Return the trust policy of a role that an AWS service assumes, such as `ec2.amazonaws.com`."""
    return policy_document({"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"})


def account_administers_key(account_id: str) -> Statement:
    """Return the statement that lets the account manage a key. Without it, nobody could ever change the key again."""
    return {
        "Sid": "AccountAdministers",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account_id}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }


def refuse_plain_http(bucket_arn: str) -> Statement:
    """Return the statement by which a bucket refuses every request that does not use TLS (S3.5)."""
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
