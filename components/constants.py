"""Numbers and names from AWS and from protocols that several components use."""

from typing import Final

HTTP_PORT: Final = 80
HTTPS_PORT: Final = 443
POSTGRES_PORT: Final = 5432

ANY_IPV4: Final = "0.0.0.0/0"
ANY_IPV6: Final = "::/0"

# CloudFront accepts certificates from this region only, and Route 53 logs queries only here, whatever the environment's
# own region is.
GLOBAL_SERVICES_REGION: Final = "us-east-1"

# ELB.17: the newest policy that AWS recommends, with TLS 1.2 or newer.
TLS_POLICY: Final = "ELBSecurityPolicy-TLS13-1-2-2021-06"
