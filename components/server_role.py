"""Creates the role of a service's servers."""

import json
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import pulumi
from pulumi_aws.iam.instance_profile import InstanceProfile
from pulumi_aws.iam.role import Role
from pulumi_aws.iam.role_policy import RolePolicy

from components.cdn_bucket import CdnBucket
from components.isolated_database import IsolatedDatabase
from components.mail_domain import MailDomain
from components.outputs import json_document
from components.policies.documents import ServiceScope, service_trust_policy
from components.policies.servers import server_policy
from settings.service_spec import ServerAccess


class ServerRole(NamedTuple):
    """The role of the servers, and the instance profile by which EC2 gives it to them."""

    role: Role
    profile: InstanceProfile


def server_role(
    name: str,
    scope: ServiceScope,
    *,
    image: str,
    key_arn: pulumi.Input[str],
    log_group_arn: pulumi.Input[str],
    database: IsolatedDatabase | None,
    cdn: CdnBucket | None,
    server_access: ServerAccess | None,
    mail: MailDomain | None,
    tags: Mapping[str, str],
    parent: pulumi.Resource,
) -> ServerRole:
    """Create the role with permissions for what belongs to the service, and for nothing of another service."""
    opts = pulumi.ResourceOptions(parent=parent)
    role = Role(
        f"{name}-servers",
        description=f"What the servers of {name} may do",
        assume_role_policy=json.dumps(service_trust_policy("ec2.amazonaws.com")),
        tags=tags,
        opts=opts,
    )
    arns = {"key_arn": key_arn, "log_group_arn": log_group_arn}
    if database:
        arns["secret_arn"] = database.secret_arn
    if cdn:
        arns["bucket_arn"] = cdn.bucket_arn
    if mail:
        arns |= {"mail_identity_arn": mail.identity_arn, "mail_configuration_set": mail.configuration_set_name}
    RolePolicy(
        f"{name}-permissions",
        role=role.name,
        policy=json_document(partial(server_policy, scope, image=image, server_access=server_access), **arns),
        opts=opts,
    )
    return ServerRole(role, InstanceProfile(f"{name}-profile", role=role.name, tags=tags, opts=opts))
