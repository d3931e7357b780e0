"""Files behind a content delivery network: a private bucket that only its CloudFront distribution reads."""

from dataclasses import dataclass

import pulumi
from pulumi_aws.cloudfront import DistributionDefaultCacheBehaviorArgsDict
from pulumi_aws.cloudfront.distribution import Distribution
from pulumi_aws.cloudfront.origin_access_control import OriginAccessControl
from pulumi_aws.cloudfront.response_headers_policy import ResponseHeadersPolicy
from pulumi_aws.s3.bucket import Bucket
from pulumi_aws.s3.bucket_logging import BucketLogging
from pulumi_aws.s3.bucket_policy import BucketPolicy

from components import type_tokens
from components.certificate import dns_validated_certificate
from components.constants import GLOBAL_SERVICES_REGION
from components.outputs import json_document
from components.policies.buckets import cdn_bucket_policy
from components.private_bucket import PrivateBucket, private_bucket
from components.subdomain_record import AliasTarget, SubdomainRecord, SubdomainRecordArgs

# CloudFront's managed cache policy CachingOptimized: it compresses files and ignores cookies and query strings.
CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
ORIGIN = "bucket"
YEAR_SECONDS = 365 * 24 * 3600
OLD_VERSION_DAYS = 90  # how long a file that was overwritten or deleted can be recovered
CONTENT_SECURITY_POLICY = "default-src 'none'; img-src 'self'; style-src 'self'; font-src 'self'; media-src 'self'"


@dataclass(frozen=True, kw_only=True)
class CdnBucketArgs:
    """Where the files are served, how they are encrypted, and where access is logged."""

    host: str
    """Full name of the host that serves the files. Changing it recreates the certificate."""

    zone_id: pulumi.Input[str]
    """ID of the hosted zone that the host belongs to. In another zone, the certificate is never issued."""

    key_arn: pulumi.Input[str]
    """KMS key of the files. Its policy must let CloudFront decrypt, or every request answers 403."""

    log_bucket: pulumi.Input[str]
    """Bucket for S3's access logs."""

    log_bucket_domain: pulumi.Input[str]
    """Domain name of the bucket for CloudFront's access logs. It must accept ACLs, or CloudFront refuses it."""

    tags: dict[str, str]
    """Tags of every resource that has tags."""

    protect_data: bool = True
    """Whether Pulumi refuses to delete the bucket, and AWS to delete one that still contains files. Default: true.

    Set it to false only where data may be lost at any time.
    """


class CdnBucket(pulumi.ComponentResource):
    """A versioned, encrypted, private bucket behind CloudFront, with certificate, security headers, logs and record.

    Does not put files into the bucket, or let anybody write to it: give a role permission to do that. Does not
    invalidate CloudFront's cache when files change. Does not attach a web application firewall, restrict countries or
    run code at the edge.
    """

    bucket_arn: pulumi.Output[str]
    bucket_name: pulumi.Output[str]
    distribution_id: pulumi.Output[str]
    host: pulumi.Output[str]
    url: pulumi.Output[str]

    def __init__(self, name: str, args: CdnBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the bucket, then the distribution and its record."""
        super().__init__(type_tokens.CDN_BUCKET, name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        storage = self._storage()
        distribution = self._distribution(storage.bucket)
        self._bucket_policy(storage, distribution)
        target = AliasTarget(
            dns_name=distribution.domain_name, zone_id=distribution.hosted_zone_id, evaluate_health=False
        )
        SubdomainRecord(
            f"{name}-record",
            SubdomainRecordArgs(zone_id=args.zone_id, host=args.host, target=target),
            self._child,
        )
        self.bucket_arn = storage.bucket.arn
        self.bucket_name = storage.bucket.bucket
        self.distribution_id = distribution.id
        self.host = pulumi.Output.from_input(args.host)
        self.url = pulumi.Output.from_input(f"https://{args.host}")
        self.register_outputs(
            {
                "bucket_arn": self.bucket_arn,
                "bucket_name": self.bucket_name,
                "distribution_id": self.distribution_id,
                "host": self.host,
            }
        )

    def _storage(self) -> PrivateBucket:
        """Create the bucket and log the requests to it."""
        name, args = self._name, self._args
        storage = private_bucket(
            name,
            bucket_name=f"{name}-bucket",
            lifecycle={
                "id": "old-versions",
                "status": "Enabled",
                "noncurrent_version_expiration": {"noncurrent_days": OLD_VERSION_DAYS},
            },
            key_arn=args.key_arn,
            protect_data=args.protect_data,
            tags=args.tags,
            parent=self,
        )
        BucketLogging(
            f"{name}-log",
            bucket=storage.bucket.bucket,
            target_bucket=args.log_bucket,
            target_prefix=f"s3/{name}/",
            opts=self._child,
        )
        return storage

    def _bucket_policy(self, storage: PrivateBucket, distribution: Distribution) -> None:
        """Let only the distribution read the bucket, and only over TLS."""
        BucketPolicy(
            f"{self._name}-policy",
            bucket=storage.bucket.bucket,
            policy=json_document(cdn_bucket_policy, bucket_arn=storage.bucket.arn, distribution_arn=distribution.arn),
            # S3 refuses one of the two if the policy and the public access block change at the same time.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[storage.public_access_block]),
        )

    def _distribution(self, bucket: Bucket) -> Distribution:
        """Create the distribution, which signs its requests to the bucket."""
        name, args = self._name, self._args
        access_control = OriginAccessControl(
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
            origins=[
                {
                    "origin_id": ORIGIN,
                    "domain_name": bucket.bucket_regional_domain_name,
                    "origin_access_control_id": access_control.id,
                }
            ],
            default_cache_behavior=self._cache_behavior(),
            restrictions={"geo_restriction": {"restriction_type": "none"}},
            viewer_certificate={
                "acm_certificate_arn": self._certificate_arn(),
                "ssl_support_method": "sni-only",
                "minimum_protocol_version": "TLSv1.2_2021",
            },
            logging_config={"bucket": args.log_bucket_domain, "prefix": f"cdn/{name}/", "include_cookies": False},
            tags=args.tags,
            opts=self._child,
        )

    def _certificate_arn(self) -> pulumi.Output[str]:
        """Create the certificate in the only region that CloudFront accepts certificates from."""
        return dns_validated_certificate(
            self._name,
            host=self._args.host,
            zone_id=self._args.zone_id,
            region=GLOBAL_SERVICES_REGION,
            tags=self._args.tags,
            parent=self,
        )

    def _cache_behavior(self) -> DistributionDefaultCacheBehaviorArgsDict:
        """Return how requests are answered: over HTTPS only, compressed, and with security headers."""
        return {
            "target_origin_id": ORIGIN,
            "viewer_protocol_policy": "redirect-to-https",
            "allowed_methods": ["GET", "HEAD", "OPTIONS"],
            "cached_methods": ["GET", "HEAD"],
            "compress": True,
            "cache_policy_id": CACHING_OPTIMIZED,
            "response_headers_policy_id": self._security_headers().id,
        }

    def _security_headers(self) -> ResponseHeadersPolicy:
        """Create the headers of every answer. A file can bring its own content security policy."""
        return ResponseHeadersPolicy(
            f"{self._name}-headers",
            comment=f"Security headers of {self._args.host}",
            security_headers_config={
                "content_type_options": {"override": True},
                "frame_options": {"frame_option": "DENY", "override": True},
                "referrer_policy": {"referrer_policy": "strict-origin-when-cross-origin", "override": True},
                "strict_transport_security": {
                    "access_control_max_age_sec": YEAR_SECONDS,
                    "include_subdomains": True,
                    "preload": True,
                    "override": True,
                },
                "content_security_policy": {
                    "content_security_policy": CONTENT_SECURITY_POLICY,
                    "override": False,
                },
            },
            opts=self._child,
        )
