"""Comparing the current program with the one that deployed an environment: which previews run, and what they tell."""

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli import deployed_program, previews
from cli.deployed_program import Program
from common.errors import InfraError
from release import field_effects
from release.changes import UNKNOWN, Change, Preview, changes_in
from release.code_changes import Recorded
from release.gate import Inputs, requested_config
from services import all_services
from tests.unit.fake_backend import FakeBackend, group_urn
from tests.unit.release_builders import PATH, Clock, copy_release_samples

EMPTY = Recorded({}, {}, {})


class ComparingBackend(FakeBackend):
    """A backend that notes the previews that run, and knows what the program that deployed would change.

    Attributes:
        changed_by_reference: The services whose servers the program that deployed would replace.
        is_reference_broken: Whether that program fails.
        previews: Which previews ran: `reference`, `baseline` or `current`.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Start with a program that would do the same as the current one."""
        super().__init__(folder, clock)
        self.changed_by_reference, self.is_reference_broken = list(self.changed_services), False
        self.previews: list[str] = []

    def capture(self, arguments: Sequence[str], stack: str) -> "subprocess.CompletedProcess[str]":
        """Answer as Pulumi would."""
        is_broken = "--cwd" in arguments and self.is_reference_broken
        done = super().capture(arguments, stack)
        return subprocess.CompletedProcess(done.args, 1, "", "no such setting") if is_broken else done

    def answer_preview(self, stack: str, arguments: list[str]) -> dict[str, Any]:
        """Return a preview."""
        if "--cwd" not in arguments:
            self.previews.append("baseline" if "--config-file" in arguments else "current")
            return super().answer_preview(stack, arguments)
        self.previews.append("reference")
        Path(arguments[arguments.index("--save-plan") + 1]).write_text("{}", encoding="utf-8")
        return {"steps": [self.replaced_servers(name, stack) for name in self.changed_by_reference]}


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ComparingBackend:
    """Return a backend whose beta was deployed by the program in its folder."""
    folder = copy_release_samples(tmp_path)
    (folder / "Pulumi.yaml").write_text("name: 100xglobal\n", encoding="utf-8")
    (folder / "requirements.txt").write_text("pulumi==1\n", encoding="utf-8")
    (folder / "__main__.py").write_text("size = 4\n", encoding="utf-8")
    monkeypatch.setattr(deployed_program, "record", lambda *_: EMPTY)
    backend = ComparingBackend(folder, Clock())
    deployed_program.remember(folder, backend, backend.state("beta"))
    return backend


def compare(backend: ComparingBackend) -> tuple[set[str], list[str]]:
    """Return the names of the resources whose changes come from code, and the remarks."""
    deployed = backend.state("beta")
    preview = Preview({"steps": [backend.replaced_servers(name, "beta") for name in backend.changed_services]}, {})
    inputs = Inputs(
        preview=preview,
        deployed=deployed,
        config=requested_config(backend.folder, "beta"),
        specs=all_services(),
        effects=field_effects.load(),
        events=(),
        path=PATH,
        backend=backend.name,
    )
    code, remarks = previews.compare_code(backend.folder, backend, inputs, changes_in(preview, deployed))
    return {change.urn for change in code}, remarks


def edit(backend: FakeBackend, file: str = "__main__.py") -> None:
    """Change the program."""
    (backend.folder / file).write_text("size = 500\n", encoding="utf-8")


def test_the_program_that_deployed_needs_no_further_preview(backend: ComparingBackend) -> None:
    """It has nothing to be compared with."""
    assert compare(backend) == (set(), [])
    assert backend.previews == []


def test_another_program_is_compared_with_it(backend: ComparingBackend) -> None:
    """Both would replace the same servers, so the configuration asks for that."""
    edit(backend)
    assert compare(backend) == (set(), [])
    assert backend.previews == ["reference"]


def test_what_it_would_not_change_comes_from_code(backend: ComparingBackend) -> None:
    """The current program also replaces the servers of payments."""
    edit(backend)
    backend.changed_services = ["members", "payments"]
    assert compare(backend) == ({group_urn("payments")}, [])


def test_what_only_mocks_show_comes_from_code(backend: ComparingBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two programs run under mocks in their own folders."""
    urn = group_urn("core")
    sizes = {backend.folder: 500}

    def record(folder: Path, *_: object) -> Recorded:
        return replace(EMPTY, inputs={urn: {"maxSize": sizes.get(folder, 4)}})

    monkeypatch.setattr(deployed_program, "record", record)
    edit(backend)
    assert compare(backend) == ({urn}, [])


def test_if_it_cannot_run_with_the_configuration_everything_may_come_from_code(backend: ComparingBackend) -> None:
    """The configuration uses a setting that is new in the current program."""
    edit(backend)
    backend.is_reference_broken = True
    urns, (remark,) = compare(backend)
    assert urns == {group_urn("members")}
    assert "no such setting" in remark


def test_if_the_program_fails_under_mocks_everything_may_come_from_code(
    backend: ComparingBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It calls a provider function, for example."""

    def record(*_: object) -> Recorded:
        raise InfraError("the program calls aws:index/getCallerIdentity")

    monkeypatch.setattr(deployed_program, "record", record)
    edit(backend)
    urns, (remark,) = compare(backend)
    assert urns == {group_urn("members")}
    assert "getCallerIdentity" in remark


def test_a_setting_of_the_project_is_a_change_of_code(backend: ComparingBackend) -> None:
    """It can replace the plugin of a provider, which no preview shows. Descriptions do not matter."""
    project = backend.folder / "Pulumi.yaml"
    text = project.read_text(encoding="utf-8")
    project.write_text(f"{text}description: Changed.\n", encoding="utf-8")
    assert compare(backend) == (set(), [])
    project.write_text(f"{text}config: {{promotion: {{description: Changed.}}}}\n", encoding="utf-8")
    assert compare(backend)[0] == set()
    soak = "config: {promotion: {default: {soak_minutes: {alpha: 0}}}}"
    project.write_text(f"{text}{soak}\n", encoding="utf-8")
    assert [urn.rsplit("::", 1)[-1] for urn in compare(backend)[0]] == ["100xglobal-beta"]
    project.write_text(f"{text}plugins:\n  providers: [{{name: aws, path: ./aws}}]\n", encoding="utf-8")
    urns, remarks = compare(backend)
    assert [urn.rsplit("::", 1)[-1] for urn in urns] == ["100xglobal-beta"]
    assert remarks == []


def test_other_libraries_are_compared_by_the_deployed_configuration(backend: ComparingBackend) -> None:
    """The program that deployed runs with the new libraries, too, so only the baseline shows what they change."""
    edit(backend, "requirements.txt")
    backend.changed_by_code = ["members"]
    assert compare(backend) == ({group_urn("members")}, [])
    assert backend.previews == ["reference", "baseline"]


def test_without_the_program_that_deployed_the_deployed_configuration_shows_what_comes_from_code(
    backend: ComparingBackend,
) -> None:
    """The result says that this is weaker."""
    (backend.memory_folder("beta") / "program.json").unlink()
    backend.changed_services = ["members", "payments"]
    backend.changed_by_code = ["payments"]
    urns, (remark,) = compare(backend)
    assert urns == {group_urn("payments")}
    assert "its program is not known here" in remark
    assert backend.previews == ["baseline"]


def test_without_the_program_that_deployed_a_creation_needs_an_approval(
    backend: ComparingBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A preview does not know most of what is created."""
    (backend.memory_folder("beta") / "program.json").unlink()
    urn = group_urn("chat")
    created = {"op": "create", "urn": urn, "newState": {"urn": urn, "inputs": {"policy": UNKNOWN}}}
    monkeypatch.setattr(backend, "replaced_servers", lambda *_: created)
    assert compare(backend)[0] == {urn}


def test_a_service_that_is_only_declared_is_no_code(backend: ComparingBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference gets the new file, so that it can run with the configuration."""
    file = backend.folder / "services" / "chat.py"
    file.parent.mkdir()
    file.write_text('"""Chat."""\n', encoding="utf-8")
    written: list[Program] = []
    monkeypatch.setattr(deployed_program, "is_declaration", lambda _: True)  # see test_deployed_program.py
    monkeypatch.setattr(deployed_program, "write_project", lambda program, *_: written.append(program))
    assert compare(backend) == (set(), [])
    assert "services/chat.py" in written[0].files


def test_the_changes_are_those_of_the_preview(backend: ComparingBackend) -> None:
    """The builders of this file make the same changes as the backend."""
    deployed = backend.state("beta")
    preview = Preview({"steps": [backend.replaced_servers("members", "beta")]}, {})
    assert all(isinstance(change, Change) and change.owner == "members" for change in changes_in(preview, deployed))
