"""What the environment writes down and encrypts: its key, the buckets of access logs, and the topic of alarms."""

from dataclasses import dataclass

import pulumi
from pulumi_aws.kms.alias import Alias
from pulumi_aws.kms.key import Key
from pulumi_aws.s3.bucket import Bucket
from pulumi_aws.s3.bucket_lifecycle_configuration import BucketLifecycleConfiguration
from pulumi_aws.s3.bucket_ownership_controls import BucketOwnershipControls
from pulumi_aws.s3.bucket_policy import BucketPolicy
from pulumi_aws.s3.bucket_public_access_block import BucketPublicAccessBlock
from pulumi_aws.s3.bucket_server_side_encryption_configuration import BucketServerSideEncryptionConfiguration
from pulumi_aws.s3.bucket_versioning import BucketVersioning
from pulumi_aws.sns.topic import Topic
from pulumi_aws.sns.topic_subscription import TopicSubscription

from components.names import after, policy_document, root_access, tags

TYPE = "hundredx:foundation:Records"
USE_KEY = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]


@dataclass(frozen=True)
class RecordsArgs:
    """log_days: how long access logs are kept. alarm_emails: who is told. protect_data: keep what is recorded."""

    environment: str
    account_id: str
    region: str
    log_days: int
    alarm_emails: tuple[str, ...]
    protect_data: bool


class Records(pulumi.ComponentResource):
    """The environment's own key, a bucket each for the balancers' and the distributions' access logs, the alarm topic."""

    key_arn: pulumi.Output[str]
    balancer_log_bucket: pulumi.Output[str]
    cdn_log_bucket: pulumi.Output[str]
    cdn_log_bucket_domain: pulumi.Output[str]
    alarm_topic_arn: pulumi.Output[str]

    def __init__(self, name: str, args: RecordsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make them."""
        super().__init__(TYPE, name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        key = self._key()
        _, balancer_policy = self._bucket("balancer-logs", "BucketOwnerEnforced")
        # CloudFront writes its logs with an ACL; with BucketOwnerEnforced it could not.
        files, files_policy = self._bucket("cdn-logs", "BucketOwnerPreferred")
        topic = self._topic(key)
        self.key_arn = key.arn
        # After policy and ownership: a balancer or distribution whose log bucket does not let it write yet is refused.
        self.balancer_log_bucket = balancer_policy.bucket
        self.cdn_log_bucket, self.cdn_log_bucket_domain = files_policy.bucket, after(files.bucket_domain_name, files_policy)
        self.alarm_topic_arn = topic.arn
        self.register_outputs(
            {
                "key_arn": self.key_arn,
                "balancer_log_bucket": self.balancer_log_bucket,
                "cdn_log_bucket": self.cdn_log_bucket,
                "alarm_topic_arn": self.alarm_topic_arn,
            }
        )

    def _tags(self, part: str) -> dict[str, str]:
        return tags(self._args.environment, f"{self._args.environment}-{part}")

    def _key(self) -> Key:
        args = self._args
        of_this_account = {"StringEquals": {"aws:SourceAccount": args.account_id}}
        policy = policy_document(
            root_access(args.account_id),
            {
                "Sid": "Logs",
                "Effect": "Allow",
                "Principal": {"Service": sorted({f"logs.{args.region}.amazonaws.com", "logs.us-east-1.amazonaws.com"})},  # Route 53 logs its queries in us-east-1
                "Action": USE_KEY,
                "Resource": "*",
                "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:*:{args.account_id}:log-group:/{args.environment}/*"}},
            },
            {
                "Sid": "Alarms",
                "Effect": "Allow",
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
                "Resource": "*",
                "Condition": of_this_account,
            },
        )
        key = Key(
            f"{self._name}-key",
            description=f"{args.environment}: logs and alarms of the foundation",
            enable_key_rotation=True,
            deletion_window_in_days=30,
            policy=pulumi.Output.json_dumps(policy),
            tags=self._tags("key"),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect_data),
        )
        Alias(f"{self._name}-key-alias", name=f"alias/{args.environment}/foundation", target_key_id=key.id, opts=self._child)
        return key

    def _bucket(self, part: str, ownership: str) -> tuple[Bucket, BucketPolicy]:
        """Make a private bucket for access logs. Encrypted by S3's own key: balancers cannot write with a customer's."""
        name, args = f"{self._name}-{part}", self._args
        bucket = Bucket(name, force_destroy=not args.protect_data, tags=self._tags(part), opts=pulumi.ResourceOptions(parent=self, protect=args.protect_data))
        access = BucketPublicAccessBlock(
            f"{name}-private", bucket=bucket.bucket, block_public_acls=True, block_public_policy=True, ignore_public_acls=True, restrict_public_buckets=True, opts=self._child
        )
        controls = BucketOwnershipControls(f"{name}-ownership", bucket=bucket.bucket, rule={"object_ownership": ownership}, opts=self._child)
        BucketServerSideEncryptionConfiguration(
            f"{name}-encryption", bucket=bucket.bucket, rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}], opts=self._child
        )
        versioning = BucketVersioning(f"{name}-versions", bucket=bucket.bucket, versioning_configuration={"status": "Enabled"}, opts=self._child)
        BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.bucket,
            rules=[
                {
                    "id": "old-logs",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "expiration": {"days": args.log_days},
                    "noncurrent_version_expiration": {"noncurrent_days": 30},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
                }
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        of_this_account = {"StringEquals": {"aws:SourceAccount": args.account_id}}
        everything = [bucket.arn, pulumi.Output.concat(bucket.arn, "/*")]
        policy = policy_document(
            {
                "Sid": "BalancersWrite",
                "Effect": "Allow",
                "Principal": {"Service": ["logdelivery.elasticloadbalancing.amazonaws.com", "delivery.logs.amazonaws.com", "logging.s3.amazonaws.com"]},
                "Action": "s3:PutObject",
                "Resource": everything[1],
                "Condition": of_this_account,
            },
            {
                "Sid": "NetworkBalancersLook",
                "Effect": "Allow",
                "Principal": {"Service": "delivery.logs.amazonaws.com"},
                "Action": ["s3:GetBucketAcl", "s3:ListBucket"],
                "Resource": everything[0],
                "Condition": of_this_account,
            },
            {"Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": everything, "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        )
        last = pulumi.ResourceOptions(parent=self, depends_on=[access, controls])
        return bucket, BucketPolicy(f"{name}-policy", bucket=bucket.bucket, policy=pulumi.Output.json_dumps(policy), opts=last)

    def _topic(self, key: Key) -> Topic:
        topic = Topic(f"{self._name}-alarms", kms_master_key_id=key.id, tags=self._tags("alarms"), opts=self._child)
        for address in self._args.alarm_emails:
            part = "".join(character if character.isalnum() else "-" for character in address.lower())
            TopicSubscription(f"{self._name}-alarms-{part}", topic=topic.arn, protocol="email", endpoint=address, opts=self._child)
        return topic
