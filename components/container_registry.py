"""What the name of a container image says about its registry."""

import re

ECR_REGISTRY = re.compile(r"(?P<account>\d{12})\.dkr\.ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?")


def registry_of(image: str) -> str:
    """Return the registry of an image, such as `111111111111.dkr.ecr.us-east-1.amazonaws.com`."""
    return image.split("/", maxsplit=1)[0]


def repository_of(image: str) -> str:
    """Return the repository of an image that is named by its digest, such as `team/members`."""
    return image.split("@", maxsplit=1)[0].split("/", 1)[1]


def ecr_region(registry: str) -> str | None:
    """Return the region of an ECR registry, which may not be the servers' region; None if it is no ECR registry."""
    match = ECR_REGISTRY.fullmatch(registry)
    return match["region"] if match else None


def ecr_account(registry: str) -> str | None:
    """Return the account of an ECR registry, 12 digits; None if it is no ECR registry."""
    match = ECR_REGISTRY.fullmatch(registry)
    return match["account"] if match else None
