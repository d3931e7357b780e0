"""Creates a TLS certificate and proves to ACM that its domain is ours."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_aws.acm.certificate import Certificate
from pulumi_aws.acm.certificate_validation import CertificateValidation
from pulumi_aws.route53.record import Record

RECORD_TTL_SECONDS = 300


def dns_validated_certificate(
    name: str,
    *,
    host: str,
    zone_id: pulumi.Input[str],
    tags: Mapping[str, str],
    parent: pulumi.Resource,
    alternative_names: Sequence[str] | None = None,
    region: str | None = None,
) -> pulumi.Output[str]:
    """Create a certificate and its validation record, and return the certificate's ARN once ACM has issued it.

    alternative_names: further names on the certificate. All must be validated by the host's record, as its wildcard is.
    region: by default the provider's.
    """
    opts = pulumi.ResourceOptions(parent=parent)
    certificate = Certificate(
        f"{name}-certificate",
        domain_name=host,
        subject_alternative_names=alternative_names,
        validation_method="DNS",
        key_algorithm="RSA_2048",
        region=region,
        tags=tags,
        opts=opts,
    )
    validation = certificate.domain_validation_options[0]
    record = Record(
        f"{name}-proof",
        zone_id=zone_id,
        # ACM ends the name with a dot. The provider removes it from the state, but not when it reads the record by its
        # ID: a record that was imported, or adopted after a killed update, would be replaced.
        name=validation.resource_record_name.apply(lambda record_name: str(record_name).rstrip(".")),
        type=validation.resource_record_type.apply(str),
        records=[validation.resource_record_value.apply(str)],
        ttl=RECORD_TTL_SECONDS,
        allow_overwrite=True,  # ACM asks for the same record again when the certificate is recreated
        opts=opts,
    )
    return CertificateValidation(
        f"{name}-validation",
        certificate_arn=certificate.arn,
        validation_record_fqdns=[record.fqdn],
        region=region,
        opts=opts,
    ).certificate_arn
