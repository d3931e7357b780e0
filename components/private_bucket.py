"""Creates a private S3 bucket: versioned, encrypted, and without public access."""

from collections.abc import Mapping
from typing import NamedTuple

import pulumi
from pulumi_aws.s3 import BucketLifecycleConfigurationRuleArgsDict
from pulumi_aws.s3.bucket import Bucket
from pulumi_aws.s3.bucket_lifecycle_configuration import BucketLifecycleConfiguration
from pulumi_aws.s3.bucket_ownership_controls import BucketOwnershipControls
from pulumi_aws.s3.bucket_public_access_block import BucketPublicAccessBlock
from pulumi_aws.s3.bucket_server_side_encryption_configuration import BucketServerSideEncryptionConfiguration
from pulumi_aws.s3.bucket_versioning import BucketVersioning

ABANDONED_UPLOAD_DAYS = 7  # unfinished uploads cost as much as files, and no listing shows them


class PrivateBucket(NamedTuple):
    """A bucket, and the settings that its policy must wait for."""

    bucket: Bucket
    public_access_block: BucketPublicAccessBlock
    ownership_controls: BucketOwnershipControls


def private_bucket(
    name: str,
    *,
    bucket_name: str,
    lifecycle: BucketLifecycleConfigurationRuleArgsDict,
    protect_data: bool,
    tags: Mapping[str, str],
    parent: pulumi.Resource,
    object_ownership: str = "BucketOwnerEnforced",
    key_arn: pulumi.Input[str] | None = None,
) -> PrivateBucket:
    """Create a bucket and its settings, except for its policy.

    bucket_name: resource name of the bucket itself; the settings are named `<name>-...`.
    lifecycle: what happens to old files and old versions; abandoned uploads are always removed.
    protect_data: refuse deletion in Pulumi. If false, deleting the bucket deletes its files.
    object_ownership: the default turns ACLs off.
    key_arn: KMS key that encrypts the files. Default: S3's own key.
    """
    opts = pulumi.ResourceOptions(parent=parent)
    bucket = Bucket(
        bucket_name,
        force_destroy=not protect_data,
        tags=tags,
        opts=pulumi.ResourceOptions(parent=parent, protect=protect_data),
    )
    public_access_block = BucketPublicAccessBlock(
        f"{name}-private",
        bucket=bucket.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=opts,
    )
    ownership_controls = BucketOwnershipControls(
        f"{name}-ownership", bucket=bucket.bucket, rule={"object_ownership": object_ownership}, opts=opts
    )
    _encryption(name, bucket, key_arn, opts)
    _versioning(name, bucket, lifecycle, parent)
    return PrivateBucket(bucket, public_access_block, ownership_controls)


def _encryption(
    name: str, bucket: Bucket, key_arn: pulumi.Input[str] | None, opts: pulumi.ResourceOptions
) -> BucketServerSideEncryptionConfiguration:
    """Encrypt new files with a KMS key, or with S3's own key.

    The bucket key makes KMS cost a hundredth: S3 derives the files' keys from it instead of calling KMS for each file.
    """
    resource_name = f"{name}-encryption"
    if key_arn is None:
        return BucketServerSideEncryptionConfiguration(
            resource_name,
            bucket=bucket.bucket,
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
            opts=opts,
        )
    return BucketServerSideEncryptionConfiguration(
        resource_name,
        bucket=bucket.bucket,
        rules=[
            {
                "apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms", "kms_master_key_id": key_arn},
                "bucket_key_enabled": True,
            }
        ],
        opts=opts,
    )


def _versioning(
    name: str, bucket: Bucket, lifecycle: BucketLifecycleConfigurationRuleArgsDict, parent: pulumi.Resource
) -> None:
    """Keep old versions of files for as long as the lifecycle rule says."""
    versioning = BucketVersioning(
        f"{name}-versions",
        bucket=bucket.bucket,
        versioning_configuration={"status": "Enabled"},
        opts=pulumi.ResourceOptions(parent=parent),
    )
    rule: BucketLifecycleConfigurationRuleArgsDict = {
        **lifecycle,
        "status": "Enabled",
        "filter": {"prefix": ""},
        "abort_incomplete_multipart_upload": {"days_after_initiation": ABANDONED_UPLOAD_DAYS},
    }
    BucketLifecycleConfiguration(
        f"{name}-lifecycle",
        bucket=bucket.bucket,
        rules=[rule],
        # A rule for old versions has no effect on a bucket that is not versioned yet.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[versioning]),
    )
