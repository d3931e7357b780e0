"""What AWS refuses, and ministack alone accepts: one module per AWS service, one function per rule.

A rule looks at a request and at what exists, and returns the error that AWS would return. There is no lenient mode:
what runs in the sandbox should run on a new account, the first time. docs/emulator.md lists all rules with their
sources.
"""

from sandbox.emulator.rules import (
    acm,
    autoscaling,
    cloudfront,
    cloudwatch,
    ec2,
    ecr,
    iam,
    kms,
    load_balancing,
    networks,
    rds,
    rds_parameters,
    route53,
    s3,
    secrets,
    sns,
)
from sandbox.emulator.rules.hooks import RULES, apply

__all__ = [
    "RULES",
    "acm",
    "apply",
    "autoscaling",
    "cloudfront",
    "cloudwatch",
    "ec2",
    "ecr",
    "iam",
    "kms",
    "load_balancing",
    "networks",
    "rds",
    "rds_parameters",
    "route53",
    "s3",
    "secrets",
    "sns",
]
