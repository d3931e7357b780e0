"""The policy pack: reports what the gate finds at the resources that it concerns, before they are changed.

Usage: `pulumi up --policy-pack policy`. It needs what `./infra` installs, so run any `./infra` command once.
"""

import os
import sys
import threading
from pathlib import Path

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cli import policy_checks  # noqa: E402 the engine starts this file without the project's folder on the path
from release.stack_state import stack_of_urn  # noqa: E402 see above

lock = threading.Lock()
verdicts: dict[str, policy_checks.Verdict] = {}


def verdict_for(stack: str) -> policy_checks.Verdict:
    """Return the gate's verdict on an update of a stack. The gate runs once, when the first resource is registered."""
    with lock:
        if stack not in verdicts:
            verdicts[stack] = policy_checks.judge(ROOT, stack)
        return verdicts[stack]


def validate_resource(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Report what the gate finds at one resource."""
    for message in verdict_for(stack_of_urn(args.urn)).violations(args.urn, policy_checks.plain(args.props)):
        report(message, args.urn)


def validate_stack(args: StackValidationArgs, report: ReportViolation) -> None:
    """Report what the gate finds at resources that the program no longer has."""
    stack = stack_of_urn(args.resources[0].urn) if args.resources else os.environ.get("PULUMI_STACK", "")
    for urn, message in verdict_for(stack).violations_elsewhere({resource.urn for resource in args.resources}):
        report(message, urn)


PolicyPack(
    "gate",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[
        ResourceValidationPolicy(
            name="expected-changes",
            description="A resource changes only as the configuration asks for, or as somebody approved.",
            validate=validate_resource,
        ),
        StackValidationPolicy(
            name="expected-deletions",
            description="Resources are deleted only as the configuration asks for, or as somebody approved.",
            validate=validate_stack,
        ),
    ],
)
