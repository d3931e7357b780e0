"""One environment of 100xglobal.com: its foundation, and each service that Pulumi.<environment>.yaml switches on."""

from pathlib import Path

import pulumi

from components.service_environment import ServiceEnvironment
from foundation.environment import Foundation
from foundation.guard import refuse_mixed_up_targets
from foundation.handover import service_arguments
from services import all_services
from settings import SettingsError, settings_of_stack, value_of

refuse_mixed_up_targets()
specs = all_services()
ours, aws = pulumi.Config(), pulumi.Config("aws")
values = {
    "aws:region": aws.get("region"),
    "aws:allowedAccountIds": value_of(aws.get("allowedAccountIds")),
    "100xglobal:environment": value_of(ours.get("environment")),
    "100xglobal:services": value_of(ours.get("services")),
}
try:
    settings = settings_of_stack(pulumi.get_stack(), values, Path(__file__).parent, specs, warn=pulumi.log.warn)
except SettingsError as error:
    raise pulumi.RunError(str(error)) from None

foundation = Foundation(settings).made
services = {name: ServiceEnvironment(name, service_arguments(specs[name], service, foundation.shared)) for name, service in settings.enabled_services().items()}

pulumi.export("environment", foundation.outputs)
pulumi.export("services", {name: service.summary() for name, service in services.items()})
