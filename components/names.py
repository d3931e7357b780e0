"""One place for what names, tags and limits the components share."""

from collections.abc import Mapping
from typing import Final

import pulumi

# Longest names that AWS takes, with the eight characters of Pulumi's random suffix (`-1a2b3c4`) taken off.
BALANCER_NAME_LIMIT: Final = 32 - 8
ROLE_NAME_LIMIT: Final = 64 - 8
DATABASE_NAME_LIMIT: Final = 63 - 8
BUCKET_NAME_LIMIT: Final = 63 - 8

POSTGRES_PORT: Final = 5432
HTTPS_PORT: Final = 443
HTTP_PORT: Final = 80
CERTIFICATE_REGION: Final = "us-east-1"  # CloudFront takes certificates from there only, and Route 53 logs its queries there

# ELB.17: the newest policies that AWS recommends, TLS 1.2 at the least.
TLS_POLICY: Final = "ELBSecurityPolicy-TLS13-1-2-2021-06"


def after(value: pulumi.Output[str], *made: pulumi.CustomResource) -> pulumi.Output[str]:
    """Return a value that is known only when other resources are made: AWS refuses what uses it before."""
    return pulumi.Output.all(value, *(resource.id for resource in made)).apply(lambda known: str(known[0]))


def tags(environment: str, name: str, service: str | None = None) -> dict[str, str]:
    """Return the tags of a resource. They stand on resources, not in the provider's default tags: one edit there would touch everything."""
    owner = {"Service": service} if service else {}
    return {"Name": name, "Environment": environment, "ManagedBy": "pulumi", **owner}


def policy_document(*statements: Mapping[str, object]) -> dict[str, object]:
    """Return an IAM policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def root_access(account_id: str) -> dict[str, object]:
    """Return the statement without which a key could no longer be managed by anybody (KMS's own default)."""
    return {"Sid": "AccountAdministers", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account_id}:root"}, "Action": "kms:*", "Resource": "*"}


def assumable_by(service: str) -> dict[str, object]:
    """Return a trust policy for an AWS service."""
    return policy_document({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"})
