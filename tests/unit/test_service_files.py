"""The files in services/: every mistake in one is a problem with a file and a line, never a traceback."""

import importlib
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pydantic import ValidationError
from syrupy.assertion import SnapshotAssertion

import cli.check
from cli.check import check
from cli.exit_codes import ExitCode
from mocks.aws import run
from services import all_services
from settings.problems import Problem, Rule, SettingsError
from settings.service_files import read_services
from settings.service_spec import Cdn, DedicatedLoadBalancer, DedicatedNetworkLoadBalancer, SharedLoadBalancerRule
from tests.unit.conftest import ROOT, config_of

IMPORTS = "from settings.service_spec import Cdn, ServiceSpec, SharedLoadBalancerRule\n\n"
SPEC = """SERVICE = ServiceSpec(
    name="chat",
    host="chat",
    balancer=SharedLoadBalancerRule(priority=450),
)
"""
GOOD = IMPORTS + SPEC
# Each mistake, and the line that it is reported at.
BROKEN = {
    "a misspelled argument": (GOOD.replace("    host=", "    hots="), 3),
    "a missing argument": (GOOD.replace('    host="chat",\n', ""), 3),
    "an argument without a name": (GOOD.replace("(priority=450)", "(450)"), 6),
    "a wrong type": (GOOD.replace("450", '"450"'), 6),
    "a text for a bool": (GOOD.replace("450),", '450),\n    has_database="no",'), 3),
    "another object as load balancer": (GOOD.replace("SharedLoadBalancerRule(priority=450)", "450"), 3),
    "a host of two labels": (GOOD.replace('host="chat"', 'host="a..b"'), 3),
    "a host in upper case": (GOOD.replace('host="chat"', 'host="Chat"'), 3),
    "an empty host of a CDN": (GOOD.replace("450),", '450),\n    cdn=Cdn(host="", server_access="read"),'), 7),
    "an unknown access": (GOOD.replace("450),", '450),\n    cdn=Cdn(host="files", server_access="write"),'), 7),
    "a priority that AWS does not allow": (GOOD.replace("450", "0"), 6),
    "a path without a slash": (GOOD.replace("450", '450, path="chat"'), 6),
    "a path for everything": (GOOD.replace("450", '450, path="/"'), 6),
    "a pattern as a path": (GOOD.replace("450", '450, path="/cha*"'), 6),
    "TLS on a port that does not exist": (
        GOOD.replace("Cdn", "DedicatedNetworkLoadBalancer").replace(
            "SharedLoadBalancerRule(priority=450)", "DedicatedNetworkLoadBalancer(ports=(25,), tls_ports=(465,))"
        ),
        6,
    ),
    "a syntax error": (GOOD.replace("450),", "450,"), 3),
    "a misspelled name": (GOOD.replace("=Shared", "=Sharde"), 6),
    "a misspelled import": (GOOD.replace("import Cdn", "import Cnd"), 1),
    "an unknown module": (f"import chats\n{GOOD}", 1),
    "no service": (IMPORTS, 1),
    "something else as service": (f"{IMPORTS}SERVICE = {{}}\n", 1),
    "the name of another file": (GOOD.replace('name="chat"', 'name="talk"'), 1),
    "an exception": (f"{GOOD}\nraise ValueError('no chat today')\n", 9),
    "the end of the program": (f"{GOOD}\nimport sys\nsys.exit(0)\n", 10),
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty package `chats_of_a_test`, whose modules are forgotten afterwards."""
    folder = tmp_path / "chats_of_a_test"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == folder.name]:
        del sys.modules[name]


def problems_of(package: Path) -> list[Problem]:
    """Return the problems of a package's files."""
    importlib.invalidate_caches()
    with pytest.raises(SettingsError) as raised:
        read_services(package.name, [str(package)])
    return raised.value.problems


def test_a_valid_file_defines_a_service(package: Path) -> None:
    """Its name, with a hyphen for each underscore, is that of the file."""
    (package / "live_chat.py").write_text(GOOD.replace('name="chat"', 'name="live-chat"'), encoding="utf-8")
    importlib.invalidate_caches()
    specs = read_services(package.name, [str(package)])
    assert [(name, spec.host) for name, spec in specs.items()] == [("live-chat", "chat")]


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_mistake_is_reported_with_its_line(package: Path, mistake: str, snapshot: SnapshotAssertion) -> None:
    """The snapshots show what each message says."""
    text, line = BROKEN[mistake]
    (package / "chat.py").write_text(text, encoding="utf-8")
    (problem,) = problems_of(package)
    assert (problem.file, problem.line) == (f"{package.name}/chat.py", line)
    assert problem.rule is Rule.BROKEN_SERVICE_FILE
    assert f"{problem.path}: {problem.message}" == snapshot


def test_all_files_and_arguments_are_reported_at_once(package: Path) -> None:
    """A file with two wrong arguments, and a second broken file."""
    (package / "chat.py").write_text(GOOD.replace('host="chat"', 'host="-", port=70000'), encoding="utf-8")
    (package / "talk.py").write_text("def", encoding="utf-8")
    assert [(problem.file.rpartition("/")[2], problem.path) for problem in problems_of(package)] == [
        ("chat.py", "host"),
        ("chat.py", "port"),
        ("talk.py", ""),
    ]


def test_an_interrupt_is_no_problem_of_a_file(package: Path) -> None:
    """Ctrl-C while the files are read still ends the command."""
    (package / "chat.py").write_text("raise KeyboardInterrupt", encoding="utf-8")
    importlib.invalidate_caches()
    with pytest.raises(KeyboardInterrupt):
        read_services(package.name, [str(package)])


@pytest.mark.parametrize(
    "make",
    [
        lambda: DedicatedNetworkLoadBalancer(ports=()),
        lambda: DedicatedNetworkLoadBalancer(ports=(25, 25)),
        lambda: DedicatedNetworkLoadBalancer(ports=(70_000,)),
        lambda: DedicatedNetworkLoadBalancer(ports=tuple(range(1, 52))),
        lambda: DedicatedLoadBalancer(deregistration_delay_seconds=3601),
        lambda: SharedLoadBalancerRule(priority=50_001),
        lambda: SharedLoadBalancerRule(priority=1, path=f"/{'a' * 126}"),
        lambda: SharedLoadBalancerRule(priority=1, path="/a/"),
        lambda: Cdn(host="a" * 64, server_access="read"),
        lambda: Cdn(host="*", server_access="read"),
    ],
)
def test_what_aws_or_dns_would_refuse_cannot_be_written(make: Any) -> None:
    """The value is refused where it is written. Any: pytest does not keep the types of lambdas."""
    with pytest.raises(ValidationError):
        make()


@pytest.fixture
def broken_services(monkeypatch: pytest.MonkeyPatch) -> Problem:
    """Make all_services fail as if a file were broken, and return the problem."""
    problem = Problem("services/chat.py", 5, 1, "host", "'a..b' is not a single DNS label.", Rule.BROKEN_SERVICE_FILE)

    def fail() -> None:
        raise SettingsError([problem])

    monkeypatch.setattr(cli.check, "all_services", fail)
    monkeypatch.setattr("services.all_services", fail)
    return problem


def test_check_reports_broken_files(broken_services: Problem, capsys: pytest.CaptureFixture[str]) -> None:
    """Only they are reported: the environments would be checked against services that are not known."""
    assert check(ROOT, "text") == ExitCode.FAILED
    assert capsys.readouterr().err == f"{broken_services}\n1 problem in the files of 3 environments\n"


def test_an_update_stops_before_anything_is_registered(broken_services: Problem) -> None:
    """Pulumi shows a RunError without a traceback. Without the error, it would delete every service."""
    with pytest.raises(pulumi.RunError, match=re.escape(str(broken_services))):
        run(
            lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"),
            stack="alpha",
            config=config_of("alpha"),
        )


def test_the_services_of_this_repository_are_valid() -> None:
    """Every file defines a service with the name of the file."""
    names = {path.stem.replace("_", "-") for path in (ROOT / "services").glob("*.py")} - {"--init--"}
    assert set(all_services()) == names
