"""Creates a KMS key with an alias."""

import json
from collections.abc import Mapping

import pulumi
from pulumi_aws.kms.alias import Alias
from pulumi_aws.kms.key import Key

from components.policies.documents import PolicyDocument

DELETION_DAYS = 30  # the longest period that KMS allows between a request to delete a key and its deletion


def encryption_key(
    name: str,
    *,
    alias: str,
    description: str,
    policy: PolicyDocument,
    protect: bool,
    tags: Mapping[str, str],
    parent: pulumi.Resource,
) -> Key:
    """Create a key that KMS rotates every year, and its alias `alias/<alias>`.

    protect: refuse deletion in Pulumi. Without its key, encrypted data and all its backups are lost.
    """
    key = Key(
        f"{name}-key",
        description=description,
        enable_key_rotation=True,
        deletion_window_in_days=DELETION_DAYS,
        policy=json.dumps(policy),
        tags=tags,
        opts=pulumi.ResourceOptions(parent=parent, protect=protect),
    )
    Alias(
        f"{name}-key-alias",
        name=f"alias/{alias}",
        target_key_id=key.id,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return key
