"""No role of a service can read or change what belongs to another service, in any environment."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from components.policies.deployments import READ_ACTIONS
from mocks.aws import Run
from tests.unit.conftest import program_run
from tests.unit.iam import Statement, actions_of, holds, is_allowed

ROLE_POLICY = "iam/rolePolicy:RolePolicy"
ROLES = ("deploy-permissions", "permissions")  # of the workflow and of the servers
REGION = "us-east-1"
# What IAM cannot limit to a resource. The agent of Systems Manager acts for the server that it runs on. The login to
# ECR gives access to nothing without the permission for a repository.
ANYWHERE = {*READ_ACTIONS, "ecr:GetAuthorizationToken"}
AGENT = ("ssm:UpdateInstanceInformation", "ssmmessages:", "ec2messages:")
# What a workflow could say about its own request to get as much as possible.
CLAIMS = {
    "ec2:CreateAction": "RunInstances",
    "ec2:IsLaunchTemplateResource": "true",
    "iam:PassedToService": "ec2.amazonaws.com",
    "autoscaling:LaunchTemplateVersionSpecified": "true",
}


def services_in(run: Run) -> list[str]:
    """Return the services that have roles."""
    suffix = f"-{ROLES[0]}"
    return sorted(name.removesuffix(suffix) for name in run.of(ROLE_POLICY) if name.endswith(suffix))


def statements_of(run: Run, service: str, role: str) -> list[Statement]:
    """Return the statements of a service's role."""
    policy = run.one(ROLE_POLICY, f"{service}-{role}").inputs["policy"]
    return list(json.loads(policy)["Statement"])


def belongings(run: Run, environment: str, account: str, service: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield everything that belongs to a service: an ARN, and the condition keys of its tags.

    The mocks make up ARNs for what the program registers. What policies name by a pattern is added in AWS's form.
    """
    tags = {"aws:ResourceTag/Service": service, "aws:ResourceTag/Environment": environment}
    ec2 = f"arn:aws:ec2:{REGION}:{account}"
    for resource in run.resources.values():
        if resource.name == service or resource.name.startswith(f"{service}-"):
            yield f"arn:aws:::{resource.name}", tags
            yield f"arn:aws:::{resource.name}/some/file", tags
    yield f"arn:aws:::{service}-logs:log-stream:x", tags
    for kind, name in {
        "launch-template": f"{service}-servers-template-id",
        "security-group": f"{service}-servers-id",
        "instance": "i-1",
        "volume": "vol-1",
    }.items():
        yield f"{ec2}:{kind}/{name}", tags
    yield f"arn:aws:ssm:{REGION}:{account}:parameter/{environment}/{service}/secret", tags
    yield f"arn:aws:secretsmanager:::secret:rds-{service}-database-instance", tags
    yield f"arn:aws:cloudfront::{account}:distribution/{service}-cdn-distribution-id", tags
    yield f"arn:aws:ecr:{REGION}:111111111111:repository/{service}", tags
    yield f"arn:aws:ses:{REGION}:{account}:configuration-set/{service}-mail", tags


def crossings(environment: str, account: str) -> list[tuple[str, str, str]]:
    """Return what each role can do to what belongs to another service: the role, the action and the resource."""
    run = program_run(environment)
    services = services_in(run)
    found = []
    for service in services:
        template = f"arn:aws:ec2:{REGION}:{account}:launch-template/{service}-servers-template-id"
        own_request = {
            **CLAIMS,
            "ec2:LaunchTemplate": template,
            "aws:RequestTag/Service": service,
            "aws:RequestTag/Environment": environment,
        }
        for role in ROLES:
            statements = statements_of(run, service, role)
            actions = {action for action in actions_of(statements) if not action.startswith(AGENT)} - ANYWHERE
            for other in services:
                if other == service:
                    continue
                for arn, tags in belongings(run, environment, account, other):
                    # A new server has the tags of the request, and belongs to whoever starts it.
                    context = {**own_request, **tags}
                    is_new = arn.rpartition("/")[2] in {"i-1", "vol-1"}
                    found += [
                        (f"{service}-{role}", action, arn)
                        for action in sorted(actions)
                        if not (is_new and action in {"ec2:RunInstances", "ec2:CreateTags"})
                        and is_allowed(statements, action, arn, context)
                    ]
    return found


@pytest.mark.parametrize(
    ("environment", "account"), [("alpha", "222222222222"), ("beta", "333333333333"), ("prod", "111111111111")]
)
def test_no_role_reaches_another_service(environment: str, account: str) -> None:
    """Every action that a role has is tried on everything that each other service has."""
    assert crossings(environment, account) == []


def test_every_role_reaches_its_own_service() -> None:
    """The evaluation allows what is meant to be allowed, so the test above cannot pass by refusing everything."""
    run = program_run("prod")
    for service in services_in(run):
        own = dict(belongings(run, "prod", "111111111111", service))
        statements = statements_of(run, service, "deploy-permissions")
        assert is_allowed(
            statements, "autoscaling:UpdateAutoScalingGroup", "arn:aws:::x", {**CLAIMS, **next(iter(own.values()))}
        )
        statements = statements_of(run, service, "permissions")
        parameter = next(arn for arn in own if ":parameter/" in arn)
        assert is_allowed(statements, "ssm:GetParameter", parameter, {})


ESCALATIONS: dict[str, tuple[str, str, dict[str, str]]] = {
    "the newest version of the template, whatever it says": (
        "autoscaling:UpdateAutoScalingGroup",
        "arn:aws:::members-servers-group",
        {"autoscaling:LaunchTemplateVersionSpecified": "false"},
    ),
    "another service's role": (
        "iam:PassRole",
        "arn:aws:::payments-servers",
        {"iam:PassedToService": "ec2.amazonaws.com"},
    ),
    "its own role for another AWS service": (
        "iam:PassRole",
        "arn:aws:::members-servers",
        {"iam:PassedToService": "lambda.amazonaws.com"},
    ),
    "the rule of the shared load balancer": (
        "elasticloadbalancing:ModifyRule",
        "arn:aws:elasticloadbalancing:us-east-1:111111111111:listener-rule/app/front-door/1/2/3",
        {},
    ),
    "the security group of another service": (
        "ec2:RunInstances",
        "arn:aws:ec2:us-east-1:111111111111:security-group/payments-servers-id",
        {"aws:ResourceTag/Service": "payments"},
    ),
    "the user data of a running server": (
        "ec2:DescribeInstanceAttribute",
        "arn:aws:ec2:us-east-1:111111111111:instance/i-1",
        {},
    ),
    "other permissions for its role": ("iam:PutRolePolicy", "arn:aws:::members-servers", {}),
    "a shell on a server": ("ssm:StartSession", "arn:aws:ec2:us-east-1:111111111111:instance/i-1", {}),
    "tags that make a resource its own": (
        "ec2:CreateTags",
        "arn:aws:ec2:us-east-1:111111111111:security-group/payments-servers-id",
        {"aws:RequestTag/Service": "members", "aws:RequestTag/Environment": "prod"},
    ),
}


@pytest.mark.parametrize("name", ESCALATIONS)
def test_a_deploy_role_cannot_escalate(name: str) -> None:
    """None of the ways by which a workflow could become another service is open."""
    action, resource, differences = ESCALATIONS[name]
    template = "arn:aws:ec2:us-east-1:111111111111:launch-template/members-servers-template-id"
    own = {"aws:ResourceTag/Service": "members", "aws:ResourceTag/Environment": "prod"}
    context = {**CLAIMS, "ec2:LaunchTemplate": template, **own, **differences}
    assert not is_allowed(
        statements_of(program_run("prod"), "members", "deploy-permissions"), action, resource, context
    )


@pytest.mark.parametrize(
    ("condition", "context", "expected"),
    [
        ({"StringEquals": {"a": "1"}}, {"a": "1"}, True),
        ({"StringEquals": {"a": "1"}}, {}, False),
        ({"StringEquals": {"a": ["1", "2"]}}, {"a": "2"}, True),
        ({"BoolIfExists": {"a": "true"}}, {}, True),
        ({"BoolIfExists": {"a": "true"}}, {"a": "false"}, False),
        ({"ArnEquals": {"a": "arn:x:*"}}, {"a": "arn:x:y"}, True),
    ],
)
def test_conditions_are_evaluated_as_iam_does(condition: Any, context: dict[str, str], *, expected: bool) -> None:
    """A key that is missing fails, unless the operator ends with IfExists."""
    assert holds(condition, context) is expected
