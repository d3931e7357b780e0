"""Example values in an environment file. The sandbox accepts them; a real AWS account cannot have them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from settings.aws_facts import SSM_IMAGE_PARAMETERS
from settings.models import Release, Settings
from settings.project_files import ACCOUNTS_KEY, environment_file

# The accounts and image IDs of examples in AWS's documentation, besides those that repeat one digit.
# Source: AWS's style for fictitious accounts, and the EC2 API reference.
EXAMPLE_ACCOUNTS = {"123456789012", "111122223333", "444455556666", "777788889999", "123456789123", "012345678901"}
EXAMPLE_IMAGE_IDS = {"0123456789abcdef0", "1234567890abcdef0", "0abcdef1234567890", "12345678", "1a2b3c4d"}


@dataclass(frozen=True)
class Placeholder:
    """An example value.

    Attributes:
        value: The value, such as `ami-0123456789abcdef0`.
        field: The key that has it.
        advice: What to write instead, as a sentence.
        services: The services whose release has it; empty if the environment itself has it.
    """

    value: str
    field: str
    advice: str
    services: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return a line of a list."""
        owners = f" of {', '.join(self.services)}" if self.services else ""
        return f"{self.value} ({self.field}{owners}): {self.advice}"


def placeholders(settings: Settings) -> list[Placeholder]:
    """Return the example values of an environment and of its enabled services, each value once."""
    services: dict[Placeholder, list[str]] = {}
    for name, service in settings.enabled_services().items():
        for placeholder in _in_release(service.release, settings.region):
            services.setdefault(placeholder, []).append(name)
    in_releases = [replace(placeholder, services=tuple(names)) for placeholder, names in services.items()]
    return [*_in_environment(settings), *in_releases]


def describe(settings: Settings) -> str:
    """Return which example values have to be replaced before a deployment to AWS; empty if there are none."""
    found = placeholders(settings)
    if not found:
        return ""
    file = environment_file(settings.name)
    return "\n".join([f"{file} contains examples, which no real AWS account has:", *(f"  {one}" for one in found)])


def _in_environment(settings: Settings) -> Iterator[Placeholder]:
    """Yield the examples that belong to no service."""
    if is_example_account(settings.account_id):
        advice = "write the environment's account. `aws sts get-caller-identity` prints it."
        yield Placeholder(settings.account_id, ACCOUNTS_KEY, advice)


def _in_release(release: Release, region: str) -> Iterator[Placeholder]:
    """Yield the examples in a release."""
    registry, digest = release.image.partition("/")[0], release.image.rpartition(":")[2]
    account = registry.partition(".")[0]
    if ".dkr.ecr" in registry and is_example_account(account):
        yield Placeholder(account, "image", "write the account of the registry that your images are pushed to.")
    if len(set(digest)) == 1:
        yield Placeholder(f"sha256:{digest}", "image", "write the digest that `docker push` printed.")
    if _is_example_image_id(release.machine_image):
        command = f"aws ssm get-parameters --region {region} --names {SSM_IMAGE_PARAMETERS[release.architecture]}"
        yield Placeholder(release.machine_image, "machine_image", f"write the ID that `{command}` prints.")


def is_example_account(account: str) -> bool:
    """Tell whether an account is one of the documentation, or repeats one digit."""
    return account in EXAMPLE_ACCOUNTS or len(set(account)) == 1


def _is_example_image_id(image_id: str) -> bool:
    """Tell whether the ID of a machine image is one of the documentation, or repeats one digit."""
    digits = image_id.removeprefix("ami-")
    return digits in EXAMPLE_IMAGE_IDS or len(set(digits)) == 1
