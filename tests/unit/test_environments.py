"""The whole program, with mocks, for each environment."""

import json
from pathlib import Path

import pytest

from settings.project_files import SERVICES_KEY
from tests.unit.conftest import STACKS, config_of, program_run

GOLDEN = Path(__file__).parent / "golden"
PHYSICAL_NAMES = (
    "name",
    "bucket",
    "identifier",
    "dashboardName",
    "policyName",
    "configurationSetName",
    "emailIdentity",
    "domainName",
)
DATA_TYPES = {"aws:rds/instance:Instance", "aws:s3/bucket:Bucket", "aws:kms/key:Key", "aws:route53/zone:Zone"}


# The longest names that AWS accepts, less the eight characters of Pulumi's random suffix (`-1a2b3c4`).
SUFFIX_LENGTH = 8
NAME_LIMITS = {
    "lb/loadBalancer:LoadBalancer": 32 - SUFFIX_LENGTH,
    "lb/targetGroup:TargetGroup": 32 - SUFFIX_LENGTH,
    "iam/role:Role": 64 - SUFFIX_LENGTH,
    "rds/instance:Instance": 63 - SUFFIX_LENGTH,
    "s3/bucket:Bucket": 63 - SUFFIX_LENGTH,
}


@pytest.mark.parametrize("stack", STACKS)
def test_urns_and_physical_names_are_those_of_the_golden_file(stack: str, request: pytest.FixtureRequest) -> None:
    """A changed URN or fixed name would delete and recreate the resource, so a reviewer must see it."""
    golden_file = GOLDEN / f"{stack}.json"
    names = {
        urn: {key: resource.inputs[key] for key in PHYSICAL_NAMES if resource.inputs.get(key)}
        for urn, resource in sorted(program_run(stack).resources.items())
    }
    if request.config.getoption("--update-golden"):
        golden_file.write_text(json.dumps(names, indent=1) + "\n", encoding="utf-8")
    assert names == json.loads(golden_file.read_text(encoding="utf-8")), (
        "If you intend this change, run `./infra test unit --update-golden` and review the difference."
    )


@pytest.mark.parametrize("stack", STACKS)
def test_a_preview_registers_the_same_resources_as_an_update(stack: str) -> None:
    """No resource depends on a value that is only known during the update."""
    assert sorted(program_run(stack, preview=True).resources) == sorted(program_run(stack).resources)


@pytest.mark.parametrize("stack", STACKS)
def test_every_resource_belongs_to_one_service_or_to_the_foundation(stack: str) -> None:
    """The gate finds the owner of a change by its ancestors."""
    run = program_run(stack)
    urns_by_owner = {owner: run.below(owner) for owner in (*run.outputs["services"], "foundation")}
    assert set().union(*urns_by_owner.values()) == set(run.resources)
    assert sum(len(urns) for urns in urns_by_owner.values()) == len(run.resources)


@pytest.mark.parametrize("stack", STACKS)
def test_no_service_depends_on_another_service(stack: str) -> None:
    """A promotion of one service must not delay or change another one's resources."""
    run = program_run(stack)
    foundation = run.below("foundation")
    for service in run.outputs["services"]:
        own = run.below(service)
        for urn in own:
            strangers = set(run.resources[urn].dependencies) - own - foundation
            assert not strangers, f"{urn} depends on {strangers}"


@pytest.mark.parametrize("stack", ["beta", "prod"])
def test_data_bearing_resources_are_protected(stack: str) -> None:
    """Neither `pulumi destroy` nor a replacement can delete data."""
    run = program_run(stack)
    resources = [resource for resource in run.resources.values() if resource.type in DATA_TYPES]
    assert resources
    assert [resource.urn for resource in resources if not resource.protect] == []
    for database in run.of("rds/instance:Instance").values():
        assert database.inputs["deletionProtection"] is True
        assert database.inputs["skipFinalSnapshot"] is False


def test_alpha_can_be_deleted() -> None:
    """Only alpha has `protect_data: false`, so `./infra down` can delete it with all its data."""
    run = program_run("alpha")
    assert not any(resource.protect for resource in run.resources.values())
    assert all(bucket.inputs["forceDestroy"] for bucket in run.of("s3/bucket:Bucket").values())


@pytest.mark.parametrize("stack", STACKS)
def test_automatic_names_leave_room_for_their_suffix(stack: str) -> None:
    """AWS would refuse a name that the suffix makes too long, but only after minutes."""
    run = program_run(stack)
    for kind, limit in NAME_LIMITS.items():
        assert [name for name in run.of(kind) if len(name) > limit] == []


@pytest.mark.parametrize("stack", STACKS)
def test_every_resource_has_its_own_tags(stack: str) -> None:
    """With default tags of the provider, one edit would change every service at once."""
    for resource in program_run(stack).resources.values():
        tags = resource.inputs.get("tags")
        if isinstance(tags, dict):
            assert {"Name", "Environment", "ManagedBy"} <= set(tags), resource.urn
            assert tags["Environment"] == stack


@pytest.mark.parametrize("stack", STACKS)
def test_a_disabled_service_has_no_resources(stack: str) -> None:
    """Events has a block in every environment file, and none of them enables it."""
    assert not program_run(stack).below("events")
    assert "events" in config_of(stack)[SERVICES_KEY]


@pytest.mark.parametrize("stack", STACKS)
def test_the_outputs_contain_the_address_of_each_service(stack: str) -> None:
    """`./infra up` shows them at its end."""
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
def test_no_two_records_have_the_same_name_and_type(stack: str) -> None:
    """AWS would refuse the second one, or it would replace the first one."""
    records = [
        (str(record.inputs["name"]), record.inputs["type"])
        for record in program_run(stack).of("route53/record:Record").values()
        if "proof" not in record.name
    ]
    assert len(records) == len(set(records))
