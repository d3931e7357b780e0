"""CdnBucket: who can read the files, and how they are served."""

from mocks.aws import Run
from tests.unit.policy_statements import statements


def test_only_the_distribution_can_read_the_files(prod: Run) -> None:
    """The bucket's policy names one distribution and refuses plain HTTP."""
    policy = statements(prod.one("s3/bucketPolicy:BucketPolicy", "core-cdn-policy").inputs["policy"])
    assert policy["DistributionReads"]["Condition"] == {
        "StringEquals": {"AWS:SourceArn": "arn:aws:::core-cdn-distribution"}
    }
    assert policy["TlsOnly"]["Effect"] == "Deny"


def test_no_bucket_is_public(prod: Run) -> None:
    """Every bucket of the environment, log buckets included, blocks public access."""
    blocks = prod.of("s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
    assert len(blocks) == len(prod.of("s3/bucket:Bucket")) == 4
    for block in blocks.values():
        assert all(
            block.inputs[setting]
            for setting in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
        )


def test_a_distribution_is_fast_and_secure(prod: Run) -> None:
    """It has HTTP/2 and HTTP/3, IPv6, compression, TLS 1.2, security headers and logs."""
    inputs = prod.one("cloudfront/distribution:Distribution", "members-cdn-distribution").inputs
    assert inputs["aliases"] == ["uploads.100xglobal.com"]
    assert (inputs["httpVersion"], inputs["isIpv6Enabled"]) == ("http2and3", True)
    assert inputs["viewerCertificate"]["minimumProtocolVersion"] == "TLSv1.2_2021"
    behavior = inputs["defaultCacheBehavior"]
    assert (behavior["viewerProtocolPolicy"], behavior["compress"], behavior["responseHeadersPolicyId"]) == (
        "redirect-to-https",
        True,
        "members-cdn-headers-id",
    )
    assert inputs["loggingConfig"]["bucket"]


def test_the_certificate_is_in_cloudfronts_region(prod: Run) -> None:
    """CloudFront accepts certificates from us-east-1 only."""
    assert prod.one("acm/certificate:Certificate", "core-cdn-certificate").inputs["region"] == "us-east-1"
