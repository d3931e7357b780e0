"""`./infra explain` and the JSON schema for editors."""

import pytest
from syrupy.assertion import SnapshotAssertion

from cli.exit_codes import ExitCode
from cli.explain import explain
from settings import reference
from settings.project_files import environment_file
from tests.unit.conftest import ROOT, STACKS


def test_the_committed_schema_is_current() -> None:
    """Editors use the committed file, so it must match the models."""
    assert (ROOT / reference.SCHEMA_FILE).read_text(encoding="utf-8") == reference.schema_text(), "run ./infra schema"


@pytest.mark.parametrize("environment", STACKS)
def test_each_environment_file_names_its_schema(environment: str) -> None:
    """The first line of each file tells editors where the schema is."""
    first_line = (ROOT / environment_file(environment)).read_text(encoding="utf-8").splitlines()[0]
    assert first_line == f"# yaml-language-server: $schema={reference.SCHEMA_FILE}"


@pytest.mark.parametrize("field", reference.all_fields().values(), ids=lambda field: field.path)
def test_every_field_can_be_explained(field: reference.Field) -> None:
    """Every field has a description, a type and a default, and the explanation contains them and the location."""
    text = reference.explain(field.path)
    assert field.schema["description"]
    for part in (field.path, reference.type_name(field.schema), reference.default_text(field), field.place):
        assert part
        assert part in text


def test_an_unknown_field_names_the_most_similar_one(capsys: pytest.CaptureFixture[str]) -> None:
    """A typo in a field's path is answered with the correct path."""
    with pytest.raises(reference.UnknownFieldError) as raised:
        reference.explain("services.members.release.imag")
    assert raised.value.suggestion == "services.<name>.release.image"
    assert explain("services.members.release.imag") == ExitCode.FAILED
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "field",
    [
        "environment",
        "environment.network.cidr",
        "environment.access",
        "100xglobal:environment.operations.log_days",
        "services.members.release.image",
        "services.members.sizing.database",
        "services.members.sizing.database.storage_gb",
        "promotion.soak_minutes",
    ],
)
def test_the_explanation_of_a_field(
    field: str, capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """The snapshots show what users see of a part, a list of values, a map and a number."""
    assert explain(field) == ExitCode.SUCCESS
    assert capsys.readouterr().out == snapshot


@pytest.mark.parametrize("field", ["services.members.release.imag", "xyz"])
def test_the_message_about_an_unknown_field(
    field: str, capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """The snapshots show the message with and without a suggestion."""
    assert explain(field) == ExitCode.FAILED
    assert capsys.readouterr().err == snapshot
