"""Requests about roles, policies and keys that AWS refuses."""

import json
from typing import Any

from tests.engine.aws_requests.account import ACCOUNT, OWNER, Account, Request, Requests

READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


def document(*statements: Any) -> str:
    """Return a policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def managed(text: str) -> Request:
    """Return a request that creates a managed policy."""
    return lambda account: account.client("iam").create_policy(PolicyName=account.name(), PolicyDocument=text)


def inline(**fields: Any) -> Request:
    """Return a request that puts a statement into a role's inline policy. None removes a field."""
    statement = {key: value for key, value in {**READ, **fields}.items() if value is not None}
    return lambda account: account.inline_policy(document(statement))


def trusting(principal: dict[str, str]) -> Request:
    """Return a request that creates a role that somebody can assume."""
    return lambda account: account.role(Principal=principal)


def key_for(principal: str) -> Request:
    """Return a request that creates a key whose policy names somebody."""
    reader = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "kms:Decrypt", "Resource": "*"}

    def send(account: Account) -> None:
        policy = document(OWNER, reader)
        account.client("kms").create_key(Policy=policy)

    return send


def delete_role(account: Account, *, has_policy: bool) -> None:
    """Delete a role with or without an inline policy."""
    iam, role = account.client("iam"), account.role()
    if has_policy:
        iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=document(READ))
    iam.delete_role(RoleName=role)


def delete_role_of_profile(account: Account, *, is_used: bool) -> None:
    """Delete a role that an instance profile has, or not."""
    iam, role, profile = account.client("iam"), account.role(), account.name()
    iam.create_instance_profile(InstanceProfileName=profile)
    if is_used:
        iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=role)
    iam.delete_role(RoleName=role)


def profile_with(account: Account, count: int) -> None:
    """Add roles to one instance profile."""
    iam, profile = account.client("iam"), account.name()
    iam.create_instance_profile(InstanceProfileName=profile)
    for _ in range(count):
        iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=account.role())


def session(seconds: int) -> Request:
    """Return a request that creates a role with a longest session."""
    trust = document({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"})
    return lambda account: account.client("iam").create_role(
        RoleName=account.name(), AssumeRolePolicyDocument=trust, MaxSessionDuration=seconds
    )


def attached(arn: str) -> Request:
    """Return a request that attaches a managed policy to a role."""
    return lambda account: account.client("iam").attach_role_policy(RoleName=account.role(), PolicyArn=arn)


REQUESTS: Requests = {
    "a statement without an effect": (inline(Effect=None), "MalformedPolicyDocument", inline()),
    "an unknown effect": (inline(Effect="allow"), "MalformedPolicyDocument", None),
    "a statement without an action": (inline(Action=None), "MalformedPolicyDocument", None),
    "a statement without a resource": (inline(Resource=None), "MalformedPolicyDocument", None),
    "an action without a service": (inline(Action="GetObject"), "MalformedPolicyDocument", None),
    "a resource that is no ARN": (
        inline(Resource="my-bucket"),
        "MalformedPolicyDocument",
        inline(Resource="arn:aws:s3:::my-bucket/*"),
    ),
    "an unknown operator": (
        inline(Condition={"StringIs": {"aws:RequestedRegion": "x"}}),
        "MalformedPolicyDocument",
        inline(Condition={"StringEquals": {"aws:RequestedRegion": "x"}}),
    ),
    "an unknown element": (inline(Conditions={}), "MalformedPolicyDocument", None),
    "a principal in a role's policy": (inline(Principal="*"), "MalformedPolicyDocument", None),
    "a policy without a version": (
        managed(json.dumps({"Version": "2020-01-01", "Statement": [READ]})),
        "MalformedPolicyDocument",
        managed(document(READ)),
    ),
    "two statements of one name": (
        managed(document({**READ, "Sid": "A"}, {**READ, "Sid": "A"})),
        "MalformedPolicyDocument",
        managed(document({**READ, "Sid": "A"}, {**READ, "Sid": "B"})),
    ),
    "a statement's name with a hyphen": (managed(document({**READ, "Sid": "a-b"})), "MalformedPolicyDocument", None),
    "a managed policy over 6,144 characters": (
        managed(document({**READ, "Resource": f"arn:aws:s3:::{'a' * 6100}"})),
        "LimitExceeded",
        managed(document({**READ, "Resource": f"arn:aws:s3:::{'a' * 5900}"})),
    ),
    "a role that an unknown role can assume": (
        trusting({"AWS": f"arn:aws:iam::{ACCOUNT}:role/nobody"}),
        "MalformedPolicyDocument",
        trusting({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
    ),
    "a role that an unknown service can assume": (
        trusting({"Service": "ec2"}),
        "MalformedPolicyDocument",
        trusting({"Service": "ec2.amazonaws.com"}),
    ),
    "a key for an unknown role": (
        key_for(f"arn:aws:iam::{ACCOUNT}:role/nobody"),
        "MalformedPolicyDocumentException",
        key_for(f"arn:aws:iam::{ACCOUNT}:root"),
    ),
    "deleting a role with a policy": (
        lambda account: delete_role(account, has_policy=True),
        "DeleteConflict",
        lambda account: delete_role(account, has_policy=False),
    ),
    "deleting a role of an instance profile": (
        lambda account: delete_role_of_profile(account, is_used=True),
        "DeleteConflict",
        lambda account: delete_role_of_profile(account, is_used=False),
    ),
    "two roles in an instance profile": (
        lambda account: profile_with(account, 2),
        "LimitExceeded",
        lambda account: profile_with(account, 1),
    ),
    "sessions of 13 hours": (session(46800), "ValidationError", session(43200)),
    "an unknown managed policy": (
        attached("arn:aws:iam::aws:policy/NoSuchPolicy"),
        "NoSuchEntity",
        attached("arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"),
    ),
}
