"""ECR: names of repositories, their policies, and which images are deleted."""

import json
import re
from typing import Any

from ministack.services import ecr

from sandbox.emulator.rules import policies
from sandbox.emulator.rules.hooks import Refusal, rule

API = "https://docs.aws.amazon.com/AmazonECR/latest/APIReference"
GUIDE = "https://docs.aws.amazon.com/AmazonECR/latest/userguide"
NAME = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")
SHORTEST_NAME, LONGEST_NAME = 2, 256


@rule(ecr, "_create_repository", source=f"{API}/API_CreateRepository.html")
def repository_name(data: Any) -> Refusal | None:
    """A repository has a name of lower-case letters, digits and separators, 2 to 256 characters."""
    name = str(data.get("repositoryName", ""))
    if NAME.fullmatch(name) and SHORTEST_NAME <= len(name) <= LONGEST_NAME:
        return None
    message = f"Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy {NAME.pattern}'"
    return Refusal("InvalidParameterException", message)


@rule(ecr, "_set_repository_policy", source="https://github.com/awsdocs/amazon-ecr-user-guide/pull/20")
def repository_policy(data: Any) -> Refusal | None:
    """A repository's policy names principals and actions, and no resource."""
    text = str(data.get("policyText", ""))
    is_wrong = bool(policies.problem(text, has_principal=True, has_resource=False))
    if not is_wrong and all("Resource" not in statement for statement in policies.many(json.loads(text)["Statement"])):
        return None
    message = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'"
    return Refusal("InvalidParameterException", message)


@rule(ecr, "_put_lifecycle_policy", source=f"{GUIDE}/lifecycle_policy_parameters.html")
def lifecycle_policy(data: Any) -> Refusal | None:
    """Priorities of lifecycle rules are unique, and a rule for any tag comes last."""
    try:
        rules = json.loads(data.get("lifecyclePolicyText", ""))["rules"]
        order = sorted((int(item["rulePriority"]), item["selection"]["tagStatus"]) for item in rules)
    except (ValueError, KeyError, TypeError):
        return Refusal("InvalidParameterException", "Lifecycle policy validation failure: not a policy")
    priorities = [priority for priority, _ in order]
    if len(set(priorities)) == len(priorities) and "any" not in [status for _, status in order[:-1]]:
        return None
    message = "Lifecycle policy validation failure: priorities are not unique, or a rule for any tag is not the last"
    return Refusal("InvalidParameterException", message)
