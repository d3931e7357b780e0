"""Where the images of all services are: a repository for each, which every environment pulls from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws.ecr.lifecycle_policy import LifecyclePolicy
from pulumi_aws.ecr.repository import Repository
from pulumi_aws.ecr.repository_policy import RepositoryPolicy
from pulumi_aws.iam.open_id_connect_provider import OpenIdConnectProvider
from pulumi_aws.iam.role import Role
from pulumi_aws.iam.role_policy import RolePolicy

from components import type_tokens
from components.encryption_key import encryption_key
from components.outputs import json_document
from components.policies.deployments import GITHUB_ISSUER
from components.tags import resource_tags
from organization.policies import key_policy, lifecycle_policy, pull_policy, push_policy, push_trust_policy

SCOPE = "organization"  # stands where resources of an environment have its name


@dataclass(frozen=True, kw_only=True)
class ImageRegistryArgs:
    """The services, and who pulls and pushes their images."""

    account_id: str
    """ID of the registry's account, 12 digits. With a wrong ID, nobody can use its key."""

    services: Sequence[str]
    """Names of all services. Removing one is refused while its repository has images."""

    reader_accounts: Sequence[str]
    """Accounts of the environments. Servers of other accounts cannot pull."""

    images_from: Mapping[str, str]
    """The GitHub repository, owner/name, that pushes a service's images, by service. The others are pushed by hand."""

    identity_provider_arn: str | None = None
    """The account's identity provider for GitHub. Default: one is created if a service needs it."""


class ImageRegistry(pulumi.ComponentResource):
    """A repository for each service, with immutable tags, scanning and a lifecycle, and roles that push images.

    A pushed tag can never name another image, so a version is what was tested.

    Does not build or push images. Does not scan continuously: images are scanned when they are pushed. Does not
    replicate images to other regions.
    """

    repositories: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: ImageRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the key, the repositories and the roles."""
        super().__init__(type_tokens.IMAGE_REGISTRY, name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._key_arn = encryption_key(
            name,
            alias=f"{SCOPE}-images",
            description="container images of all services",
            policy=key_policy(args.account_id),
            protect=True,
            tags=resource_tags(SCOPE, "images"),
            parent=self,
        ).arn
        repositories = {service: self._repository(service) for service in args.services}
        provider_arn = self._identity_provider_arn()
        if provider_arn is not None:
            for service, source in sorted(args.images_from.items()):
                self._push_role(service, source, repositories[service], provider_arn)
        self.repositories = {service: repository.repository_url for service, repository in repositories.items()}
        self.register_outputs({"repositories": self.repositories})

    def _repository(self, service: str) -> Repository:
        """Create a service's repository."""
        repository = Repository(
            f"{self._name}-{service}",
            name=service,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": self._key_arn}],
            tags=resource_tags(SCOPE, service, service),
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        if self._args.reader_accounts:
            RepositoryPolicy(
                f"{self._name}-{service}-pull",
                repository=repository.name,
                policy=json.dumps(pull_policy(self._args.reader_accounts)),
                opts=self._child,
            )
        LifecyclePolicy(
            f"{self._name}-{service}-lifecycle", repository=repository.name, policy=lifecycle_policy(), opts=self._child
        )
        return repository

    def _identity_provider_arn(self) -> pulumi.Input[str] | None:
        """Let IAM trust GitHub's workflows, if one of them pushes images."""
        if not self._args.images_from or self._args.identity_provider_arn is not None:
            return self._args.identity_provider_arn
        return OpenIdConnectProvider(
            f"{self._name}-workflows",
            url=f"https://{GITHUB_ISSUER}",
            client_id_lists=["sts.amazonaws.com"],
            tags=resource_tags(SCOPE, "workflows"),
            opts=self._child,
        ).arn

    def _push_role(self, service: str, source: str, repository: Repository, provider_arn: pulumi.Input[str]) -> None:
        """Create the role with which a service's workflow pushes its images."""
        trust = json_document(
            lambda arn: push_trust_policy(identity_provider_arn=arn, issuer=GITHUB_ISSUER, repository=source),
            arn=provider_arn,
        )
        role = Role(
            f"{self._name}-{service}-push",
            assume_role_policy=trust,
            tags=resource_tags(SCOPE, f"{service}-push", service),
            opts=self._child,
        )
        RolePolicy(
            f"{self._name}-{service}-push-permissions",
            role=role.name,
            policy=json_document(push_policy, repository_arn=repository.arn),
            opts=self._child,
        )
