"""Auto Scaling: sizes, health checks, subnets, launch templates, instance refreshes and scaling policies."""

from typing import Any

from ministack.core.responses import get_region
from ministack.services import autoscaling, ec2

from sandbox.emulator.rules.hooks import Refusal, rule
from settings.aws_facts import describe_unsupported_type

API = "https://docs.aws.amazon.com/autoscaling/ec2/APIReference"
HEALTH_CHECKS = frozenset({"EC2", "ELB", "EBS", "VPC_LATTICE"})


@rule(autoscaling, "_create_asg", "_update_asg", source=f"{API}/API_CreateAutoScalingGroup.html")
def group_sizes(parameters: Any) -> Refusal | None:
    """The minimum of a group is not above its maximum."""
    existing = autoscaling._asgs.get(autoscaling._p(parameters, "AutoScalingGroupName")) or {}
    minimum, maximum = (
        int(autoscaling._p(parameters, name) or existing.get(name) or 0) for name in ("MinSize", "MaxSize")
    )
    if minimum > maximum:
        return Refusal("ValidationError", "Max bound must be greater than or equal to min bound")
    return None


@rule(autoscaling, "_create_asg", "_update_asg", source=f"{API}/API_CreateAutoScalingGroup.html")
def health_check_type(parameters: Any) -> Refusal | None:
    """The health of servers is checked by EC2, ELB, EBS or VPC Lattice."""
    kinds = autoscaling._p(parameters, "HealthCheckType") or "EC2"
    if set(kinds.split(",")) <= HEALTH_CHECKS:
        return None
    return Refusal("ValidationError", f"{kinds} is not a valid health check type")


@rule(autoscaling, "_create_asg", "_update_asg", source=f"{API}/API_CreateAutoScalingGroup.html")
def group_subnets(parameters: Any) -> Refusal | None:
    """The subnets of a group exist."""
    subnets = filter(None, (autoscaling._p(parameters, "VPCZoneIdentifier") or "").split(","))
    unknown = [subnet for subnet in subnets if subnet not in ec2._subnets]
    return Refusal("ValidationError", f"The subnet ID '{unknown[0]}' does not exist") if unknown else None


@rule(
    autoscaling,
    "_start_instance_refresh",
    source="https://github.com/hashicorp/terraform-provider-aws/issues/29830",
)
def automatic_rollback(parameters: Any) -> Refusal | None:
    """An instance refresh is only rolled back automatically if it has a desired configuration."""
    is_automatic = autoscaling._p(parameters, "Preferences.AutoRollback") == "true"
    prefix = "DesiredConfiguration.LaunchTemplate.LaunchTemplate"
    if not is_automatic or any(autoscaling._p(parameters, f"{prefix}{key}") for key in ("Id", "Name")):
        return None
    return Refusal(
        "ValidationError",
        "The request isn't valid. The AutoRollback parameter cannot be set to true when the DesiredConfiguration "
        "parameter is empty. Set AutoRollback to false or specify a desired configuration and try again.",
    )


@rule(autoscaling, "_start_instance_refresh", source=f"{API}/API_StartInstanceRefresh.html")
def one_refresh_at_a_time(parameters: Any) -> Refusal | None:
    """A group has one instance refresh in progress at most."""
    group = autoscaling._asgs.get(autoscaling._p(parameters, "AutoScalingGroupName")) or {}
    if any(refresh["Status"] == "InProgress" for refresh in group.get("InstanceRefreshes") or []):
        return Refusal(
            "InstanceRefreshInProgress",
            "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.",
        )
    return None


@rule(autoscaling, "_create_asg", "_update_asg", source=f"{API}/API_LaunchTemplateSpecification.html")
def template_version(parameters: Any) -> Refusal | None:
    """A group names a version of its launch template that exists."""
    version, instance_types = requested_version(parameters)
    if not instance_types or not version.isdecimal() or version in instance_types:
        return None
    return Refusal(
        "ValidationError",
        "You must use a valid fully-formed launch template. "
        f"The specified launch template version {version} does not exist.",
    )


def requested_version(parameters: Any) -> tuple[str, dict[str, str]]:
    """Return the version of a launch template that a request names, and the instance type of each version there is."""
    template = ec2._launch_templates.get(autoscaling._p(parameters, "LaunchTemplate.LaunchTemplateId")) or {}
    instance_types = {
        str(known["VersionNumber"]): str(known["LaunchTemplateData"].get("InstanceType") or "")
        for known in template.get("Versions") or []
    }
    return autoscaling._p(parameters, "LaunchTemplate.Version"), instance_types


@rule(
    autoscaling, "_create_asg", "_update_asg", source="https://github.com/hashicorp/terraform-provider-aws/issues/6712"
)
def instance_type(parameters: Any) -> Refusal | None:
    """The instance type in a group's launch template exists in its region."""
    version, instance_types = requested_version(parameters)
    names = instance_types.values() if version == "$Latest" else [instance_types.get(version, "")]
    for name in filter(None, names):
        if describe_unsupported_type(name, get_region()):
            return Refusal(
                "ValidationError",
                "You must use a valid fully-formed launch template. The following supplied instance types do not "
                f"exist: [{name}]",
            )
    return None


@rule(autoscaling, "_put_scaling_policy", source=f"{API}/API_PredefinedMetricSpecification.html")
def scaling_target(parameters: Any) -> Refusal | None:
    """A scaling policy has a target above zero."""
    target = autoscaling._p(parameters, "TargetTrackingConfiguration.TargetValue")
    if not target or float(target) > 0:
        return None
    return Refusal("ValidationError", f"Target value {target} must be greater than 0")
