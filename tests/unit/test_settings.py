"""The contract of the configuration: everything wrong is told at once, with its place and the way out."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from ruamel.yaml import YAML

from cli.checking import annotation
from components.spec import FrontDoorRoute
from services import all_services
from settings import Problem, check_folder, reference, rules, scaffold
from settings.document import parse
from settings.models import Release, Service, Settings, Sizing
from tests.unit.conftest import ROOT, config_of
from tests.unit.mocked import run as run_mocked

STACKS = ("alpha", "beta", "prod")
IMAGE = "111111111111.dkr.ecr.us-east-1.amazonaws.com/members@sha256:"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the files of all environments."""
    for stack in STACKS:
        shutil.copy(ROOT / f"Pulumi.{stack}.yaml", tmp_path)
    return tmp_path


def problems_after(folder: Path, stack: str, old: str, new: str) -> list[Problem]:
    """Return the problems after replacing a text's first place in a file."""
    path = folder / f"Pulumi.{stack}.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{old!r} is not in {path.name}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return check_folder(folder, all_services())[1]


def test_the_files_are_right() -> None:
    """No problem in any environment."""
    found, problems = check_folder(ROOT, all_services())
    assert problems == []
    assert set(found) == set(STACKS)


# What is written wrong in one place: (environment, what stands there, what is written instead, the problem's path, what is told).
WRONG: list[tuple[str, str, str, str, str]] = [
    # names of keys
    ("alpha", "instance_type:", "instance_typ:", "services.core.sizing.instance_typ", "did you mean 'instance_type'?"),
    ("alpha", "    durability:", "    durabilty:", "environment.durabilty", "did you mean 'durability'?"),
    ("alpha", "    members:", "    member:", "services.member", "did you mean 'members'?"),
    ("alpha", "  aws:region:", "  aws-region:", "aws-region", "did you mean 'aws:region'?"),
    ("alpha", "  100xglobal:services:", "  100xglobal:service:", "100xglobal:service", "did you mean '100xglobal:services'?"),
    ("alpha", "config:", "confg:", "confg", "did you mean 'config'?"),
    # types
    ("alpha", '"16.9"', "16.9", "services.core.release.database_engine", 'Put it in quotes: "16.9"'),
    ("alpha", '"16.9"', "16.10", "services.core.release.database_engine", "YAML reads 16.10 as 16.1"),
    ("alpha", "minimum: 1", 'minimum: "1"', "services.core.sizing.instances.minimum", "must be a whole number"),
    ("alpha", "multi_az: false", "multi_az: 'no'", "services.core.sizing.database.multi_az", "must be true or false"),
    ("alpha", 'zones: ["us-east-1a", "us-east-1b"]', "zones: us-east-1a", "environment.network.zones", "must be a list"),
    ("alpha", '["222222222222"]', "[222222222222]", "account_id", "must be text"),
    ("alpha", '["222222222222"]', "[]", "aws:allowedAccountIds", "must be a list of one account"),
    ("alpha", '{SIGN_UP: "open"}', "{SIGN_UP: 1}", "services.members.release.environment_variables.SIGN_UP", "must be text in quotes"),
    # network
    ("alpha", "10.10.0.0/16", "10.10.0.1/16", "environment.network.cidr", "host bits"),
    ("alpha", "10.10.0.0/16", "10.10.0.0/24", "environment.network.cidr", "/23 or larger"),
    ("alpha", "10.10.0.0/16", "10.0.0.0/8", "environment.network.cidr", "/16 to /28"),
    ("alpha", "10.10.0.0/16", "52.10.0.0/16", "environment.network.cidr", "not private"),
    ("alpha", "10.10.0.0/16", "10.20.128.0/17", "environment.network.cidr", "overlaps beta's 10.20.0.0/16"),
    ("alpha", '"us-east-1b"', '"us-west-2b"', "environment.network.zones[1]", "is not in us-east-1"),
    ("alpha", '"us-east-1b"', '"us-east-1a"', "environment.network.zones[1]", "stands twice"),
    ("alpha", ', "us-east-1b"]', "]", "environment.network.zones", "at least 2"),
    ("alpha", "nat: single", "nat: none", "environment.network.nat", "'single' or 'per_zone'"),
    ("alpha", "10.10.0.0/16", "10.10.0.0/255.255.0.0", "environment.network.cidr", "must be written 10.10.0.0/16"),
    ("alpha", "10.10.0.0/16", "169.254.0.0/16", "environment.network.cidr", "not private"),
    ("alpha", '["0.0.0.0/0", "::/0"]', '["10.0.0.1"]', "environment.access.allow[0]", "must be written 10.0.0.1/32"),
    ("alpha", '["0.0.0.0/0", "::/0"]', '["::/0", "::/0"]', "environment.access.allow", "twice"),
    ("alpha", "[operations@100xglobal.com]", "[nobody]", "environment.operations.alarm_emails[0]", "is not an e-mail address"),
    ("alpha", '["222222222222"]', '["333333333333"]', "account_id", "is beta's too"),
    (
        "alpha",
        "multi_az: false}",
        "multi_az: false, restore: {snapshot: x}, restore_to_time: {instance: y, time: '2026-11-23T18:00:00Z'}}",
        "services.core.sizing.database.restore_to_time",
        "one of the two",
    ),
    (
        "alpha",
        "    domain: alpha.100xglobal.com\n",
        "    domain: alpha.100xglobal.com\n    dns: {delegations: {www: [ns1.example.com, ns2.example.com]}}\n",
        "environment.dns.delegations.www",
        "is the host of core",
    ),
    ("alpha", '["0.0.0.0/0", "::/0"]', '["everybody"]', "environment.access.allow[0]", "is not an IP range"),
    # names
    ("alpha", "alpha.100xglobal.com", "Alpha.100xglobal.com", "environment.domain", "lower-case ASCII"),
    ("alpha", "alpha.100xglobal.com", "аlpha.100xglobal.com", "environment.domain", "lower-case ASCII"),  # noqa: RUF001 the look-alike is the test
    ("alpha", "alpha.100xglobal.com", "beta.100xglobal.com", "environment.domain", "is beta's too"),
    # releases
    ("alpha", "@sha256:", ":latest-", "services.core.release.image", "by digest"),
    ("alpha", "ami-0123456789abcdef0", "ami-123", "services.core.release.machine_image", "does not have the form"),
    ("alpha", "ami-0123456789abcdef0", "i-0123456789abcdef0", "services.core.release.machine_image", "does not have the form"),
    ("alpha", "version: 3.8.0", "version: latest", "services.core.release.version", "does not have the form"),
    ("alpha", '"16.9"', '"9.6"', "services.core.release.database_engine", "does not have the form"),
    ("alpha", '"16.9"', '"12.19"', "services.core.release.database_engine", "does not offer in standard support"),
    ("alpha", '"16.9"', '"16.1"', "services.core.release.database_engine", "16.3 is the first"),
    ("alpha", '        database_engine: "16.9"\n', "", "services.core.release.database_engine", "core has a database"),
    ("alpha", '{SIGN_UP: "open"}', '{"SIGN-UP": "open"}', "services.members.release.environment_variables.SIGN-UP", "not a name"),
    ("alpha", '{SIGN_UP: "open"}', '{DATABASE_HOST: "x"}', "services.members.release.environment_variables.DATABASE_HOST", "set by the program itself"),
    ("alpha", '{SIGN_UP: "open"}', '{DATABASE_PASSWORD: "hunter2"}', "services.members.release.environment_variables.DATABASE_PASSWORD", "looks like a secret"),
    ("alpha", '{SIGN_UP: "open"}', '{MODE: "AKIAIOSFODNN7EXAMPLE"}', "services.members.release.environment_variables.MODE", "looks like a secret"),
    ("alpha", '{SIGN_UP: "open"}', '{URL: "https://me:hunter2@example.com"}', "services.members.release.environment_variables.URL", "looks like a secret"),
    ("alpha", '{SIGN_UP: "open"}', "{secure: AAABAG}", "services.members.release.environment_variables.secure", "encrypted value"),
    ("alpha", "        version: 3.8.0", "        secure: AAABAG", "services.core.release.secure", "encrypted value"),
    ("alpha", "idle_timeout_seconds: 120", "idle_timeout_seconds: 50", "services.socket.release.websocket.idle_timeout_seconds", "Write 51 or more"),
    ("alpha", "idle_timeout_seconds: 120", "idle_timeout_seconds: 5000", "services.socket.release.websocket.idle_timeout_seconds", "at most 4000"),
    ("alpha", "        websocket: {ping_interval_seconds: 25, idle_timeout_seconds: 120}\n", "", "services.socket.release.websocket", "is missing"),
    # sizes
    ("alpha", "minimum: 1, maximum: 2", "minimum: 3, maximum: 2", "services.core.sizing.instances.minimum", "above the maximum"),
    ("alpha", "minimum: 1", "minimum: 0", "services.core.sizing.instances.minimum", "at least 1"),
    ("alpha", "instance_type: t4g.small", "instance_type: t3.small", "services.core.sizing.instance_type", "is x86_64, and the release is built for arm64"),
    ("alpha", "instance_type: t4g.small", "instance_type: small", "services.core.sizing.instance_type", "does not have the form"),
    ("alpha", "class: db.t4g.micro", "class: t4g.micro", "services.core.sizing.database.class", "does not have the form"),
    ("alpha", "class: db.t4g.micro", "class: db.t9x.micro", "services.core.sizing.database.class", "which RDS does not run PostgreSQL on"),
    ("alpha", "class: db.t4g.micro", "class: db.m7g.micro", "services.core.sizing.database.class", "begins with large"),
    ("alpha", "class: db.t4g.micro", "class: db.t4g.16xlarge", "services.core.sizing.database.class", "ends with 2xlarge"),
    ("alpha", "storage_gb: 20", "storage_gb: 10", "services.core.sizing.database.storage_gb", "at least 20"),
    ("alpha", "storage_gb: 20", "storage_gb: 20, maximum_storage_gb: 21", "services.core.sizing.database.maximum_storage_gb", "a tenth above"),
    ("alpha", "        database: {class: db.t4g.micro, storage_gb: 20, multi_az: false}\n", "", "services.core.sizing.database", "core has a database"),
    # what data survives
    ("alpha", "backup_days: 3", "backup_days: 0", "environment.durability.backup_days", "at least 1"),
    ("alpha", "backup_days: 3", "backup_days: 36", "environment.durability.backup_days", "at most 35"),
    ("alpha", "recovery_point_minutes: 1440", "recovery_point_minutes: 1", "environment.durability.recovery_point_minutes", "at least 5"),
    ("alpha", "recovery_time_minutes: 1440", "recovery_time_minutes: 10", "services.core.sizing.database.multi_az", "a lost zone means a restore"),
    ("alpha", "log_days: 30", "log_days: 31", "environment.operations.log_days", "must be one of"),
    # the floor of prod
    ("prod", 'zones: ["us-east-1a", "us-east-1b", "us-east-1c"]', 'zones: ["us-east-1a", "us-east-1b"]', "environment.network.zones", "prod needs 3"),
    ("prod", "nat: per_zone", "nat: single", "environment.network.nat", "would cut off all of prod"),
    ("prod", "backup_days: 35", "backup_days: 7", "environment.durability.backup_days", "prod needs 30"),
    ("prod", "backup_days: 35", "protect_data: false, backup_days: 35", "environment.durability.protect_data", "one wrong command"),
    ("prod", "multi_az: true", "multi_az: false", "services.core.sizing.database.multi_az", "prod needs a standby"),
    ("prod", "minimum: 3", "minimum: 1", "services.core.sizing.instances.minimum", "prod needs 2"),
    # what services do to each other
    ("alpha", "    members:\n", "    members:\n      enabled: false\n", "services.payments", "whose owner is switched off"),
    (
        "alpha",
        "    domain: alpha.100xglobal.com\n",
        "    domain: alpha.100xglobal.com\n    dns: {delegations: {members: [ns1.example.com, ns2.example.com]}}\n",
        "environment.dns.delegations.members",
        "is the host of members",
    ),
    (
        "alpha",
        "    domain: alpha.100xglobal.com\n",
        "    domain: alpha.100xglobal.com\n    dns: {delegations: {x: [ns1]}}\n",
        "environment.dns.delegations.x",
        "two or more name servers",
    ),
    # the writing itself
    ("alpha", "    domain:", "\tdomain:", "", "indented with a tab"),
    ("alpha", "      nat: single", "      nat: single\n      nat: per_zone", "config.100xglobal:environment.network.nat", "stands twice"),
    ("alpha", "      release:\n", "      release: &core\n", "config.100xglobal:services.core.release", "anchor"),
    ("alpha", "version: 3.8.0", 'version: !!python/object/apply:os.system ["id"]', "config.100xglobal:services.core.release.version", "has the tag"),
    ("alpha", "      nat: single", "      nat: [single", "", "is not YAML here"),
]


@pytest.mark.parametrize(("stack", "old", "new", "path", "told"), WRONG)
def test_what_is_wrong_is_told_with_its_place(folder: Path, stack: str, old: str, new: str, path: str, told: str) -> None:
    """File, line, path, and what to write instead."""
    problems = problems_after(folder, stack, old, new)
    mine = [problem for problem in problems if problem.path == path and told in problem.message]
    assert mine, "\n".join(map(str, problems)) or "no problem was found"
    assert mine[0].file == f"Pulumi.{stack}.yaml"
    if path != "aws:allowedAccountIds" or "[]" not in new:
        assert mine[0].line > 0
    assert all("Traceback" not in problem.message for problem in problems)


@pytest.mark.parametrize(
    "variables",
    [
        '{PASSWORD_MIN_LENGTH: "12"}',
        '{MAX_TOKENS: "100"}',
        '{TOKEN_LIFETIME_SECONDS: "3600"}',
        '{PASSWORDLESS_LOGIN: "on"}',
        '{TOKENIZER_MODEL: "m"}',
        '{DB_SECRET_ARN: "arn"}',
        '{API_KEY_ENABLED: "true"}',
    ],
)
def test_what_only_sounds_like_a_secret_is_not_refused(folder: Path, variables: str) -> None:
    """Or nobody could write it."""
    assert problems_after(folder, "alpha", '{SIGN_UP: "open"}', variables) == []


@pytest.mark.parametrize("variables", ['{DB_PASS: "hunter2x"}', '{STRIPE_SECRET: "abcdefgh"}', '{ACCESS_TOKEN: "abcdefgh"}', '{X: "-----BEGIN RSA PRIVATE KEY-----"}'])
def test_what_is_a_secret_is(folder: Path, variables: str) -> None:
    """By its name or by its value."""
    assert problems_after(folder, "alpha", '{SIGN_UP: "open"}', variables)


def test_a_rule_that_would_never_be_asked_is_told() -> None:
    """A path behind its host's catch-all, and one host on two balancers."""
    specs = all_services()
    behind = {**specs, "payments": replace(specs["payments"], balancer=FrontDoorRoute(priority=250, path="/payments"))}
    assert any("never be asked" in told for _, told in rules.routes(behind))
    apart = {**specs, "payments": replace(specs["payments"], host="socket")}
    assert any("one balancer only" in told for _, told in rules.routes(apart))
    assert list(rules.routes(specs)) == []


@pytest.mark.parametrize(("key", "value"), [("100xglobal:environment", "hello"), ("aws:allowedAccountIds", "x"), ("100xglobal:services", "[1]")])
def test_a_value_of_the_wrong_shape_is_told_by_the_program_too(key: str, value: str) -> None:
    """Without a traceback; with all other problems."""
    import runpy

    import pulumi

    with pytest.raises(pulumi.RunError, match="nothing was created or changed"):
        run_mocked(lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"), stack="alpha", config={**config_of("alpha"), key: value})


@pytest.mark.parametrize("word", ["hunter2", "AKIAIOSFODNN7EXAMPLE"])
def test_a_secret_is_refused_and_not_repeated(folder: Path, word: str) -> None:
    """The message goes into logs."""
    problems = problems_after(folder, "alpha", '{SIGN_UP: "open"}', f'{{API_KEY: "{word}", OTHER_TOKEN: 7}}')
    assert len(problems) == 2 or len(problems) == 1
    assert not any(word in str(problem) for problem in problems)


def test_every_problem_is_told_at_once(folder: Path) -> None:
    """In all files together, each with the line that it stands in."""
    for stack in STACKS:
        path = folder / f"Pulumi.{stack}.yaml"
        path.write_text(path.read_text(encoding="utf-8").replace("instance_type:", "instance_typ:").replace("nat:", "gnat:"), encoding="utf-8")
    problems = check_folder(folder, all_services())[1]
    assert {problem.file for problem in problems} == {f"Pulumi.{stack}.yaml" for stack in STACKS}
    assert len([problem for problem in problems if problem.path.endswith("instance_typ")]) == 18
    for problem in problems:
        if problem.path.endswith("instance_typ"):
            line = (folder / problem.file).read_text(encoding="utf-8").splitlines()[problem.line - 1]
            assert line.strip().startswith("instance_typ:")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"# only a comment\n", "is empty"),
        (b"[]\n", "must be a map"),
        (b"config: text\n", "must be a map with the keys"),
        (b"\xff\xfe\x00", "is not UTF-8"),
        (b"x" * 5_000_000, "5,000,000 bytes"),
        (b"config: {a: {" * 5000, "is not YAML"),
        (b"config: " + b"[" * 100 + b"]" * 100 + b"\n", "nested too deeply"),
        (b"a: &a [1]\nb: *a\nconfig: {}\n", "anchor or an alias"),
        (b"config: !!python/name:os.system ''\n", "has the tag"),
        (b"? [1, 2]\n: x\n", "not a plain word"),
        (b"config:\n  aws:region: us-east-1\n---\nconfig: {}\n", "is not YAML"),
        (b"%YAML 9.9\n---\nconfig: {}\n", ""),
        (b"config: \x00\n", "is not YAML"),
    ],
)
def test_a_file_that_is_none_is_told(folder: Path, content: bytes, told: str) -> None:
    """Whatever is in it."""
    (folder / "Pulumi.alpha.yaml").write_bytes(content)
    problems = [problem for problem in check_folder(folder, all_services())[1] if problem.file == "Pulumi.alpha.yaml"]
    assert any(told in problem.message for problem in problems), problems


def test_line_ends_of_windows_and_a_byte_order_mark_are_no_problem(folder: Path) -> None:
    """Editors write them."""
    path = folder / "Pulumi.alpha.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert check_folder(folder, all_services())[1] == []


yaml_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=300) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_no_text_ends_in_a_traceback(text: str) -> None:
    """Reading a file finds problems or values, and raises nothing."""
    document = parse("Pulumi.alpha.yaml", text)
    assert document.problems or isinstance(document.values, dict)


PATHS = [path.replace("<name>", "members") for path in reference.all_fields()]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), value=yaml_values)
def test_no_value_ends_in_a_traceback(folder: Path, path: str, value: Any) -> None:
    """Any value at any place is right, or told."""
    config = config_of("alpha")
    steps = path.split(".")
    at: Any = config
    for step in [f"100xglobal:{steps[0]}", *steps[1:-1]]:
        at = at.setdefault(step, {}) if isinstance(at, dict) else {}
    if isinstance(at, dict):
        at[steps[-1]] = value
    writer = YAML()
    with (folder / "Pulumi.alpha.yaml").open("w", encoding="utf-8") as file:
        writer.dump({"config": config}, file)
    found, problems = check_folder(folder, all_services())
    assert "alpha" in found or problems
    assert all(str(problem) for problem in problems)


# --- release and sizing


def leaf_fields(model: type[BaseModel]) -> set[str]:
    """Return the names of a model's own fields."""
    return set(model.model_fields)


def test_a_field_is_in_release_or_in_sizing_and_never_in_both() -> None:
    """So that it is clear of each whether it is promoted."""
    assert leaf_fields(Service) == {"enabled", "release", "sizing"}
    assert not leaf_fields(Release) & leaf_fields(Sizing)
    notes = {path: note for path, (_, note) in reference.all_fields().items() if path.startswith("services.<name>.")}
    for path, note in notes.items():
        part = path.split(".")[2]
        assert note.startswith({"release": "moves", "sizing": "stays", "enabled": ""}[part]), path


def test_promoting_a_release_leaves_sizing_alone() -> None:
    """Alpha's release of each service in beta: beta's sizes stay, to the field."""
    alpha, beta = (check_folder(ROOT, all_services())[0][stack] for stack in ("alpha", "beta"))
    for name, service in beta.services.items():
        promoted = service.model_copy(update={"release": alpha.services[name].release})
        assert promoted.sizing == service.sizing
        assert promoted.release == alpha.services[name].release
        assert isinstance(promoted, Service)
    assert isinstance(beta, Settings)


# --- reference


def test_the_schema_is_current() -> None:
    """Editors use the committed one."""
    assert (ROOT / reference.SCHEMA_FILE).read_text(encoding="utf-8") == reference.schema_text(), "run ./infra schema"


@pytest.mark.parametrize("stack", STACKS)
def test_each_file_names_its_schema(stack: str) -> None:
    """In its first line, where editors look."""
    first = (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == f"# yaml-language-server: $schema={reference.SCHEMA_FILE}"


def test_every_field_can_be_explained() -> None:
    """Type, default and where it stands."""
    for path, (field, _) in reference.all_fields().items():
        text = reference.explain(path)
        assert re.search(r"^  type +\S", text, re.MULTILINE), path
        assert re.search(r"^  default +\S", text, re.MULTILINE), path
        assert field.description or "Has" not in text


def test_a_field_that_is_none_names_the_nearest() -> None:
    """Typing errors are told."""
    with pytest.raises(reference.UnknownFieldError, match=re.escape("services.<name>.release.image")):
        reference.explain("services.members.release.imag")


def test_problems_are_annotations_for_github_and_json_for_tools() -> None:
    """One line each, whatever the message holds."""
    problem = Problem("Pulumi.beta.yaml", 7, 3, "environment.domain", "100% wrong\nindeed")
    assert annotation(problem) == "::error file=Pulumi.beta.yaml,line=7,col=3::environment.domain: 100%25 wrong%0Aindeed"


# --- what the guides say


def test_staging_is_added_by_adding_its_file(folder: Path) -> None:
    """docs/new-environment.md: a copy of the example is an environment, restored from prod's snapshots."""
    shutil.copy(ROOT / "docs" / "examples" / "Pulumi.staging.yaml", folder)
    found, problems = check_folder(folder, all_services())
    assert problems == []
    assert not (ROOT / "Pulumi.staging.yaml").exists()
    databases = {name: service.sizing.database for name, service in found["staging"].enabled_services().items() if service.sizing.database}
    assert {name: database.restore.snapshot.rsplit(":", 1)[-1] for name, database in databases.items() if database.restore} == {
        name: f"{name}-for-staging" for name in ("core", "members", "payments", "email")
    }


def program_copy(folder: Path) -> Path:
    """Return a copy of the program, without its tools."""
    for name in ("components", "services", "settings", "foundation"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "__main__.py", folder)
    return folder


def run_copy(folder: Path, stack: str) -> dict[str, dict[str, Any]]:
    """Run a copy of the program in a process of its own; return the inputs of what it registers, by URN."""
    import subprocess
    import sys

    code = f"""
import json, runpy, sys
sys.path.insert(0, {str(folder)!r}); sys.path.append({str(ROOT)!r})
from ruamel.yaml import YAML
from tests.unit.mocked import run
config = dict(YAML(typ="safe").load(open({str(folder / f"Pulumi.{stack}.yaml")!r}))["config"])
result = run(lambda: runpy.run_path({str(folder / "__main__.py")!r}, run_name="__main__"), stack={stack!r}, config=config)
print(json.dumps({{urn: resource.inputs for urn, resource in result.resources.items()}}, sort_keys=True, default=str))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    out: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return out


def test_a_service_is_added_by_one_file_and_one_block(folder: Path) -> None:
    """docs/new-service.md: what is there stays to the byte, switched on it has all that a service has, and nothing of another changes."""
    program_copy(folder)
    before_text = {stack: (folder / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8") for stack in STACKS}
    before = run_copy(folder, "alpha")
    written = scaffold.new_service("reports", list(STACKS), folder, [100, 200, 301, 400], sorted(all_services()))
    assert sorted(path.name for path in written) == ["Pulumi.alpha.yaml", "Pulumi.beta.yaml", "Pulumi.prod.yaml", "reports.py"]
    for stack in STACKS:
        assert (folder / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8").startswith(before_text[stack])
    assert run_copy(folder, "alpha") == before, "a service that is switched off makes nothing"
    alpha = folder / "Pulumi.alpha.yaml"
    alpha.write_text(alpha.read_text(encoding="utf-8").replace("    reports:\n      enabled: false", "    reports:\n      enabled: true"), encoding="utf-8")
    after = run_copy(folder, "alpha")
    assert {urn: inputs for urn, inputs in after.items() if urn in before} == before
    new = {urn.rsplit("::", 1)[-1] for urn in after if urn not in before}
    assert {"reports", "reports-database-instance", "reports-servers-group", "reports-servers-rule", "reports-record-a"} <= new
    assert all(name.startswith("reports") for name in new)


@pytest.mark.parametrize(
    ("name", "environments", "told"),
    [("Reports", ["alpha"], "cannot be a service"), ("averylongname", ["alpha"], "at most 11"), ("core", ["alpha"], "already"), ("x", ["gamma"], "there is no Pulumi.gamma.yaml")],
)
def test_a_service_that_cannot_be_is_not_written(folder: Path, name: str, environments: list[str], told: str) -> None:
    """All or nothing."""
    (folder / "services").mkdir()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(scaffold.CannotWriteError, match=told):
        scaffold.new_service(name, environments, folder, [], sorted(all_services()))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_canary_is_found_nowhere(folder: Path) -> None:
    """A secret that was written into a file by mistake is in no output, and no resource is registered with it."""
    import runpy

    import pulumi

    canary = "canary-4711-hunter2"
    path = folder / "Pulumi.alpha.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace('{SIGN_UP: "open"}', f'{{ADMIN_PASSWORD: "{canary}"}}'), encoding="utf-8")
    problems = check_folder(folder, all_services())[1]
    assert problems
    assert canary not in "\n".join(map(str, problems)) + json.dumps([problem.message for problem in problems])
    config = config_of("alpha")
    config["100xglobal:services"]["members"]["release"]["environment_variables"] = {"ADMIN_PASSWORD": canary}
    with pytest.raises(pulumi.RunError) as raised:
        run_mocked(lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"), stack="alpha", config=config)
    assert canary not in str(raised.value)
    assert "looks like a secret" in str(raised.value)
