"""Creates the role that a service's workflow on GitHub deploys with."""

from collections.abc import Mapping
from functools import partial

import pulumi
from pulumi_aws.iam.role import Role
from pulumi_aws.iam.role_policy import RolePolicy

from components.cdn_bucket import CdnBucket
from components.outputs import json_document
from components.policies.deployments import deploy_policy, deploy_trust_policy
from components.policies.documents import ServiceScope

SESSION_SECONDS = 3600


def deploy_role(
    name: str,
    scope: ServiceScope,
    *,
    identity_provider_arn: pulumi.Input[str],
    repository: str,
    launch_template_id: pulumi.Input[str],
    server_role_arn: pulumi.Input[str],
    cdn: CdnBucket | None,
    tags: Mapping[str, str],
    parent: pulumi.Resource,
) -> None:
    """Create a role that can change this service's resources in this environment, and nothing else.

    repository: owner/name on GitHub. Only jobs of its GitHub environment `<environment>-<service>` can assume the role.
    """
    opts = pulumi.ResourceOptions(parent=parent)
    role = Role(
        f"{name}-deploy",
        description=f"Deploys {name} to {scope.environment}",
        assume_role_policy=json_document(
            partial(deploy_trust_policy, scope, repository=repository), identity_provider_arn=identity_provider_arn
        ),
        max_session_duration=SESSION_SECONDS,
        tags=tags,
        opts=opts,
    )
    files = {"bucket_arn": cdn.bucket_arn, "distribution_id": cdn.distribution_id} if cdn else {}
    RolePolicy(
        f"{name}-deploy-permissions",
        role=role.name,
        policy=json_document(
            partial(deploy_policy, scope),
            launch_template_id=launch_template_id,
            server_role_arn=server_role_arn,
            **files,
        ),
        opts=opts,
    )
