"""The policies, as pure functions of plain values."""

from typing import Any

import pytest

from components.policies.buckets import cdn_bucket_policy
from components.policies.deployments import deploy_policy, deploy_trust_policy
from components.policies.documents import KMS_USE_ACTIONS, PolicyDocument, ServiceScope, service_trust_policy
from components.policies.keys import service_key_policy
from components.policies.servers import server_policy
from foundation.policies import flow_log_policy, foundation_key_policy, log_bucket_policy, query_log_policy

SCOPE = ServiceScope(environment="beta", service="members", region="eu-west-1", account_id="111111111111")
BUCKET = "arn:aws:s3:::files"
IMAGE = "222222222222.dkr.ecr.us-east-1.amazonaws.com/team/members@sha256:0"
WRITE_ACTIONS = {"s3:PutObject", "s3:DeleteObject"}


def by_sid(policy: PolicyDocument) -> dict[str, dict[str, Any]]:
    """Return a document's statements by their Sid. Any: the values of a statement."""
    statements: Any = policy["Statement"]  # a document's values are objects
    return {statement["Sid"]: statement for statement in statements}


def servers(**resources: Any) -> dict[str, dict[str, Any]]:
    """Return the statements of a server policy. Any: the optional arguments of server_policy."""
    return by_sid(server_policy(SCOPE, image=IMAGE, key_arn="arn:key", log_group_arn="arn:logs", **resources))


def test_every_policy_has_the_current_version() -> None:
    """With the older version of the language, policy variables would be literal text."""
    documents = [
        cdn_bucket_policy(BUCKET, "arn:distribution"),
        deploy_policy(SCOPE, launch_template_id="lt-1", server_role_arn="arn:role"),
        deploy_trust_policy(SCOPE, identity_provider_arn="arn:github", repository="owner/name"),
        flow_log_policy("arn:logs"),
        foundation_key_policy(environment="beta", account_id="111111111111", region="eu-west-1"),
        log_bucket_policy(BUCKET, account_id="111111111111"),
        query_log_policy(environment="beta", account_id="111111111111"),
        server_policy(SCOPE, image=IMAGE, key_arn="arn:key", log_group_arn="arn:logs"),
        service_key_policy(SCOPE, has_cdn=True),
        service_trust_policy("ec2.amazonaws.com"),
    ]
    assert {document["Version"] for document in documents} == {"2012-10-17"}


def test_a_service_without_optional_parts_gets_no_permissions_for_them() -> None:
    """Without a database, CDN and mail, the servers have only what every service has."""
    assert set(servers()) == {"SystemsManager", "OwnKey", "OwnLogs", "OwnParameters", "RegistryLogin", "OwnImage"}


def test_servers_can_read_their_own_parameters_only() -> None:
    """The parameters are below the path of environment and service."""
    path = "arn:aws:ssm:eu-west-1:111111111111:parameter/beta/members"
    assert servers()["OwnParameters"]["Resource"] == [path, f"{path}/*"]


def test_servers_can_pull_their_image_from_another_account_and_region() -> None:
    """The permission is for one repository of the registry's account."""
    assert servers()["OwnImage"]["Resource"] == "arn:aws:ecr:us-east-1:222222222222:repository/team/members"


def test_an_image_from_elsewhere_needs_no_permission() -> None:
    """Only ECR asks for AWS's credentials."""
    policy = by_sid(server_policy(SCOPE, image="ghcr.io/x@sha256:0", key_arn="arn:key", log_group_arn="arn:logs"))
    assert not {"RegistryLogin", "OwnImage"} & set(policy)


@pytest.mark.parametrize(("access", "can_write"), [("read", False), ("read and write", True)])
def test_servers_can_write_files_only_if_the_spec_says_so(access: str, *, can_write: bool) -> None:
    """Reading is always allowed to a service with files."""
    actions = set(servers(bucket_arn=BUCKET, server_access=access)["OwnFiles"]["Action"])
    assert "s3:GetObject" in actions
    assert (actions >= WRITE_ACTIONS) is can_write
    assert bool(actions & WRITE_ACTIONS) is can_write


def test_servers_can_send_mail_as_their_own_host_only() -> None:
    """The permission is for one identity and one configuration set."""
    mail = servers(mail_identity_arn="arn:identity", mail_configuration_set="members-mail")
    assert mail["SendAsItself"]["Resource"] == [
        "arn:identity",
        "arn:aws:ses:eu-west-1:111111111111:configuration-set/members-mail",
    ]


def test_the_servers_secret_is_the_databases() -> None:
    """The permission is for one secret."""
    assert servers(secret_arn="arn:secret")["OwnSecret"]["Resource"] == "arn:secret"  # noqa: S106 an ARN, not a secret


def test_a_services_key_encrypts_only_its_own_log_group() -> None:
    """CloudWatch can use the key with the encryption context of one log group."""
    statement = by_sid(service_key_policy(SCOPE, has_cdn=False))["LogsOfThisService"]
    assert statement["Action"] == KMS_USE_ACTIONS
    assert statement["Condition"]["ArnEquals"] == {
        "kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:eu-west-1:111111111111:log-group:/beta/members/servers"
    }


def test_the_account_can_always_manage_its_keys() -> None:
    """Without this statement, nobody could ever change the key again."""
    for policy in (
        service_key_policy(SCOPE, has_cdn=False),
        foundation_key_policy(environment="beta", account_id="111111111111", region="eu-west-1"),
    ):
        statement = by_sid(policy)["AccountAdministers"]
        assert (statement["Principal"], statement["Action"]) == ({"AWS": "arn:aws:iam::111111111111:root"}, "kms:*")


@pytest.mark.parametrize(
    ("region", "principals"),
    [
        ("eu-west-1", ["logs.eu-west-1.amazonaws.com", "logs.us-east-1.amazonaws.com"]),
        ("us-east-1", ["logs.us-east-1.amazonaws.com"]),
    ],
)
def test_the_foundations_key_encrypts_logs_in_both_regions(region: str, principals: list[str]) -> None:
    """Route 53 logs queries in us-east-1, whatever the environment's region is."""
    policy = foundation_key_policy(environment="beta", account_id="111111111111", region=region)
    assert by_sid(policy)["Logs"]["Principal"] == {"Service": principals}


def test_buckets_refuse_plain_http() -> None:
    """Every bucket policy denies requests without TLS, for the bucket and its files."""
    for policy in (cdn_bucket_policy(BUCKET, "arn:distribution"), log_bucket_policy(BUCKET, account_id="111111111111")):
        statement = by_sid(policy)["TlsOnly"]
        assert (statement["Effect"], statement["Resource"]) == ("Deny", [BUCKET, f"{BUCKET}/*"])


def test_only_aws_services_of_this_account_can_write_logs() -> None:
    """Without the condition, another account's load balancer could write to the bucket."""
    policy = by_sid(log_bucket_policy(BUCKET, account_id="111111111111"))
    for sid in ("BalancersWrite", "NetworkBalancersLook"):
        assert policy[sid]["Condition"] == {"StringEquals": {"aws:SourceAccount": "111111111111"}}


def test_a_deploy_role_can_publish_files_only_if_the_service_has_some() -> None:
    """With a CDN, it can write files and invalidate the cache of the service's distribution."""
    without = by_sid(deploy_policy(SCOPE, launch_template_id="lt-1", server_role_arn="arn:role"))
    assert not {"OwnFiles", "OwnBucket", "ShowNewFiles"} & set(without)
    policy = by_sid(
        deploy_policy(
            SCOPE, launch_template_id="lt-1", server_role_arn="arn:role", bucket_arn=BUCKET, distribution_id="E1"
        )
    )
    assert policy["ShowNewFiles"]["Resource"] == "arn:aws:cloudfront::111111111111:distribution/E1"
    assert set(policy["OwnFiles"]["Action"]) == WRITE_ACTIONS


def test_the_subject_of_a_deploy_role_is_one_github_environment() -> None:
    """The subject contains repository, environment and service."""
    policy = deploy_trust_policy(SCOPE, identity_provider_arn="arn:github", repository="owner/name")
    statements: Any = policy["Statement"]  # a document's values are objects
    assert statements[0]["Condition"]["StringEquals"] == {
        "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
        "token.actions.githubusercontent.com:sub": "repo:owner/name:environment:beta-members",
    }
