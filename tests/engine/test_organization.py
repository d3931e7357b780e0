"""The program of what exists once for all environments, on the real engine."""

from collections.abc import Iterator

import pytest

from cli.exit_codes import ExitCode
from sandbox.emulator import process as emulator
from sandbox.session import Session
from tests.engine.conftest import Clone, make_clone


@pytest.fixture(scope="module")
def organization(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """Return a clone with an empty sandbox."""
    assert session
    clone = make_clone(tmp_path_factory.mktemp("organization clone"))
    yield clone
    emulator.stop(clone.paths)


def test_the_organization_is_created_once_and_stays(organization: Clone) -> None:
    """A second preview has no changes, and the clone's own files are unchanged."""
    file = organization.root / "organization" / "Pulumi.organization.yaml"
    before = file.read_bytes()
    up = organization.infra("organization", "up")
    assert up.returncode == ExitCode.SUCCESS, up.stdout
    assert "dkr.ecr.us-east-1.amazonaws.com/members" in up.stdout
    preview = organization.infra("organization", "preview", "--expect-no-changes")
    assert preview.returncode == ExitCode.SUCCESS, preview.stdout
    assert file.read_bytes() == before
    down = organization.infra("organization", "down")
    assert down.returncode != ExitCode.SUCCESS  # everything that would be missed is protected
