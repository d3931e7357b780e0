"""The whole program, for each environment, with mocks."""

import json
from pathlib import Path

import pytest

from components.names import BALANCER_NAME_LIMIT, BUCKET_NAME_LIMIT, DATABASE_NAME_LIMIT, ROLE_NAME_LIMIT
from tests.unit.conftest import STACKS, config_of, program_run

GOLDEN = Path(__file__).parent / "golden"
PHYSICAL = ("name", "bucket", "identifier", "dashboardName", "policyName", "configurationSetName", "emailIdentity", "domainName")
HOLDS_DATA = {"aws:rds/instance:Instance", "aws:s3/bucket:Bucket", "aws:kms/key:Key", "aws:route53/zone:Zone"}


@pytest.mark.parametrize("stack", STACKS)
def test_urns_and_physical_names_are_as_recorded(stack: str, request: pytest.FixtureRequest) -> None:
    """A changed URN or fixed name deletes the old resource and makes a new one: here it is seen before."""
    recorded = GOLDEN / f"{stack}.json"
    now = {urn: {key: resource.inputs[key] for key in PHYSICAL if resource.inputs.get(key)} for urn, resource in sorted(program_run(stack).resources.items())}
    if request.config.getoption("--update-golden"):
        recorded.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
    was = json.loads(recorded.read_text(encoding="utf-8"))
    assert now == was, "if this is meant: ./infra test unit --update-golden, and look at the difference"


@pytest.mark.parametrize("stack", STACKS)
def test_a_preview_registers_what_an_update_does(stack: str) -> None:
    """No resource hangs on a value that only an update knows."""
    assert sorted(program_run(stack, preview=True).resources) == sorted(program_run(stack).resources)


@pytest.mark.parametrize("stack", STACKS)
def test_everything_of_a_service_is_below_its_component(stack: str) -> None:
    """The promotion gate finds a change's service by its ancestors."""
    run = program_run(stack)
    owned = {service: run.below(service) for service in run.outputs["services"]} | {"foundation": run.below("foundation")}
    assert set().union(*owned.values()) == set(run.resources)
    assert sum(len(urns) for urns in owned.values()) == len(run.resources)


@pytest.mark.parametrize("stack", STACKS)
def test_no_service_reads_another_services_resources(stack: str) -> None:
    """Promoting one service must not make another's resources wait or change."""
    run = program_run(stack)
    for service in run.outputs["services"]:
        own, foundation = run.below(service), run.below("foundation")
        for urn in own:
            strangers = set(run.resources[urn].dependencies) - own - foundation
            assert not strangers, f"{urn} depends on {strangers}"


@pytest.mark.parametrize("stack", ["beta", "prod"])
def test_what_holds_data_is_protected(stack: str) -> None:
    """Neither `pulumi destroy` nor a replacement takes data away."""
    run = program_run(stack)
    holders = [resource for resource in run.resources.values() if resource.type in HOLDS_DATA]
    assert holders
    assert [resource.urn for resource in holders if not resource.protect] == []
    for database in run.of("rds/instance:Instance").values():
        assert database.inputs["deletionProtection"] is True
        assert database.inputs["skipFinalSnapshot"] is False


def test_alpha_can_be_thrown_away() -> None:
    """protect_data: false is what makes `down` possible; it stands in the file of alpha alone."""
    run = program_run("alpha")
    assert not any(resource.protect for resource in run.resources.values())
    assert all(bucket.inputs["forceDestroy"] for bucket in run.of("s3/bucket:Bucket").values())


@pytest.mark.parametrize("stack", STACKS)
def test_automatic_names_leave_room_for_their_suffix(stack: str) -> None:
    """AWS refuses a name that Pulumi's suffix makes too long, after minutes."""
    run = program_run(stack)
    limits = {"lb/loadBalancer:LoadBalancer": BALANCER_NAME_LIMIT, "lb/targetGroup:TargetGroup": BALANCER_NAME_LIMIT, "iam/role:Role": ROLE_NAME_LIMIT}
    limits |= {"rds/instance:Instance": DATABASE_NAME_LIMIT, "s3/bucket:Bucket": BUCKET_NAME_LIMIT}
    for kind, limit in limits.items():
        assert [name for name in run.of(kind) if len(name) > limit] == []


@pytest.mark.parametrize("stack", STACKS)
def test_every_resource_that_takes_tags_has_them_itself(stack: str) -> None:
    """Default tags of the provider would touch every service at once."""
    for resource in program_run(stack).resources.values():
        tags = resource.inputs.get("tags")
        if isinstance(tags, dict):
            assert {"Name", "Environment", "ManagedBy"} <= set(tags), resource.urn
            assert tags["Environment"] == stack


@pytest.mark.parametrize("stack", STACKS)
def test_a_service_that_is_switched_off_has_no_resources(stack: str) -> None:
    """Events is declared and makes nothing."""
    assert not program_run(stack).below("events")
    assert "events" in config_of(stack)["100xglobal:services"]


@pytest.mark.parametrize("stack", STACKS)
def test_outputs_say_where_each_service_is(stack: str) -> None:
    """What `./infra up` shows at its end."""
    outputs = program_run(stack).outputs
    domain = outputs["environment"]["domain"]
    addresses = {name: service["address"] for name, service in outputs["services"].items()}
    assert addresses == {
        "core": f"https://{domain}",
        "members": f"https://members.{domain}",
        "payments": f"https://members.{domain}/payments",
        "email": f"email.{domain}:25, 465, 587",
        "socket": f"https://socket.{domain}",
    }


@pytest.mark.parametrize("stack", STACKS)
def test_every_name_has_one_owner(stack: str) -> None:
    """Two records of one name and type fail at AWS, or take each other's place."""
    records = [(str(record.inputs["name"]), record.inputs["type"]) for record in program_run(stack).of("route53/record:Record").values() if "proof" not in record.name]
    assert len(records) == len(set(records))
