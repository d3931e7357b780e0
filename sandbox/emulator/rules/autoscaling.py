"""Auto Scaling: sizes, health checks and subnets."""

from typing import Any

from ministack.services import autoscaling, ec2

from sandbox.emulator.rules.hooks import Refusal, rule

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
