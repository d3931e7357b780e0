"""`./infra check`: every mistake in the environment files is reported, with its rule, file, line and path."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from syrupy.assertion import SnapshotAssertion

from cli.check import annotation, check
from cli.exit_codes import ExitCode
from mocks.aws import run
from services import all_services
from settings.check import check_folder, settings_of_stack
from settings.problems import Problem, Rule, SettingsError
from settings.project_files import PROJECT, PROJECT_FILE, SERVICES_KEY, environment_file
from settings.reference import ANY_NAME, all_fields
from settings.yaml_document import read
from tests.unit.conftest import ROOT, STACKS, config_of
from tests.unit.mistakes import (
    MISTAKES,
    SAMPLE_ENVIRONMENTS,
    UNUSABLE_FILES,
    Mistake,
    UnusableFile,
    WrongSpec,
    copy_samples,
    problems_after,
    wrong_specs,
)

SIGN_UP = '{SIGN_UP: "open"}'


def run_program(environment: str, config: dict[str, Any]) -> None:
    """Run the whole program with mocks."""
    import runpy

    run(
        lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"),
        stack=environment,
        config=config,
    )


def test_the_committed_files_have_no_problem() -> None:
    """Every environment of the repository is valid."""
    environments, problems = check_folder(ROOT, all_services())
    assert problems == []
    assert set(environments) == set(STACKS)


def test_the_sample_files_have_no_problem(samples: Path) -> None:
    """The files that the other tests change are valid, so each problem comes from the change."""
    environments, problems = check_folder(samples, all_services())
    assert problems == []
    assert set(environments) == set(SAMPLE_ENVIRONMENTS)


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_a_mistake_is_reported_with_its_rule_and_position(samples: Path, mistake: Mistake) -> None:
    """A problem names the broken rule, the file, the line and the path of the key."""
    problems = mistake.problems(samples)
    matches = [problem for problem in problems if (problem.path, problem.rule) == (mistake.path, mistake.rule)]
    assert matches, "\n".join(map(str, problems)) or "no problem was reported"
    assert matches[0].file == environment_file(mistake.environment)
    assert matches[0].line > 0 or not mistake.has_position
    assert all("Traceback" not in problem.message for problem in problems)


def test_all_problems_of_all_files_are_reported_at_once(samples: Path) -> None:
    """Two mistakes in every file are all reported, each at the line that contains it."""
    mistakes = 0
    for environment in SAMPLE_ENVIRONMENTS:
        path = samples / environment_file(environment)
        text = path.read_text(encoding="utf-8")
        text = text.replace("instance_type:", "instance_typ:").replace("nat:", "gnat:")
        path.write_text(text, encoding="utf-8")
        mistakes += text.count("instance_typ:")
    problems = check_folder(samples, all_services())[1]
    assert {problem.file for problem in problems} == {environment_file(name) for name in SAMPLE_ENVIRONMENTS}
    assert {problem.file for problem in problems if problem.path == "environment.network.gnat"} == {
        environment_file(name) for name in SAMPLE_ENVIRONMENTS
    }
    misspelled = [problem for problem in problems if problem.path.endswith("instance_typ")]
    assert len(misspelled) == mistakes == 8
    for problem in misspelled:
        line = (samples / problem.file).read_text(encoding="utf-8").splitlines()[problem.line - 1]
        assert line.strip().startswith("instance_typ:")


@pytest.mark.parametrize("secret", ["hunter2", "AKIAIOSFODNN7EXAMPLE"])
def test_a_secret_is_reported_and_not_repeated(samples: Path, secret: str) -> None:
    """No message contains the secret, because messages end up in logs. A number is not repeated either."""
    problems = problems_after(samples, "alpha", SIGN_UP, f'{{API_KEY: "{secret}", OTHER_TOKEN: 7}}')
    assert [problem.rule for problem in problems] == [Rule.VARIABLE_NOT_TEXT]
    assert not any(secret in str(problem) for problem in problems)
    problems = problems_after(samples, "alpha", "OTHER_TOKEN: 7", 'OTHER: "x"')
    assert [problem.rule for problem in problems] == [Rule.LOOKS_LIKE_A_SECRET]
    assert not any(secret in str(problem) for problem in problems)


def test_a_secret_appears_in_no_output(samples: Path) -> None:
    """A secret that was put into a file by mistake appears in no message, and no resource is registered with it."""
    import pulumi

    canary = "canary-4711-hunter2"
    problems = problems_after(samples, "alpha", SIGN_UP, f'{{ADMIN_PASSWORD: "{canary}"}}')
    assert problems
    assert canary not in "\n".join(map(str, problems)) + json.dumps([problem.message for problem in problems])
    config = config_of("alpha")
    config[SERVICES_KEY]["members"]["release"]["environment_variables"] = {"ADMIN_PASSWORD": canary}
    with pytest.raises(pulumi.RunError) as raised:
        run_program("alpha", config)
    assert canary not in str(raised.value)
    assert isinstance(raised.value.__context__, SettingsError)
    assert [problem.rule for problem in raised.value.__context__.problems] == [Rule.LOOKS_LIKE_A_SECRET]


@pytest.mark.parametrize(
    ("key", "value", "path", "rule"),
    [
        ("100xglobal:environment", "hello", "environment", Rule.WRONG_TYPE),
        ("aws:allowedAccountIds", "x", "aws:allowedAccountIds", Rule.INVALID_ACCOUNT_LIST),
        ("100xglobal:services", "[1]", "services", Rule.WRONG_TYPE),
    ],
)
def test_the_program_reports_a_value_of_the_wrong_type(key: str, value: str, path: str, rule: Rule) -> None:
    """A value that Pulumi takes from elsewhere, such as `pulumi config set`, stops the program without a traceback."""
    import pulumi

    with pytest.raises(pulumi.RunError) as raised:
        run_program("alpha", {**config_of("alpha"), key: value})
    assert isinstance(raised.value.__context__, SettingsError)
    assert (path, rule) in {(problem.path, problem.rule) for problem in raised.value.__context__.problems}


yaml_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)
ENVIRONMENT_PATHS = [
    path.replace(ANY_NAME, "members") for path in all_fields() if path.startswith(("environment.", "services."))
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(ENVIRONMENT_PATHS), value=yaml_values)
def test_any_value_is_valid_or_reported(samples: Path, path: str, value: Any) -> None:
    """No value of any field causes an exception."""
    file = samples / environment_file("alpha")
    shutil.copy(ROOT / environment_file("alpha"), file)
    document = YAML(typ="safe").load(file)
    first, *steps, last = path.split(".")
    parent = document["config"][f"{PROJECT}:{first}"]
    for step in steps:
        parent = parent.setdefault(step, {}) if isinstance(parent, dict) else {}
    if isinstance(parent, dict):
        parent[last] = value
    with file.open("w", encoding="utf-8") as stream:
        YAML().dump(document, stream)
    environments, problems = check_folder(samples, all_services())
    assert "alpha" in environments or problems
    assert all(str(problem) for problem in problems)


def test_the_example_of_staging_is_a_valid_environment(tmp_path: Path) -> None:
    """A copy of the example in docs/new-environment.md is an environment that is restored from prod's snapshots."""
    for environment in STACKS:
        shutil.copy(ROOT / environment_file(environment), tmp_path)
    shutil.copy(ROOT / "docs" / "examples" / environment_file("staging"), tmp_path)
    environments, problems = check_folder(tmp_path, all_services())
    assert problems == []
    assert not (ROOT / environment_file("staging")).exists()
    databases = {name: service.sizing.database for name, service in environments["staging"].enabled_services().items()}
    snapshots = {
        name: database.restore.snapshot.rsplit(":", 1)[-1]
        for name, database in databases.items()
        if database and database.restore
    }
    assert snapshots == {name: f"{name}-for-staging" for name in ("core", "members", "payments", "email")}


# --- the output


def test_a_valid_folder_succeeds(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without problems the exit code is 0. A note on standard error says that the samples contain examples."""
    shutil.copy(ROOT / PROJECT_FILE, samples)
    assert check(samples, "text") == ExitCode.SUCCESS
    output = capsys.readouterr()
    assert output.out == "0 problems in the files of 3 environments\n"
    assert output.err == (
        "note: example accounts or images in Pulumi.alpha.yaml, Pulumi.beta.yaml, Pulumi.prod.yaml: the sandbox "
        "accepts them, AWS would not. See docs/real-aws.md.\n"
    )


def test_an_unknown_format_is_a_usage_error(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelled format is not taken for text."""
    assert check(samples, "yaml") == ExitCode.USAGE
    assert capsys.readouterr().out == ""


def test_json_contains_every_field_of_a_problem(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other programs get the rule and the position as data, and the names of the environments that are valid."""
    shutil.copy(ROOT / PROJECT_FILE, samples)
    problems = problems_after(samples, "alpha", "nat: single", "nat: none")
    assert check(samples, "json") == ExitCode.FAILED
    result = json.loads(capsys.readouterr().out)
    assert result["environments"] == ["beta", "prod"]
    assert result["problems"] == [
        {
            "file": "Pulumi.alpha.yaml",
            "line": 10,
            "column": 7,
            "path": "environment.network.nat",
            "message": problems[0].message,
            "rule": "invalid-choice",
        }
    ]


def test_an_annotation_for_github_is_one_line() -> None:
    """Characters that GitHub would interpret are escaped, whatever the message contains."""
    problem = Problem("Pulumi.beta.yaml", 7, 3, "environment.domain", "100% wrong\nindeed", Rule.INVALID_DOMAIN)
    assert (
        annotation(problem) == "::error file=Pulumi.beta.yaml,line=7,col=3::environment.domain: 100%25 wrong%0Aindeed"
    )


# --- the messages


def one_problem_per_rule(folder: Path) -> dict[Rule, Problem]:
    """Return an example of each rule's problem: the first that the mistakes of the other tests produce."""
    examples: dict[Rule, Problem] = {}
    sources: list[Mistake | UnusableFile | WrongSpec] = [*MISTAKES, *UNUSABLE_FILES, *wrong_specs()]
    for source in sources:
        copy_samples(folder)
        for problem in source.problems(folder):
            if problem.rule is source.rule:
                examples.setdefault(problem.rule, problem)
    for problem in problems_that_need_special_files(folder):
        examples.setdefault(problem.rule, problem)
    return examples


def problems_that_need_special_files(folder: Path) -> Iterator[Problem]:
    """Yield the problems of files with special names, and of files that do not exist."""
    copy_samples(folder)
    yield from read(folder / environment_file("gamma")).problems
    with pytest.raises(SettingsError) as raised:
        settings_of_stack("gamma", config_of("alpha"), folder, all_services(), warn=lambda _: None)
    yield from (problem for problem in raised.value.problems if problem.rule is Rule.MISSING_FILE)
    shutil.copy(folder / environment_file("alpha"), folder / environment_file("Gamma"))
    for problem in check_folder(folder, all_services())[1]:
        if problem.rule is Rule.INVALID_ENVIRONMENT_NAME:
            yield problem
    (folder / environment_file("Gamma")).unlink()
    specs = all_services()
    specs["memberships1"] = replace(specs["members"], name="memberships1")
    alpha = folder / environment_file("alpha")
    alpha.write_text(alpha.read_text(encoding="utf-8").replace("    members:", "    memberships1:"), encoding="utf-8")
    for problem in check_folder(folder, specs)[1]:
        if problem.rule is Rule.SERVICE_NAME_TOO_LONG:
            yield problem


def test_the_message_of_every_rule(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    """The snapshot shows one problem per rule as the user sees it, and no rule is left out."""
    examples = one_problem_per_rule(tmp_path)
    assert set(examples) == set(Rule) - {Rule.BROKEN_SERVICE_FILE}  # test_service_files.py has its messages
    assert "\n\n".join(f"[{rule}]\n{examples[rule]}" for rule in sorted(examples)) == snapshot
