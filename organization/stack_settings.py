"""The settings of the organization's stack, in organization/Pulumi.organization.yaml."""

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationError

from settings.models import Strict

Repository = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")]
ARN = r"^arn:aws:iam::\d{12}:oidc-provider/token\.actions\.githubusercontent\.com$"


class OrganizationSettings(Strict):
    """What exists once for all environments."""

    state_bucket: bool = Field(
        default=True,
        description="Whether to create a bucket and a key for Pulumi's state. Not needed with Pulumi Cloud.",
    )
    images_from: dict[str, Repository] = Field(
        {}, description="The GitHub repository, owner/name, whose main branch may push the images of a service."
    )
    identity_provider_arn: Annotated[str, StringConstraints(pattern=ARN)] | None = Field(
        None,
        description="The account's identity provider for GitHub, if it has one. AWS allows only one; by default it is "
        "created if images_from needs it.",
    )


class OrganizationError(Exception):
    """The settings are wrong. The message lists every problem."""


def read_settings(value: Any, services: Collection[str]) -> OrganizationSettings:
    """Return the settings from Pulumi's configuration; raise OrganizationError. services: all names of services."""
    if not isinstance(value, Mapping):
        message = "100xglobal-organization:settings is missing in Pulumi.organization.yaml. Write {} for the defaults."
        raise OrganizationError(message)
    try:
        settings = OrganizationSettings.model_validate(value)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise OrganizationError("\n".join(["Pulumi.organization.yaml, settings:", *lines])) from None
    unknown = sorted(set(settings.images_from) - set(services))
    if unknown:
        known = ", ".join(sorted(services))
        message = f"images_from names {', '.join(unknown)}, but the services are {known}."
        raise OrganizationError(message)
    return settings


def single_account(value: Any) -> str:
    """Return the only account that a stack allows; raise OrganizationError."""
    accounts = value if isinstance(value, list) else []
    if len(accounts) != 1 or not re.fullmatch(r"[0-9]{12}", str(accounts[0])):
        message = "aws:allowedAccountIds must be one account of 12 digits in quotes, so that no other one is changed."
        raise OrganizationError(message)
    return str(accounts[0])
