"""One environment of 100xglobal.com: its foundation, and the services that Pulumi.<environment>.yaml enables."""

from pathlib import Path

import pulumi
from pulumi.runtime import get_config

from components.service_environment import ServiceEnvironment, ServiceEnvironmentArgs
from foundation.environment import Foundation
from foundation.guard import refuse_examples_on_real_aws, refuse_sandbox_stack_on_real_aws
from services import all_services
from settings.check import parse_config_value, settings_of_stack
from settings.problems import SettingsError
from settings.project_files import ACCOUNTS_KEY, ENVIRONMENT_KEY, REGION_KEY, SERVICES_KEY

refuse_sandbox_stack_on_real_aws()
keys = (REGION_KEY, ACCOUNTS_KEY, ENVIRONMENT_KEY, SERVICES_KEY)
config = {key: parse_config_value(get_config(key)) for key in keys}
try:
    specs = all_services()
    settings = settings_of_stack(pulumi.get_stack(), config, Path(__file__).parent, specs, warn=pulumi.log.warn)
except SettingsError as error:
    raise pulumi.RunError(str(error)) from None
refuse_examples_on_real_aws(settings)

foundation = Foundation(settings, {name: specs[name] for name in settings.enabled_services()})
services = {
    name: ServiceEnvironment(
        name,
        ServiceEnvironmentArgs(
            spec=specs[name], release=service.release, sizing=service.sizing, foundation=foundation.shared
        ),
    )
    for name, service in settings.enabled_services().items()
}

pulumi.export("environment", foundation.outputs)
pulumi.export("services", {name: service.outputs for name, service in services.items()})
