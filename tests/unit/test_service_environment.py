"""ServiceEnvironment: what a service's servers and workflow can do, and which records it has."""

import json
from typing import Any

import pytest

from components.dashboard import dashboard_body
from components.policies.documents import ServiceScope
from components.service_environment import ServiceEnvironment, ServiceEnvironmentArgs
from components.shared_foundation import ServiceNetwork, SharedFoundation, SharedLoadBalancerRef
from mocks.aws import Run, run
from settings.models import Environment, Release, Sizing
from settings.service_spec import ServiceSpec, SharedLoadBalancerRule
from tests.unit.policy_statements import statements

SERVICES = ("core", "members", "payments", "email", "socket")
# These statements name no resource of the service: their actions take none, or the mocked ARN is the same for all.
STATEMENTS_WITHOUT_OWN_RESOURCE = {"RegistryLogin", "OwnSecret", "SystemsManager"}


@pytest.mark.parametrize("service", SERVICES)
def test_servers_can_only_use_what_belongs_to_their_service(prod: Run, service: str) -> None:
    """Every resource in their policy is named after the service."""
    policy = statements(prod.one("iam/rolePolicy:RolePolicy", f"{service}-permissions").inputs["policy"])
    others = {*SERVICES, "events"} - {service}
    for sid in set(policy) - STATEMENTS_WITHOUT_OWN_RESOURCE:
        resource = policy[sid]["Resource"]
        for arn in resource if isinstance(resource, list) else [resource]:
            assert arn != "*", sid
            assert service in arn, (sid, arn)
            assert not any(f"/{other}" in arn or f":::{other}" in arn for other in others), (sid, arn)
    secret = policy.get("OwnSecret")
    assert secret is None or secret["Resource"] == f"arn:aws:secretsmanager:::secret:rds-{service}-database-instance"


@pytest.mark.parametrize("service", SERVICES)
def test_servers_cannot_read_other_services_parameters(prod: Run, service: str) -> None:
    """AWS's own policies for Systems Manager can, so no policy is attached, and shell access has its own statement."""
    policy = statements(prod.one("iam/rolePolicy:RolePolicy", f"{service}-permissions").inputs["policy"])
    actions = policy["SystemsManager"]["Action"]
    assert not [action for action in actions if "Parameter" in action or action.endswith("*")]
    attachments = prod.of("iam/rolePolicyAttachment:RolePolicyAttachment").values()
    assert not [attachment for attachment in attachments if attachment.inputs["role"] == f"{service}-servers-1a2b3c4"]


def test_services_with_the_same_host_share_nothing_else(prod: Run) -> None:
    """Members and payments each have a database, role, key and servers; only members has a record."""
    for kind, name in (
        ("rds/instance:Instance", "database-instance"),
        ("iam/role:Role", "servers"),
        ("kms/key:Key", "key"),
        ("autoscaling/group:Group", "servers-group"),
    ):
        assert prod.one(kind, f"members-{name}").urn != prod.one(kind, f"payments-{name}").urn
    assert not [name for name in prod.of("route53/record:Record") if name.startswith("payments")]


@pytest.mark.parametrize(
    ("name", "host", "evaluates_health"),
    [
        ("core-record", "100xglobal.com", True),
        ("members-record", "members.100xglobal.com", True),
        ("core-cdn-record", "static.100xglobal.com", False),
    ],
)
def test_hosts_answer_on_ipv4_and_ipv6(prod: Run, name: str, host: str, *, evaluates_health: bool) -> None:
    """Every host has an A and an AAAA alias; Route 53 refuses to evaluate the health of a distribution."""
    records = [prod.one("route53/record:Record", f"{name}-{part}").inputs for part in ("a", "aaaa")]
    assert [(record["name"], record["type"]) for record in records] == [(host, "A"), (host, "AAAA")]
    assert [record["aliases"][0]["evaluateTargetHealth"] for record in records] == [evaluates_health] * 2


def test_the_key_lets_auto_scaling_use_it_by_a_condition(prod: Run) -> None:
    """KMS would refuse the role as a principal in a new account, where it does not exist yet."""
    policy = statements(prod.one("kms/key:Key", "socket-key").inputs["policy"])
    assert policy["DisksOfScaledServers"]["Principal"] == {"AWS": "*"}
    condition = policy["DisksOfScaledServers"]["Condition"]
    assert condition["StringEquals"] == {"kms:CallerAccount": "111111111111"}
    assert condition["ArnEquals"]["aws:PrincipalArn"].endswith("/AWSServiceRoleForAutoScaling")


def test_only_the_key_of_a_service_with_files_lets_cloudfront_decrypt(prod: Run) -> None:
    """Socket has no files behind CloudFront, and core has."""
    assert "FilesThroughCloudFront" not in statements(prod.one("kms/key:Key", "socket-key").inputs["policy"])
    assert "FilesThroughCloudFront" in statements(prod.one("kms/key:Key", "core-key").inputs["policy"])


def test_a_deploy_role_is_trusted_for_one_service_in_one_environment(prod: Run) -> None:
    """Only jobs of the GitHub environment of service and environment can assume the role."""
    trust = statements(prod.one("iam/role:Role", "members-deploy").inputs["assumeRolePolicy"])["0"]
    assert (
        trust["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
        == "repo:100xglobal/infra:environment:prod-members"
    )


def test_a_deploy_role_can_only_change_its_service(prod: Run) -> None:
    """What it changes has the service's tags, or is the service's launch template, files or role."""
    policy = statements(prod.one("iam/rolePolicy:RolePolicy", "members-deploy-permissions").inputs["policy"])
    assert policy["OwnResources"]["Condition"]["StringEquals"] == {
        "aws:ResourceTag/Service": "members",
        "aws:ResourceTag/Environment": "prod",
    }
    assert policy["HandOnOwnRole"]["Resource"] == "arn:aws:::members-servers"
    assert not [action for action in policy["OwnResources"]["Action"] if action.endswith("*")]
    for sid in ("StartServers", "StartAsTheTemplateSays"):
        assert policy[sid]["Condition"]["ArnEquals"]["ec2:LaunchTemplate"].endswith(
            ":launch-template/members-servers-template-id"
        )
    assert policy["StartAsTheTemplateSays"]["Condition"]["Bool"] == {"ec2:IsLaunchTemplateResource": "true"}
    assert policy["TagServers"]["Condition"]["StringEquals"]["aws:RequestTag/Service"] == "members"
    assert policy["OwnFiles"]["Resource"] == "arn:aws:::members-cdn-bucket/*"


def test_the_dashboard_of_a_service_without_a_database_has_no_graph_of_one() -> None:
    """The servers and the log are always shown, the database only if the service has one."""
    scope = ServiceScope(environment="beta", service="members", region="us-east-1", account_id="111111111111")

    def titles(body: dict[str, Any]) -> list[str]:
        return [widget["properties"]["title"] for widget in json.loads(json.dumps(body))["widgets"]]

    assert titles(dashboard_body(scope, group_name="g")) == ["Servers: CPU", "Log"]
    with_database = dashboard_body(scope, group_name="g", database_identifier="d")
    assert titles(with_database) == ["Servers: CPU", "Database", "Log"]


def foundation() -> SharedFoundation:
    """Return a foundation that consists of names only."""
    environment = Environment.model_validate(
        {
            "domain": "example.com",
            "network": {"cidr": "10.0.0.0/16", "zones": ["us-east-1a", "us-east-1b"]},
            "durability": {"backup_days": 7},
        }
    )
    return SharedFoundation(
        environment_name="alpha",
        region="us-east-1",
        account_id="111111111111",
        environment=environment,
        network=ServiceNetwork(
            vpc_id="vpc",
            public_subnet_ids={"public-a": "p"},
            application_subnet_ids={"application-a": "a"},
            zone_id="zone",
            access_log_bucket="logs",
            allowed_cidrs=("0.0.0.0/0",),
        ),
        data_subnet_ids={"data-a": "d"},
        shared_load_balancer=SharedLoadBalancerRef(
            listener_arn="listener", dns_name="lb.example", zone_id="lb", arn_suffix="app/lb/1", security_group_id="sg"
        ),
        cdn_log_bucket="logs",
        cdn_log_bucket_domain="logs.example",
        alarm_topic_arn="topic",
        deploy_identity_provider_arn=None,
    )


def service(*, has_database: bool, **sizing: Any) -> ServiceEnvironment:
    """Create a service. Any: the fields of a sizing, as a file contains them."""
    return ServiceEnvironment(
        "example",
        ServiceEnvironmentArgs(
            spec=ServiceSpec(
                name="example", host="www", balancer=SharedLoadBalancerRule(priority=1), has_database=has_database
            ),
            release=Release(version="1.0.0", image="r/example@sha256:" + "0" * 64, machine_image="ami-01234567"),
            sizing=Sizing.model_validate(
                {"instance_type": "t4g.small", "instances": {"minimum": 1, "maximum": 2}, **sizing}
            ),
            foundation=foundation(),
        ),
    )


def test_a_service_with_a_database_needs_its_version_and_sizing() -> None:
    """Without them, the program stops before it registers a database of an arbitrary size."""
    with pytest.raises(ValueError, match="database_engine"):
        run(lambda: service(has_database=True))


def test_alarms_do_not_prevent_a_deployment_that_ignores_them() -> None:
    """With deploy_despite_alarms, the instance refresh has no alarms."""
    resources = run(lambda: service(has_database=False, deploy_despite_alarms=True))
    (group,) = resources.of("autoscaling/group:Group").values()
    assert not group.inputs["instanceRefresh"]["preferences"].get("alarmSpecification")


def test_an_environment_without_a_repository_has_no_deploy_roles() -> None:
    """Nobody could assume such a role."""
    resources = run(lambda: service(has_database=False))
    assert sorted(resources.of("iam/role:Role")) == ["example-servers"]
