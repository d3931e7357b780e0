"""CloudFront: certificates."""

import re
from typing import Any

from ministack.services import cloudfront

from sandbox.emulator.rules.hooks import Refusal, rule
from sandbox.emulator.rules.load_balancing import is_issued

CERTIFICATE_REGION = "us-east-1"


@rule(
    cloudfront,
    "_create_distribution",
    source="https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cnames-and-https-requirements.html",
)
def distribution_certificate(_headers: Any, body: Any) -> Refusal | None:
    """The certificate of a distribution is issued, and in us-east-1."""
    match = re.search(rb"<ACMCertificateArn>([^<]+)<", body or b"")
    if match is None or is_issued(match[1].decode(), CERTIFICATE_REGION):
        return None
    return Refusal(
        "InvalidViewerCertificate",
        "The specified SSL certificate doesn't exist, isn't in us-east-1 region, isn't valid, or doesn't include a "
        "valid certificate chain.",
    )
