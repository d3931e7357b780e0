"""Where Pulumi keeps the state of all environments, for those who do not use Pulumi Cloud."""

from dataclasses import dataclass

import pulumi
from pulumi_aws.s3.bucket_policy import BucketPolicy

from components import type_tokens
from components.encryption_key import encryption_key
from components.outputs import available_after, json_document
from components.private_bucket import private_bucket
from components.tags import resource_tags
from organization.policies import key_policy, state_bucket_policy

SCOPE = "organization"
OLD_VERSION_DAYS = 365  # how long an earlier state can be restored


@dataclass(frozen=True, kw_only=True)
class StateBucketArgs:
    """Whose bucket it is."""

    account_id: str
    """ID of the account, 12 digits. With a wrong ID, nobody can use the key."""


class StateBucket(pulumi.ComponentResource):
    """A versioned bucket for Pulumi's states, and the key that encrypts it and the secrets in them.

    Both are protected: without them, Pulumi no longer knows what it manages.

    Does not let anybody read or write it: that is decided by the roles of the account.
    """

    bucket: pulumi.Output[str]
    key_alias: str

    def __init__(self, name: str, args: StateBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the key and the bucket."""
        super().__init__(type_tokens.STATE_BUCKET, name, None, opts)
        tags, alias = resource_tags(SCOPE, "pulumi-state"), "pulumi-state"
        key = encryption_key(
            name,
            alias=alias,
            description="state of Pulumi, and the secrets in it",
            policy=key_policy(args.account_id),
            protect=True,
            tags=tags,
            parent=self,
        )
        private = private_bucket(
            name,
            bucket_name=f"{name}-bucket",
            lifecycle={
                "id": "old-states",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "noncurrent_version_expiration": {"noncurrent_days": OLD_VERSION_DAYS},
            },
            protect_data=True,
            tags=tags,
            parent=self,
            key_arn=key.arn,
        )
        BucketPolicy(
            f"{name}-policy",
            bucket=private.bucket.bucket,
            policy=json_document(state_bucket_policy, bucket_arn=private.bucket.arn),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[private.public_access_block]),
        )
        self.bucket = available_after(private.bucket.bucket, private.public_access_block)
        self.key_alias = alias
        self.register_outputs({"bucket": self.bucket})
