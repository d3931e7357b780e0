"""Patches for the gaps of ministack 1.5.33 that Terraform's AWS provider 5.100 runs into: one module per AWS service.

A patch is a function with the decorator `@gap`. Its docstring says what AWS does and ministack alone does not;
docs/emulator.md lists them all. Patches add to what ministack stores and returns. They never change a value that a
client sent.
"""

from sandbox.emulator.patches import (
    autoscaling,
    cloudfront,
    cloudwatch,
    connections,
    ec2,
    load_balancing,
    rds,
    route53,
    ses,
)
from sandbox.emulator.patches.hooks import GAPS

__all__ = [
    "apply",
    "autoscaling",
    "cloudfront",
    "cloudwatch",
    "connections",
    "ec2",
    "load_balancing",
    "rds",
    "route53",
    "ses",
]


def apply() -> None:
    """Apply every patch. To be called once, before the server starts."""
    for close in GAPS:
        close()
