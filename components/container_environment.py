"""The environment variables of a service's container."""

import pulumi

from components.cdn_bucket import CdnBucket
from components.isolated_database import IsolatedDatabase
from components.mail_domain import MailDomain
from components.shared_foundation import SharedFoundation
from settings.models import Release
from settings.service_spec import ServiceSpec


def container_environment(
    spec: ServiceSpec,
    release: Release,
    foundation: SharedFoundation,
    *,
    database: IsolatedDatabase | None,
    cdn: CdnBucket | None,
    mail: MailDomain | None,
) -> dict[str, pulumi.Input[str]]:
    """Return the release's own variables, and where the container finds what belongs to its service.

    There is never a password among them: the container reads it from Secrets Manager by the secret's ARN. A release
    cannot set the variables that are set here (settings/rules/environment_variables.py).
    """
    variables: dict[str, pulumi.Input[str]] = {
        **release.environment_variables,
        "ENVIRONMENT": foundation.environment_name,
        "RELEASE": release.version,
        "PORT": str(spec.port),
        "AWS_REGION": foundation.region,
    }
    if database:
        variables |= {
            "DATABASE_HOST": database.address,
            "DATABASE_PORT": database.port.apply(str),
            "DATABASE_NAME": database.database_name,
            "DATABASE_SECRET_ARN": database.secret_arn,
        }
    if cdn:
        variables |= {"FILES_BUCKET": cdn.bucket_name, "FILES_URL": cdn.url}
    if mail:
        variables["MAIL_CONFIGURATION_SET"] = mail.configuration_set_name
    return variables
