"""The models of the environment files: what is promoted, and what is not."""

import subprocess
import sys

import pytest
from pydantic import BaseModel

from services import all_services
from settings.check import check_folder
from settings.models import Release, Service, Settings, Sizing
from settings.reference import ANY_NAME, PROMOTION_NOTES, all_fields
from tests.unit.conftest import ROOT


def field_names(model: type[BaseModel]) -> set[str]:
    """Return the names of a model's own fields."""
    return set(model.model_fields)


def test_a_field_is_in_either_release_or_sizing() -> None:
    """It is clear of every field of a service whether it is promoted."""
    assert field_names(Service) == {"enabled", "release", "sizing"}
    assert not field_names(Release) & field_names(Sizing)
    notes = {"release": PROMOTION_NOTES["Release"], "sizing": PROMOTION_NOTES["Sizing"], "enabled": ""}
    fields = [field for field in all_fields().values() if field.path.startswith(f"services.{ANY_NAME}.")]
    assert len(fields) > 20
    for field in fields:
        assert field.promotion == notes[field.path.split(".")[2]], field.path


def test_promoting_a_release_keeps_the_sizing() -> None:
    """Beta with the releases of alpha has beta's sizing, in every field."""
    alpha, beta = (check_folder(ROOT, all_services())[0][name] for name in ("alpha", "beta"))
    for name, service in beta.services.items():
        promoted = service.model_copy(update={"release": alpha.services[name].release})
        assert promoted.sizing == service.sizing
        assert promoted.release == alpha.services[name].release
        assert isinstance(promoted, Service)
    assert isinstance(beta, Settings)


@pytest.mark.parametrize(
    ("imports", "unneeded"),
    [
        ("import settings.project_files, settings.problems", {"pydantic", "pulumi", "settings.models"}),
        ("import services; services.all_services()", {"pulumi", "settings.models"}),
    ],
)
def test_names_and_services_load_no_more_than_they_need(imports: str, unneeded: set[str]) -> None:
    """Commands that only need names of files start without pydantic, and those that need services without Pulumi."""
    code = f"import sys; {imports}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    modules = set(result.stdout.split())
    assert "settings.problems" in modules
    assert not modules & unneeded
