"""Files behind a content delivery network: a private bucket that only its CloudFront distribution reads."""

from dataclasses import dataclass

import pulumi
from pulumi_aws.acm.certificate import Certificate
from pulumi_aws.acm.certificate_validation import CertificateValidation
from pulumi_aws.cloudfront.distribution import Distribution
from pulumi_aws.cloudfront.origin_access_control import OriginAccessControl
from pulumi_aws.cloudfront.response_headers_policy import ResponseHeadersPolicy
from pulumi_aws.route53.record import Record
from pulumi_aws.s3.bucket import Bucket
from pulumi_aws.s3.bucket_lifecycle_configuration import BucketLifecycleConfiguration
from pulumi_aws.s3.bucket_logging import BucketLogging
from pulumi_aws.s3.bucket_ownership_controls import BucketOwnershipControls
from pulumi_aws.s3.bucket_policy import BucketPolicy
from pulumi_aws.s3.bucket_public_access_block import BucketPublicAccessBlock
from pulumi_aws.s3.bucket_server_side_encryption_configuration import BucketServerSideEncryptionConfiguration
from pulumi_aws.s3.bucket_versioning import BucketVersioning

from components.names import CERTIFICATE_REGION, policy_document
from components.subdomain_record import AliasTarget, SubdomainRecord, SubdomainRecordArgs

TYPE = "hundredx:components:CdnBucket"
CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"  # CloudFront's managed cache policy; compresses, ignores cookies
YEAR_SECONDS = 365 * 24 * 3600
OLD_VERSION_DAYS = 90  # how long a file that was overwritten or deleted can be had back


@dataclass(frozen=True)
class CdnBucketArgs:
    """What a bucket with its distribution is made from.

    host: the full name that the files are served at. zone_id: the zone the host is in.
    key_arn: the KMS key of the files; its policy must let cloudfront.amazonaws.com decrypt for this account.
    log_bucket, log_bucket_domain: where S3 and CloudFront write their access logs.
    protect_data: refuse deletion in Pulumi, and keep a bucket that still has files.
    """

    host: str
    zone_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    log_bucket: pulumi.Input[str]
    log_bucket_domain: pulumi.Input[str]
    tags: dict[str, str]
    protect_data: bool = True


class CdnBucket(pulumi.ComponentResource):
    """A versioned, encrypted, private bucket behind CloudFront, with certificate, headers and record."""

    bucket_arn: pulumi.Output[str]
    bucket_name: pulumi.Output[str]
    distribution_id: pulumi.Output[str]
    host: pulumi.Output[str]

    def __init__(self, name: str, args: CdnBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the bucket, then what serves it."""
        super().__init__(TYPE, name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        bucket = Bucket(f"{name}-bucket", force_destroy=not args.protect_data, tags=args.tags, opts=pulumi.ResourceOptions(parent=self, protect=args.protect_data))
        access = self._harden(bucket)
        distribution = self._distribution(bucket, self._certificate())
        self._allow_only(bucket, distribution, access)
        SubdomainRecord(
            f"{name}-record",
            SubdomainRecordArgs(zone_id=args.zone_id, host=args.host, target=AliasTarget(distribution.domain_name, distribution.hosted_zone_id, evaluate_health=False)),
            self._child,
        )
        self.bucket_arn, self.bucket_name, self.distribution_id = bucket.arn, bucket.bucket, distribution.id
        self.host = pulumi.Output.from_input(args.host)
        self.register_outputs({"bucket_arn": self.bucket_arn, "bucket_name": self.bucket_name, "distribution_id": self.distribution_id, "host": self.host})

    def _harden(self, bucket: Bucket) -> BucketPublicAccessBlock:
        name, args = self._name, self._args
        access = BucketPublicAccessBlock(
            f"{name}-private", bucket=bucket.bucket, block_public_acls=True, block_public_policy=True, ignore_public_acls=True, restrict_public_buckets=True, opts=self._child
        )
        BucketOwnershipControls(f"{name}-ownership", bucket=bucket.bucket, rule={"object_ownership": "BucketOwnerEnforced"}, opts=self._child)
        BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.bucket,
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms", "kms_master_key_id": args.key_arn}, "bucket_key_enabled": True}],
            opts=self._child,
        )
        versioning = BucketVersioning(f"{name}-versions", bucket=bucket.bucket, versioning_configuration={"status": "Enabled"}, opts=self._child)
        BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.bucket,
            rules=[
                {
                    "id": "old-versions",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "noncurrent_version_expiration": {"noncurrent_days": OLD_VERSION_DAYS},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
                }
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        BucketLogging(f"{name}-log", bucket=bucket.bucket, target_bucket=args.log_bucket, target_prefix=f"s3/{name}/", opts=self._child)
        return access

    def _certificate(self) -> pulumi.Output[str]:
        name, args = self._name, self._args
        certificate = Certificate(
            f"{name}-certificate",
            domain_name=args.host,
            validation_method="DNS",
            key_algorithm="RSA_2048",
            region=CERTIFICATE_REGION,
            tags=args.tags,
            opts=self._child,
        )
        proof = certificate.domain_validation_options[0]
        record = Record(
            f"{name}-proof",
            zone_id=args.zone_id,
            name=proof.resource_record_name.apply(str),
            type=proof.resource_record_type.apply(str),
            records=[proof.resource_record_value.apply(str)],
            ttl=300,
            allow_overwrite=True,
            opts=self._child,
        )
        return CertificateValidation(
            f"{name}-validation", certificate_arn=certificate.arn, validation_record_fqdns=[record.fqdn], region=CERTIFICATE_REGION, opts=self._child
        ).certificate_arn

    def _headers(self) -> ResponseHeadersPolicy:
        return ResponseHeadersPolicy(
            f"{self._name}-headers",
            comment=f"Security headers of {self._args.host}",
            security_headers_config={
                "content_type_options": {"override": True},
                "frame_options": {"frame_option": "DENY", "override": True},
                "referrer_policy": {"referrer_policy": "strict-origin-when-cross-origin", "override": True},
                "strict_transport_security": {"access_control_max_age_sec": YEAR_SECONDS, "include_subdomains": True, "preload": True, "override": True},
                "content_security_policy": {
                    "content_security_policy": "default-src 'none'; img-src 'self'; style-src 'self'; font-src 'self'; media-src 'self'",
                    "override": False,
                },
            },
            opts=self._child,
        )

    def _distribution(self, bucket: Bucket, certificate_arn: pulumi.Output[str]) -> Distribution:
        name, args = self._name, self._args
        control = OriginAccessControl(
            f"{name}-origin-access",
            description=f"CloudFront signs its requests to the bucket of {args.host}",
            origin_access_control_origin_type="s3",
            signing_behavior="always",
            signing_protocol="sigv4",
            opts=self._child,
        )
        return Distribution(
            f"{name}-distribution",
            enabled=True,
            comment=args.host,
            aliases=[args.host],
            is_ipv6_enabled=True,
            http_version="http2and3",
            price_class="PriceClass_100",
            default_root_object="index.html",
            origins=[{"origin_id": "bucket", "domain_name": bucket.bucket_regional_domain_name, "origin_access_control_id": control.id}],
            default_cache_behavior={
                "target_origin_id": "bucket",
                "viewer_protocol_policy": "redirect-to-https",
                "allowed_methods": ["GET", "HEAD", "OPTIONS"],
                "cached_methods": ["GET", "HEAD"],
                "compress": True,
                "cache_policy_id": CACHING_OPTIMIZED,
                "response_headers_policy_id": self._headers().id,
            },
            restrictions={"geo_restriction": {"restriction_type": "none"}},
            viewer_certificate={"acm_certificate_arn": certificate_arn, "ssl_support_method": "sni-only", "minimum_protocol_version": "TLSv1.2_2021"},
            logging_config={"bucket": args.log_bucket_domain, "prefix": f"cdn/{name}/", "include_cookies": False},
            tags=args.tags,
            opts=self._child,
        )

    def _allow_only(self, bucket: Bucket, distribution: Distribution, access: BucketPublicAccessBlock) -> None:
        policy = pulumi.Output.json_dumps(
            policy_document(
                {
                    "Sid": "DistributionReads",
                    "Effect": "Allow",
                    "Principal": {"Service": "cloudfront.amazonaws.com"},
                    "Action": "s3:GetObject",
                    "Resource": pulumi.Output.concat(bucket.arn, "/*"),
                    "Condition": {"StringEquals": {"AWS:SourceArn": distribution.arn}},
                },
                {
                    "Sid": "TlsOnly",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [bucket.arn, pulumi.Output.concat(bucket.arn, "/*")],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
            )
        )
        # After the public access block: S3 refuses one of two such changes made at once.
        BucketPolicy(f"{self._name}-policy", bucket=bucket.bucket, policy=policy, opts=pulumi.ResourceOptions(parent=self, depends_on=[access]))
