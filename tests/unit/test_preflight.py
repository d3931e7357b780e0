"""`./infra preflight`: each problem that AWS would have with an environment is found, with what to do."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli import deployed_program
from cli import preflight as command
from cli.aws_clients import AwsClients
from cli.exit_codes import ExitCode
from cli.preflight import find, preflight
from cli.preflight_checks import CHECKS, CHECKS_ON_AWS, Check, Finding, Question, check_account, family_of
from common.errors import InfraError
from common.files import ROOT
from release.code_changes import Recorded
from release.stack_state import StackState
from services import all_services
from settings.check import check_folder
from settings.models import Settings
from tests.unit.conftest import program_run
from tests.unit.fake_backend import FakeBackend, make_backend

SERVERS = {"a": "ns-1.awsdns-1.org", "b": "ns-2.awsdns-2.com"}
Answer = Mapping[str, Any] | Exception
ZONE = {
    "urn": "urn:pulumi:alpha::p::aws:route53/zone:Zone::zone-zone",
    "type": "aws:route53/zone:Zone",
    "id": "Z1",
    "inputs": {},
    "outputs": {"nameServers": [f"{name}." for name in SERVERS.values()]},
}
TOPIC = {
    "urn": "urn:pulumi:alpha::p::aws:sns/topic:Topic::alarms",
    "type": "aws:sns/topic:Topic",
    "id": "arn:topic",
    "inputs": {},
    "outputs": {},
}


def refusal(code: str) -> ClientError:
    """Return an error of AWS."""
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Operation")


class FakeClient:
    """Answers each operation of one service as it is told."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        """Keep the answers by operation."""
        self._answers = answers

    @staticmethod
    def can_paginate(_operation: str) -> bool:
        """Every answer has one page."""
        return False

    def __getattr__(self, operation: str) -> Any:
        """Return a function that gives the answer, or raises it."""

        def call(**arguments: Any) -> Any:
            answer = self._answers[operation]
            if isinstance(answer, Exception):
                raise answer
            return answer(**arguments) if callable(answer) else answer

        return call


class FakeClients(AwsClients):
    """Clients that answer as they are told, and fail as real ones do."""

    def __init__(self, answers: Mapping[str, Mapping[str, Answer]]) -> None:
        """Keep the answers by service."""
        self._answers = answers
        self._stack, self._purpose = "alpha", "this test"
        self._account = type("Account", (), {"name": "aws"})()

    def client(self, service: str, region: str | None = None) -> Any:
        """Return the client of a service."""
        del region
        return FakeClient(self._answers[service])


@pytest.fixture(scope="module")
def settings() -> Settings:
    """Return alpha's settings, with values that are not examples."""
    alpha = check_folder(ROOT, all_services())[0]["alpha"]
    text = alpha.model_dump_json(by_alias=True)
    text = text.replace("222222222222", "310998877665").replace("111111111111", "201998877665")
    return Settings.model_validate_json(text.replace("ami-0123456789abcdef0", "ami-0aa11bb22cc33dd44"), strict=False)


def ready(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the answers of an account that is ready for alpha."""
    zones = settings.environment.network.zones
    services = settings.enabled_services().values()
    types = {service.sizing.instance_type for service in services}
    images = {service.release.machine_image: service.release.architecture for service in services}
    return {
        "sts": {"get_caller_identity": {"Account": settings.account_id}},
        "ec2": {
            "describe_regions": {"Regions": [{"RegionName": settings.region, "OptInStatus": "opt-in-not-required"}]},
            "describe_availability_zones": {
                "AvailabilityZones": [{"ZoneName": zone, "State": "available"} for zone in zones]
            },
            "describe_instance_type_offerings": {
                "InstanceTypeOfferings": [{"InstanceType": kind, "Location": zone} for kind in types for zone in zones]
            },
            "describe_instance_types": {
                "InstanceTypes": [{"InstanceType": kind, "VCpuInfo": {"DefaultVCpus": 2}} for kind in types]
            },
            "describe_images": {
                "Images": [
                    {"ImageId": image, "State": "available", "Architecture": architecture}
                    for image, architecture in images.items()
                ]
            },
            "describe_vpcs": {"Vpcs": [{}]},
            "describe_addresses": {"Addresses": []},
        },
        "elbv2": {"describe_load_balancers": {"LoadBalancers": []}},
        "rds": {
            "describe_orderable_db_instance_options": {
                "OrderableDBInstanceOptions": [{"AvailabilityZones": [{"Name": zone} for zone in zones]}]
            },
            "describe_db_instances": {"DBInstances": []},
        },
        "ecr": {"describe_images": {"imageDetails": [{}]}},
        "service-quotas": {"get_service_quota": {"Quota": {"Value": 50.0}}},
        "iam": {"get_role": {}, "list_open_id_connect_providers": {"OpenIDConnectProviderList": []}},
        "sesv2": {"get_account": {"ProductionAccessEnabled": True}},
        "sns": {
            "list_subscriptions_by_topic": {"Subscriptions": [{"SubscriptionArn": "arn:1", "Endpoint": "a@b.com"}]}
        },
    }


def question_for(settings: Settings, answers: Mapping[str, Mapping[str, Answer]], **changes: Any) -> Question:
    """Return what the checks know. changes: fields of the question that differ."""
    planned = {urn: resource.inputs for urn, resource in program_run("alpha").resources.items()}
    specs = {name: all_services()[name] for name in settings.enabled_services()}
    state = StackState("alpha", (), (ZONE, TOPIC), ())
    question = Question(settings, specs, FakeClients(answers), planned, state, lambda _: set(SERVERS.values()))
    return replace(question, **changes)


def findings_of(question: Question) -> list[Finding]:
    """Run every check."""
    checks: list[Check] = [check_account, *CHECKS.values(), *CHECKS_ON_AWS.values()]
    return [finding for check in checks for finding in check(question)]


def test_an_account_that_is_ready_has_no_findings(settings: Settings) -> None:
    """Nothing is reported that AWS would accept."""
    assert findings_of(question_for(settings, ready(settings))) == []


# By problem: the service, the operation, the answer, and words of the finding.
PLANTED: dict[str, tuple[str, str, Answer, str]] = {
    "another account": (
        "sts",
        "get_caller_identity",
        {"Account": "999988887777"},
        "belong to the account 999988887777",
    ),
    "a region that is not enabled": (
        "ec2",
        "describe_regions",
        {"Regions": [{"RegionName": "us-east-1", "OptInStatus": "not-opted-in"}]},
        "aws account enable-region --region-name us-east-1",
    ),
    "a missing zone": (
        "ec2",
        "describe_availability_zones",
        {"AvailabilityZones": [{"ZoneName": "us-east-1a", "State": "available"}]},
        "the zone us-east-1b is not available",
    ),
    "an instance type that a zone lacks": (
        "ec2",
        "describe_instance_type_offerings",
        {"InstanceTypeOfferings": [{"InstanceType": "t4g.small", "Location": "us-east-1a"}]},
        "members: EC2 has no t4g.small in us-east-1b",
    ),
    "a retired database version": (
        "rds",
        "describe_orderable_db_instance_options",
        {"OrderableDBInstanceOptions": []},
        "RDS creates no db.t4g.micro with PostgreSQL 16.13 in us-east-1",
    ),
    "a missing machine image": (
        "ec2",
        "describe_images",
        {"Images": []},
        "ami-0aa11bb22cc33dd44 does not exist, or is not shared with the account in us-east-1",
    ),
    "a machine image of another architecture": (
        "ec2",
        "describe_images",
        {"Images": [{"ImageId": "ami-0aa11bb22cc33dd44", "State": "available", "Architecture": "x86_64"}]},
        "is x86_64, but the release is arm64",
    ),
    "a missing container image": (
        "ecr",
        "describe_images",
        refusal("ImageNotFoundException"),
        "is not in the registry",
    ),
    "a missing repository": (
        "ecr",
        "describe_images",
        refusal("RepositoryNotFoundException"),
        "is not in the registry",
    ),
    "a small quota": (
        "service-quotas",
        "get_service_quota",
        {"Quota": {"Value": 1.0}},
        "alpha needs 1 VPCs, and the account has 1 others, but the quota is 1",
    ),
    "a missing service-linked role": (
        "iam",
        "get_role",
        refusal("NoSuchEntity"),
        "aws iam create-service-linked-role --aws-service-name rds.amazonaws.com",
    ),
    "a second identity provider": (
        "iam",
        "list_open_id_connect_providers",
        {"OpenIDConnectProviderList": [{"Arn": "arn:aws:iam::1:oidc-provider/token.actions.githubusercontent.com"}]},
        "already has an identity provider for GitHub",
    ),
    "mail in the sandbox": ("sesv2", "get_account", {"ProductionAccessEnabled": False}, "email: SES is in its sandbox"),
    "an unconfirmed address": (
        "sns",
        "list_subscriptions_by_topic",
        {"Subscriptions": [{"SubscriptionArn": "PendingConfirmation", "Endpoint": "ops@example.com"}]},
        "ops@example.com gets no alarms",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_problem_is_found(settings: Settings, name: str) -> None:
    """The finding names the object, and its advice is a command or says what to write."""
    service, operation, answer, words = PLANTED[name]
    answers = ready(settings)
    answers[service] = {**answers[service], operation: answer}
    findings = findings_of(question_for(settings, answers))
    assert any(words in f"{finding.message}\n{finding.advice}" for finding in findings), findings
    assert all(finding.advice for finding in findings)


@pytest.mark.parametrize(
    ("known", "words"), [(set(), "does not have it"), ({"ns.other.example"}, "leads to ns.other.example")]
)
def test_a_zone_that_the_parent_does_not_lead_to_is_found(settings: Settings, known: set[str], words: str) -> None:
    """Certificates would wait for it."""
    (finding,) = findings_of(question_for(settings, ready(settings), name_servers=lambda _: known))
    assert words in finding.message
    assert ", ".join(sorted(SERVERS.values())) in finding.advice


def test_a_first_deployment_is_told_about_the_delegation(settings: Settings) -> None:
    """Nobody can delegate a zone that does not exist, so it is a warning."""
    (finding,) = findings_of(question_for(settings, ready(settings), deployed=StackState("alpha", (), (), ())))
    assert finding.is_warning
    assert settings.environment.domain in finding.message


def test_examples_are_found() -> None:
    """The files of a fresh clone contain some."""
    alpha = check_folder(ROOT, all_services())[0]["alpha"]
    question = question_for(alpha, {})
    assert "222222222222" in next(CHECKS_ON_AWS["examples"](question)).message


@pytest.mark.parametrize(
    ("instance_type", "family"),
    [("t4g.small", "t"), ("c7gn.large", "c"), ("im4gn.large", "im"), ("trn1.2xlarge", "trn")],
)
def test_accelerators_have_quotas_of_their_own(instance_type: str, family: str) -> None:
    """The quota of standard instances counts only certain families."""
    assert family_of(instance_type) == family


# --- the command


@pytest.fixture
def backend(settings: Settings, release_folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    """Return the backend of a ready account."""
    answers = ready(settings)
    answers["sts"] = {"get_caller_identity": {"Account": "333333333333"}}
    monkeypatch.setattr(command, "AwsClients", lambda *_: FakeClients(answers))
    monkeypatch.setattr(deployed_program, "record", lambda *_: Recorded({}, {}, {}))
    return make_backend(release_folder, monkeypatch)


def test_the_command_succeeds_in_the_sandbox_and_says_what_needs_aws(
    backend: FakeBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    """The emulator cannot tell which quotas and images a real account has."""
    assert preflight(backend.folder, backend, "beta") == ExitCode.SUCCESS
    assert "./infra preflight beta --on aws" in capsys.readouterr().err


def test_another_account_hides_everything_else(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All other answers would be about that account."""
    answers: dict[str, dict[str, Answer]] = {
        "sts": {"get_caller_identity": {"Account": "1"}},
        "ec2": {"describe_regions": {"Regions": []}},
    }
    monkeypatch.setattr(command, "AwsClients", lambda *_: FakeClients(answers))
    assert preflight(backend.folder, backend, "beta") == ExitCode.FAILED
    assert capsys.readouterr().out.count("problem: ") == 1


def test_what_aws_does_not_answer_is_a_warning(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """One missing permission does not hide the other findings."""

    def fail(_: Question) -> Any:
        raise InfraError("AccessDenied")

    monkeypatch.setattr(command, "CHECKS", {"alarm addresses": fail})
    (finding,) = find(backend.folder, backend, "beta")
    assert finding.is_warning
    assert finding.message == "alarm addresses could not be checked: AccessDenied"
