"""What exists once for all environments: the registry of images, and the bucket of Pulumi's states."""

import json
import runpy
from typing import Any

import pulumi
import pytest

from mocks.aws import Run, run
from organization.stack_settings import OrganizationError, read_settings, single_account
from tests.unit.conftest import ROOT

SERVICES = {"core", "email", "events", "members", "payments", "socket"}
PROVIDER = "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com"
REPOSITORY, ROLE = "ecr/repository:Repository", "iam/role:Role"


def registered(settings: Any, accounts: Any = ("111111111111",)) -> Run:
    """Run the program. settings: those of its stack."""
    config = {
        "aws:region": "us-east-1",
        "aws:allowedAccountIds": json.dumps(accounts),
        "100xglobal-organization:settings": json.dumps(settings),
    }
    program = ROOT / "organization" / "__main__.py"
    return run(lambda: runpy.run_path(str(program), run_name="__main__"), stack="organization", config=config)


@pytest.fixture(scope="module")
def organization() -> Run:
    """Return what the program registers if members' images come from GitHub."""
    return registered({"images_from": {"members": "100xglobal/members"}})


def test_every_service_has_a_protected_repository_whose_tags_never_move(organization: Run) -> None:
    """A version always names the image that was tested, and images that run somewhere are not deleted by mistake."""
    repositories = {repository.inputs["name"]: repository for repository in organization.of(REPOSITORY).values()}
    assert set(repositories) == SERVICES
    for repository in repositories.values():
        assert repository.protect
        assert repository.inputs["imageTagMutability"] == "IMMUTABLE"
        assert repository.inputs["imageScanningConfiguration"] == {"scanOnPush": True}
        assert repository.inputs["encryptionConfigurations"] == [
            {"encryptionType": "KMS", "kmsKey": "arn:aws:::images-key"}
        ]


def test_only_the_accounts_of_the_environments_pull(organization: Run) -> None:
    """They come from the files of the environments."""
    for policy in organization.of("ecr/repositoryPolicy:RepositoryPolicy").values():
        (statement,) = json.loads(policy.inputs["policy"])["Statement"]
        assert statement["Principal"] == {"AWS": [f"arn:aws:iam::{digit * 12}:root" for digit in "123"]}
        assert not any(action.startswith("ecr:Put") or "*" in action for action in statement["Action"])


def test_example_accounts_are_left_out_of_a_real_registry() -> None:
    """AWS refuses a policy with an account that does not exist."""
    assert registered({}, ("310998877665",)).of("ecr/repositoryPolicy:RepositoryPolicy") == {}


def test_old_images_are_deleted_and_the_newest_are_kept(organization: Run) -> None:
    """Images that no tag names are left by failed builds."""
    for policy in organization.of("ecr/lifecyclePolicy:LifecyclePolicy").values():
        untagged, old = (rule["selection"] for rule in json.loads(policy.inputs["policy"])["rules"])
        assert (untagged["tagStatus"], untagged["countNumber"]) == ("untagged", 30)
        assert (old["tagStatus"], old["countNumber"]) == ("any", 500)


def test_a_workflow_pushes_the_images_of_its_own_service_only(organization: Run) -> None:
    """Only the main branch of its repository assumes the role."""
    assert list(organization.of(ROLE)) == ["images-members-push"]
    trust = json.loads(organization.of(ROLE)["images-members-push"].inputs["assumeRolePolicy"])
    condition = trust["Statement"][0]["Condition"]["StringEquals"]
    assert condition["token.actions.githubusercontent.com:sub"] == "repo:100xglobal/members:ref:refs/heads/main"
    policy = organization.one("iam/rolePolicy:RolePolicy", "images-members-push-permissions").inputs["policy"]
    push = next(statement for statement in json.loads(policy)["Statement"] if statement["Sid"] == "Push")
    assert push["Resource"] == "arn:aws:::images-members"


def test_an_identity_provider_that_exists_is_used() -> None:
    """AWS allows one for each issuer in an account."""
    kind = "iam/openIdConnectProvider:OpenIdConnectProvider"
    settings = {"images_from": {"members": "100xglobal/members"}, "identity_provider_arn": PROVIDER}
    existing = registered(settings)
    assert existing.of(kind) == {}
    trust = json.loads(existing.of(ROLE)["images-members-push"].inputs["assumeRolePolicy"])
    assert trust["Statement"][0]["Principal"] == {"Federated": PROVIDER}
    assert registered({}).of(kind) == registered({}).of(ROLE) == {}


def test_the_bucket_of_states_is_versioned_encrypted_and_protected(organization: Run) -> None:
    """A damaged state can be restored; the secrets in it have a key of their own."""
    assert organization.one("s3/bucket:Bucket", "state-bucket").protect
    assert organization.one("kms/key:Key", "state-key").protect
    versioning = organization.one("s3/bucketVersioning:BucketVersioning", "state-versions").inputs
    assert versioning["versioningConfiguration"] == {"status": "Enabled"}
    assert organization.outputs["state_backend"] == "s3://state-bucket-1a2b3c4"
    assert organization.outputs["secrets_provider"] == "awskms://alias/pulumi-state?region=us-east-1"


def test_without_a_bucket_of_states_there_are_only_repositories() -> None:
    """Those who use Pulumi Cloud do not need one."""
    assert registered({"state_bucket": False}).of("s3/bucket:Bucket") == {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "settings is missing"),
        ({"bucket": True}, "bucket: Extra inputs are not permitted"),
        ({"images_from": {"membres": "100xglobal/members"}}, "images_from names membres"),
        ({"images_from": {"members": "members"}}, "images_from.members: String should match"),
        ({"identity_provider_arn": "github"}, "identity_provider_arn: String should match"),
    ],
)
def test_wrong_settings_are_explained(value: Any, message: str) -> None:
    """Nothing is created then."""
    with pytest.raises(OrganizationError, match=message):
        read_settings(value, SERVICES)


@pytest.mark.parametrize("value", [None, [], ["111111111111", "222222222222"], ["11111111111"], "111111111111"])
def test_exactly_one_account_is_allowed(value: Any) -> None:
    """Otherwise credentials of another account would create a second registry there."""
    with pytest.raises(OrganizationError):
        single_account(value)


def test_the_program_reports_wrong_settings_without_a_traceback() -> None:
    """Pulumi prints the message of a RunError alone."""
    with pytest.raises(pulumi.RunError, match="images_from names x"):
        registered({"images_from": {"x": "a/b"}})
