"""Runs previews, and compares the current program with the one that deployed an environment."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from cli import deployed_program
from cli.backends import Backend, parallel_option
from cli.deployed_program import Program
from common.errors import InfraError
from release import code_changes
from release.changes import CREATE, Change, Preview, changes_in
from release.code_changes import CodeChanges
from release.gate import Inputs
from release.stack_state import StackState
from services import all_services
from settings.project_files import SERVICES_KEY, environment_file

UP_ONLY_OPTIONS = frozenset({"--yes", "-y", "--continue-on-error", "--suppress-outputs", "--suppress-progress"})


def run_preview(backend: Backend, environment: str, plan: Path, pulumi_options: Sequence[str]) -> Preview:
    """Run a preview that also shows unchanged resources and writes a plan."""
    options = [
        option for option in pulumi_options if option.partition("=")[0] not in UP_ONLY_OPTIONS | {"--show-sames"}
    ]
    command = ["preview", "--stack", environment, "--json", "--show-sames", "--save-plan", str(plan)]
    done = backend.capture([*command, *parallel_option(), *options], environment)
    if done.returncode != 0:
        details = error_messages(done.stdout) or done.stderr.strip()
        raise InfraError(f"the preview of {environment} failed, and nothing was changed:\n{details}")
    return Preview(json.loads(done.stdout), json.loads(plan.read_text(encoding="utf-8")))


def compare_code(
    folder: Path, backend: Backend, inputs: Inputs, changes: Sequence[Change]
) -> tuple[CodeChanges, list[str]]:
    """Return which changes come from code, and remarks about how that is known."""
    deployed = inputs.deployed
    reference, current = deployed_program.find(folder, backend, deployed), deployed_program.current(folder)
    if reference is None:
        remark = (
            f"{deployed.stack} was not deployed from this machine, nor from a commit of this clone, so its program is "
            "not known here. What is created needs an approval, and some changes of code may look like those of fields"
        )
        code = changes_without_configuration(folder, backend, deployed, changes)
        return code | {change for change in changes if change.operation == CREATE}, [remark]
    if reference.files == current.files:
        return code_changes.NONE, []
    code, remarks = changes_of_program(folder, backend, inputs, changes, reference.with_new_services(current))
    code |= code_changes.project_changes(current.project, reference.project, deployed.stack)
    if reference.libraries != current.libraries:  # the reference runs with the new ones, too
        code |= changes_without_configuration(folder, backend, deployed, changes)
    return code, remarks


def changes_of_program(
    folder: Path, backend: Backend, inputs: Inputs, changes: Sequence[Change], reference: Program
) -> tuple[CodeChanges, list[str]]:
    """Compare with the reference. If that cannot run with the requested configuration, all may come from code."""
    try:
        with tempfile.TemporaryDirectory(prefix="reference-") as name:
            scratch = Path(name)
            deployed_program.write_project(reference, folder, backend, inputs.deployed.stack, scratch)
            return changes_of_project(folder, scratch, backend, inputs, changes), []
    except InfraError as error:
        remark = f"the program that deployed {inputs.deployed.stack} cannot run with this configuration: {error}"
        return frozenset(changes), [remark]


def changes_of_project(
    folder: Path, reference_folder: Path, backend: Backend, inputs: Inputs, changes: Sequence[Change]
) -> CodeChanges:
    """Compare with the reference, by previews of both and by what both register under mocks, at the same time."""
    deployed, last = inputs.deployed, inputs.deployed.last_change()
    is_complete = last is not None and last.succeeded
    plan = reference_folder / "plan.json"
    with ThreadPoolExecutor() as pool:
        recordings = [
            pool.submit(deployed_program.record, program, deployed.stack, inputs.config)
            for program in (folder, reference_folder)
        ]
        preview = run_preview(backend, deployed.stack, plan, ["--cwd", str(reference_folder)])
        current, reference = (recording.result() for recording in recordings)
    found = code_changes.against_reference(changes, changes_in(preview, deployed), must_happen=is_complete)
    return found | code_changes.under_mocks(changes, found, current, reference, complete=is_complete)


def changes_without_configuration(
    folder: Path, backend: Backend, deployed: StackState, changes: Sequence[Change]
) -> CodeChanges:
    """Compare with a preview of the deployed configuration. If that fails, all may come from code."""
    try:
        baseline = changes_in(baseline_preview(folder, backend, deployed), deployed)
    except InfraError:
        return frozenset(changes)
    return code_changes.against_baseline(changes, baseline)


def baseline_preview(folder: Path, backend: Backend, deployed: StackState) -> Preview:
    """Preview the current program with the deployed configuration: what it would change comes from the code.

    The configuration file of the preview is a copy of the environment's own, so that its encryption settings stay.
    """
    environment = deployed.stack
    with tempfile.TemporaryDirectory(prefix="baseline-") as scratch:
        yaml = YAML(typ="safe")
        source = backend.configuration_file(folder, environment)
        document: dict[str, Any] = yaml.load(source.read_text(encoding="utf-8")) or {}
        file = Path(scratch) / environment_file(environment)
        with file.open("w", encoding="utf-8") as stream:
            YAML().dump({**document, "config": baseline_config(deployed)}, stream)
        return run_preview(backend, environment, Path(scratch) / "plan.json", ["--config-file", str(file)])


def baseline_config(deployed: StackState) -> dict[str, Any]:
    """Return the deployed configuration without services that the program no longer has."""
    config = structured(deployed.config())
    specs = all_services()
    services = {name: block for name, block in config[SERVICES_KEY].items() if name in specs}
    return {**config, SERVICES_KEY: services}


def structured(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recorded configuration as a file has it: lists that the history keeps as text are lists again."""

    def value(item: Any) -> Any:
        if isinstance(item, str) and item[:1] in {"[", "{"}:
            return json.loads(item)
        return item

    return {key: value(item) for key, item in config.items()}


def error_messages(output: str) -> str:
    """Return the errors in a preview's JSON report."""
    start = output.find("{\n")
    try:
        report: dict[str, Any] = json.loads(output[start:])
    except ValueError:
        return output.strip()
    diagnostics = report.get("diagnostics") or []
    return "\n".join(entry["message"].strip() for entry in diagnostics if entry.get("severity") == "error")
