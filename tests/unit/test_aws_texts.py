"""Texts that the program sends to AWS: only characters that AWS accepts, and not too many."""

import re
from typing import Any

import pytest

from tests.unit.conftest import STACKS, program_run

# EC2 refuses other characters in the descriptions of security groups and their rules.
# Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
EC2_DESCRIPTION = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}")
# IAM: Latin letters. Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
IAM_DESCRIPTION = re.compile(r"[\t\n\r\x20-\x7e\xa1-\xff]{0,1000}")
# What all services accept in the values of tags.
# Source: https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
TAG = re.compile(r"[\w .:/=+\-@]{0,256}")
DESCRIPTIONS = {
    "aws:ec2/securityGroup:SecurityGroup": EC2_DESCRIPTION,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": EC2_DESCRIPTION,
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": EC2_DESCRIPTION,
    "aws:iam/role:Role": IAM_DESCRIPTION,
}


@pytest.mark.parametrize("stack", STACKS)
def test_descriptions_have_only_characters_that_aws_accepts(stack: str) -> None:
    """An apostrophe in one security group would fail the first update of an environment."""
    described = [resource for resource in program_run(stack).resources.values() if resource.type in DESCRIPTIONS]
    assert {resource.type for resource in described} == set(DESCRIPTIONS)
    wrong = {
        resource.name: resource.inputs.get("description")
        for resource in described
        if not DESCRIPTIONS[resource.type].fullmatch(resource.inputs.get("description") or "")
    }
    assert wrong == {}


@pytest.mark.parametrize("stack", STACKS)
def test_tags_have_only_characters_that_aws_accepts(stack: str) -> None:
    """Each service has its own rules; these characters are accepted by all."""
    tags = [tag for resource in program_run(stack).resources.values() for tag in tags_in(resource.inputs.get("tags"))]
    assert tags
    assert [tag for tag in tags if not all(map(TAG.fullmatch, tag))] == []


def tags_in(value: Any) -> list[tuple[str, str]]:
    """Return tags as (name, value); those of an Auto Scaling group are a list of objects."""
    if isinstance(value, list):
        return [(tag["key"], tag["value"]) for tag in value]
    return list((value or {}).items())
