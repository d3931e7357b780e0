"""What exists once for all environments of 100xglobal.com: the registry of images, and where Pulumi keeps its state."""

import sys
from pathlib import Path

import pulumi
from pulumi.runtime import get_config

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # Pulumi runs this file in its own folder, and everything else is beside that

from components.container_registry import ecr_account, ecr_region, registry_of  # noqa: E402
from organization.image_registry import ImageRegistry, ImageRegistryArgs  # noqa: E402
from organization.stack_settings import OrganizationError, read_settings, single_account  # noqa: E402
from organization.state_bucket import StateBucket, StateBucketArgs  # noqa: E402
from services import all_services  # noqa: E402
from settings.check import check_folder, parse_config_value  # noqa: E402
from settings.placeholders import is_example_account  # noqa: E402
from settings.problems import SettingsError  # noqa: E402
from settings.project_files import ACCOUNTS_KEY, REGION_KEY  # noqa: E402

try:
    services = all_services()
    account = single_account(parse_config_value(get_config(ACCOUNTS_KEY)))
    settings = read_settings(parse_config_value(get_config("100xglobal-organization:settings")), services)
except (OrganizationError, SettingsError) as error:
    raise pulumi.RunError(str(error)) from None
environments, problems = check_folder(ROOT, services)
for problem in problems:
    pulumi.log.warn(f"an environment is left out until its file is right: {problem}")

# AWS refuses a policy that names an account which does not exist: "Principal not found"
# (hashicorp/terraform-provider-aws#39064).
readers = {environment.account_id for environment in environments.values()}
examples = {reader for reader in readers if is_example_account(reader) and not is_example_account(account)}
if examples:
    pulumi.log.warn(f"the accounts {', '.join(sorted(examples))} are examples, and cannot pull until they are replaced")

own_registry = (account, get_config(REGION_KEY))
for environment in environments.values():
    for service, block in environment.enabled_services().items():
        host = registry_of(block.release.image)
        if (ecr_account(host), ecr_region(host)) != own_registry:
            pulumi.log.warn(f"{service} in {environment.name} has an image of another registry: {host}")

registry = ImageRegistry(
    "images",
    ImageRegistryArgs(
        account_id=account,
        services=sorted(services),
        reader_accounts=sorted(readers - examples),
        images_from=settings.images_from,
        identity_provider_arn=settings.identity_provider_arn,
    ),
)
pulumi.export("repositories", registry.repositories)
if settings.state_bucket:
    state = StateBucket("state", StateBucketArgs(account_id=account))
    pulumi.export("state_backend", pulumi.Output.concat("s3://", state.bucket))
    pulumi.export("secrets_provider", f"awskms://alias/{state.key_alias}?region={get_config(REGION_KEY)}")
