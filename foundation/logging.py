"""Where the environment's logs and alarms go: a KMS key, buckets for access logs, and the topic of alarms."""

from dataclasses import dataclass
from functools import partial

import pulumi
from pulumi_aws.kms.key import Key
from pulumi_aws.s3.bucket import Bucket
from pulumi_aws.s3.bucket_policy import BucketPolicy
from pulumi_aws.sns.topic import Topic
from pulumi_aws.sns.topic_subscription import TopicSubscription

from components import type_tokens
from components.encryption_key import encryption_key
from components.outputs import available_after, json_document
from components.private_bucket import private_bucket
from components.tags import resource_tags
from foundation.policies import foundation_key_policy, log_bucket_policy
from settings.models import Operations

OLD_VERSION_DAYS = 30  # how long a log that was overwritten or deleted can be recovered


@dataclass(frozen=True, kw_only=True)
class LoggingArgs:
    """Whose logs are kept, for how long, and who receives alarms."""

    environment: str
    """Name of the environment. It is part of fixed names and of tags."""

    account_id: str
    """ID of the AWS account, 12 digits. With a wrong ID, no AWS service can write its logs."""

    region: str
    """AWS region of the environment."""

    operations: Operations
    """Days for which access logs are kept, and the addresses that alarms are sent to."""

    protect_data: bool = True
    """Whether Pulumi refuses to delete the key and the buckets, and AWS to delete a bucket with logs. Default: true."""


class Logging(pulumi.ComponentResource):
    """The foundation's KMS key, two buckets for access logs, and an SNS topic with its subscriptions.

    Load balancers write to one bucket, CloudFront and S3 to the other.

    Does not create log groups: each belongs to the component that writes to it. Does not create alarms: they belong to
    what they observe. Does not confirm email subscriptions: each recipient must do that.
    """

    key_arn: pulumi.Output[str]
    balancer_log_bucket: pulumi.Output[str]
    cdn_log_bucket: pulumi.Output[str]
    cdn_log_bucket_domain: pulumi.Output[str]
    alarm_topic_arn: pulumi.Output[str]

    def __init__(self, name: str, args: LoggingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the key, the buckets and the topic."""
        super().__init__(type_tokens.LOGGING, name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        key = self._key()
        _, balancer_policy = self._log_bucket("balancer-logs", object_ownership="BucketOwnerEnforced")
        # CloudFront writes its logs with an ACL, which BucketOwnerEnforced refuses.
        cdn_bucket, cdn_policy = self._log_bucket("cdn-logs", object_ownership="BucketOwnerPreferred")
        self.key_arn = key.arn
        # The buckets are available once they have their policies: AWS refuses a load balancer or a distribution whose
        # log bucket does not let it write yet.
        self.balancer_log_bucket = balancer_policy.bucket
        self.cdn_log_bucket = cdn_policy.bucket
        self.cdn_log_bucket_domain = available_after(cdn_bucket.bucket_domain_name, cdn_policy)
        self.alarm_topic_arn = self._alarm_topic(key).arn
        self.register_outputs(
            {
                "key_arn": self.key_arn,
                "balancer_log_bucket": self.balancer_log_bucket,
                "cdn_log_bucket": self.cdn_log_bucket,
                "alarm_topic_arn": self.alarm_topic_arn,
            }
        )

    def _tags(self, part: str) -> dict[str, str]:
        """Return the tags of one resource."""
        return resource_tags(self._args.environment, f"{self._args.environment}-{part}")

    def _key(self) -> Key:
        """Create the key that encrypts log groups and alarms."""
        args = self._args
        return encryption_key(
            self._name,
            alias=f"{args.environment}/foundation",
            description=f"{args.environment}: logs and alarms of the foundation",
            policy=foundation_key_policy(environment=args.environment, account_id=args.account_id, region=args.region),
            protect=args.protect_data,
            tags=self._tags("key"),
            parent=self,
        )

    def _log_bucket(self, part: str, *, object_ownership: str) -> tuple[Bucket, BucketPolicy]:
        """Create a bucket for access logs.

        S3's own key encrypts it, because load balancers cannot write to a bucket that has a customer's key.
        """
        name, args = f"{self._name}-{part}", self._args
        storage = private_bucket(
            name,
            bucket_name=name,
            lifecycle={
                "id": "old-logs",
                "status": "Enabled",
                "expiration": {"days": args.operations.log_days},
                "noncurrent_version_expiration": {"noncurrent_days": OLD_VERSION_DAYS},
            },
            object_ownership=object_ownership,
            protect_data=args.protect_data,
            tags=self._tags(part),
            parent=self,
        )
        policy = BucketPolicy(
            f"{name}-policy",
            bucket=storage.bucket.bucket,
            policy=json_document(partial(log_bucket_policy, account_id=args.account_id), bucket_arn=storage.bucket.arn),
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[storage.public_access_block, storage.ownership_controls]
            ),
        )
        return storage.bucket, policy

    def _alarm_topic(self, key: Key) -> Topic:
        """Create the topic that every alarm of the environment is sent to, and subscribe the email addresses."""
        topic = Topic(f"{self._name}-alarms", kms_master_key_id=key.id, tags=self._tags("alarms"), opts=self._child)
        for address in self._args.operations.alarm_emails:
            part = "".join(character if character.isalnum() else "-" for character in address.lower())
            TopicSubscription(
                f"{self._name}-alarms-{part}", topic=topic.arn, protocol="email", endpoint=address, opts=self._child
            )
        return topic
