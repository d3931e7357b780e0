"""The field effects: the reviewed data is what the program does, and it covers every field of an environment file."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import pytest
from filelock import FileLock
from pydantic import BaseModel

from release.field_effects import (
    ANY_KEY,
    DATA_FILE,
    RELATIONS,
    general_path,
    kind_of,
    load,
    matches_name,
    matches_path,
    name_pattern,
)
from release.intent import FREE_MAPS
from services import all_services
from settings.models import Environment, Release, Sizing
from tests.unit.derive_field_effects import (
    ENVIRONMENT_SAMPLES,
    KINDS,
    PARTS,
    SERVICE_SAMPLES,
    part_of,
    with_part,
)

# Fields that are replaced as a whole, or whose keys users choose.
LEAVES = {"sizing.database.restore", "sizing.database.restore_to_time"}
MAPS = {name: f"{name}.{ANY_KEY}" for name in FREE_MAPS}


def fields_of(model: type[BaseModel], path: str) -> Iterator[str]:
    """Yield the path of each field below a model."""
    for name, field in model.model_fields.items():
        full = f"{path}.{field.alias or name}"
        nested = model_in(field.annotation)
        if nested is None or full in LEAVES:
            yield MAPS.get(full, full)
        else:
            yield from fields_of(nested, full)


def model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that a field contains, or None."""
    options = get_args(annotation) if get_origin(annotation) is UnionType else (annotation,)
    models = [option for option in options if isinstance(option, type) and issubclass(option, BaseModel)]
    return models[0] if models else None


@pytest.mark.parametrize("part", PARTS)
def test_the_data_is_what_the_program_does(part: str, request: pytest.FixtureRequest) -> None:
    """A change of the program that lets a field change more must be reviewed."""
    derived = PARTS[part]()
    if request.config.getoption("--update-golden"):
        with FileLock(Path(tempfile.gettempdir()) / "field_effects.lock"):
            document = with_part(json.loads(DATA_FILE.read_text(encoding="utf-8")), part, derived)
            DATA_FILE.write_text(f"{json.dumps(document, indent=1, sort_keys=True)}\n", encoding="utf-8")
    assert derived == part_of(json.loads(DATA_FILE.read_text(encoding="utf-8")), part), (
        "If you intend this change, run `./infra test unit --update-golden` and review the difference."
    )


def test_the_parts_are_the_whole_file() -> None:
    """Nothing in the file escapes the comparison."""
    document = json.loads(DATA_FILE.read_text(encoding="utf-8"))
    for part in PARTS:
        assert with_part(document, part, part_of(document, part)) == document


def test_every_field_has_samples() -> None:
    """Without samples, nobody would know what a new field changes, so the gate would refuse all of it."""
    service = [*fields_of(Release, "release"), *fields_of(Sizing, "sizing")]
    assert sorted(SERVICE_SAMPLES) == sorted(service)
    assert sorted(ENVIRONMENT_SAMPLES) == sorted(fields_of(Environment, "environment"))
    assert all([*SERVICE_SAMPLES.values(), *ENVIRONMENT_SAMPLES.values()])


def test_every_relation_is_explained() -> None:
    """The gate knows how to check each of them."""
    assert {effect.relation for effect in load().effects} <= set(RELATIONS)


def test_every_service_is_of_a_kind_that_the_data_describes() -> None:
    """Otherwise nobody could add such a service to an environment without approvals."""
    assert {kind_of(spec) for spec in all_services().values()} <= set(KINDS)


def test_a_release_of_a_web_service_reaches_its_servers_only() -> None:
    """Its version, image, machine image and variables change the launch template, and the group's version of it."""
    fields = ("release.version", "release.image", "release.machine_image", "release.environment_variables.*")
    effects = [effect for effect in load().effects if effect.field in fields]
    assert {effect.resource for effect in effects} == {"{service}-servers-template", "{service}-servers-group"}
    properties = {effect.property for effect in effects if effect.resource == "{service}-servers-group"}
    assert properties <= {"launchTemplate.version"}


@pytest.mark.parametrize(
    ("pattern", "path", "is_match"),
    [
        ("userData.environment.*", "userData.environment.SIGN_UP", True),
        ("userData.environment.*", "userData.environment", False),
        ("userData.environment.*", "userData.environment.A.B", False),
        ("userData.environment.*", "userData.script[].x", False),
        ("tags.Release", "tags.Releases", False),
        ("containers[].image", "containers[].image", True),
    ],
)
def test_a_star_in_a_path_stands_for_one_key(pattern: str, path: str, *, is_match: bool) -> None:
    """It does not stand for several keys, or for a position in a list."""
    assert matches_path(pattern, path) is is_match


def test_positions_in_lists_do_not_matter() -> None:
    """`tagsAll` is what the provider makes of `tags`."""
    assert general_path("a[12].b[0]") == "a[].b[]"
    assert general_path("tagsAll.Name") == "tags.Name"
    assert general_path("tagsAllowed.Name") == "tagsAllowed.Name"


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("members", "{service}"),
        ("members-servers-group", "{service}-servers-group"),
        ("membership", "membership"),
        ("x-members", "x-members"),
    ],
)
def test_a_name_pattern_replaces_the_services_name(name: str, pattern: str) -> None:
    """Only a whole word at the beginning counts."""
    assert name_pattern(name, "members") == pattern


def test_an_item_in_a_name_stands_for_one_label() -> None:
    """A resource with more in its name is another one."""
    assert matches_name("zone-to-{item}", "zone-to-beta")
    assert not matches_name("zone-to-{item}", "zone-to-")
    assert not matches_name("zone-to-{item}", "other-zone-to-beta")
