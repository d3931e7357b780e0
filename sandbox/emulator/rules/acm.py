"""ACM: names and use of certificates."""

from typing import Any

from ministack.services import acm, alb, cloudfront

from sandbox.emulator.rules.hooks import Refusal, rule

API = "https://docs.aws.amazon.com/acm/latest/APIReference"
LONGEST_NAME = 64  # of the first domain, which becomes the certificate's common name


@rule(acm, "_request_certificate", source=f"{API}/API_RequestCertificate.html")
def certificate_name(data: Any) -> Refusal | None:
    """The first domain of a certificate has at most 64 characters."""
    name = str(data.get("DomainName") or "")
    if len(name) <= LONGEST_NAME:
        return None
    return Refusal("InvalidDomainValidationOptionsException", f"The first domain name can be no longer than 64: {name}")


@rule(acm, "_delete_certificate", source=f"{API}/API_DeleteCertificate.html")
def certificate_in_use(data: Any) -> Refusal | None:
    """A certificate that a listener or a distribution has cannot be deleted."""
    arn = str(data.get("CertificateArn") or "")
    used = [*alb._listeners.values(), *cloudfront._distributions.values()]
    if arn and any(arn in str(entry) for entry in used):
        return Refusal("ResourceInUseException", f"Certificate {arn} is in use.")
    return None
