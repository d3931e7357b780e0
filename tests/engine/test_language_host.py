"""The sandbox's Python language host: what it passes on to the engine, and how it reports errors."""

from pathlib import Path

import pytest

from sandbox.session import Session
from tests.engine.lab import Lab

POLICY_PACK_PROJECT = "runtime: python\nversion: 0.0.1\n"
FAILING_PACK = "import sys\nprint('the pack ran', file=sys.stderr)\nsys.exit(7)\n"
TAG_PACK = """\
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

def require_tags(args, report):
    if args.resource_type == "aws:sns/topic:Topic" and not args.props.get("tags"):
        report("a topic has no tags")

policy = ResourceValidationPolicy(
    name="tagged",
    description="Topics have tags.",
    enforcement_level=EnforcementLevel.MANDATORY,
    validate=require_tags,
)
PolicyPack("lab", policies=[policy])
"""


@pytest.fixture
def lab(session: Session, tmp_path: Path) -> Lab:
    """Return an empty project."""
    lab = Lab(session, tmp_path)
    lab.write("")
    lab.init()
    return lab


def write_policy_pack(lab: Lab, program: str) -> Path:
    """Write a policy pack into the project's folder and return its folder."""
    folder = lab.folder / "pack"
    folder.mkdir()
    (folder / "PulumiPolicy.yaml").write_text(POLICY_PACK_PROJECT, encoding="utf-8")
    (folder / "__main__.py").write_text(program, encoding="utf-8")
    return folder


def test_printed_text_and_outputs_reach_the_engine(lab: Lab) -> None:
    """The engine shows what a program prints, and stores what it exports as an output."""
    lab.write("""
        import pulumi
        print("printed by the program")
        pulumi.export("answer", 42)
    """)
    assert "printed by the program" in lab.up()
    assert lab.pulumi("stack", "output", "answer").stdout.strip() == "42"


# --- errors


def test_a_traceback_contains_only_the_programs_own_lines(lab: Lab) -> None:
    """The traceback of an unhandled exception has no frames of pulumi, grpc, runpy or the language host."""
    (lab.folder / "helper.py").write_text("def divide(x):\n    return 1 / x\n", encoding="utf-8")
    lab.write("""
        from helper import divide
        divide(0)
    """)
    done = lab.pulumi("preview")
    assert done.returncode != 0
    assert "helper.py" in done.stdout
    assert "ZeroDivisionError: division by zero" in done.stdout
    for foreign in ("site-packages", "runpy", "language_host.py", "grpc"):
        assert foreign not in done.stdout, done.stdout


def test_the_traceback_of_an_error_in_an_output_contains_only_the_programs_own_lines(lab: Lab) -> None:
    """An error in a function that was passed to `apply` is reported too, although it happens after the last line."""
    lab.write("""
        import pulumi

        def fail(value):
            raise ValueError("failed in an apply")

        class Part(pulumi.ComponentResource):
            def __init__(self):
                super().__init__("lab:index:Part", "part")
                self.register_outputs({"x": pulumi.Output.from_input(1).apply(fail)})
        Part()
    """)
    done = lab.pulumi("preview")
    assert done.returncode != 0
    assert "failed in an apply" in done.stdout
    assert "site-packages" not in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("raise pulumi.RunError('no such thing; write another')", "no such thing; write another"),
        ("sys.exit('stopped by the program')", "stopped by the program"),
        ("sys.exit(3)", "exited with code 3"),
    ],
)
def test_a_deliberate_failure_is_reported_without_a_traceback(lab: Lab, statement: str, message: str) -> None:
    """A RunError or a call of sys.exit fails the run with its own message only."""
    lab.write(f"""
        import sys, pulumi
        {statement}
    """)
    done = lab.pulumi("preview")
    assert done.returncode != 0
    assert message in done.stdout
    assert "Traceback" not in done.stdout


def test_exit_code_zero_is_success(lab: Lab) -> None:
    """A program that calls sys.exit(0) succeeds."""
    lab.write("import sys; sys.exit(0)")
    assert lab.pulumi("preview").returncode == 0


def test_the_first_of_many_outputs_that_fails_ends_the_run(lab: Lab) -> None:
    """The run ends with the error of one output, although the others are not known yet."""
    lab.write("""
        import asyncio
        import pulumi

        async def later(value):
            await asyncio.sleep(value / 100)
            if value == 3:
                raise ValueError("the fourth of fifty")
            return value

        for value in range(50):
            pulumi.Output.from_input(later(value)).apply(lambda known: known)
    """)
    done = lab.pulumi("preview")
    assert done.returncode != 0
    assert "the fourth of fifty" in done.stdout


# --- privacy and debug messages


def test_a_secret_in_the_configuration_stays_secret(lab: Lab) -> None:
    """A secret is neither shown nor stored as plain text."""
    lab.write("")
    assert lab.pulumi("config", "set", "--secret", "word", "hunter2-canary").returncode == 0
    (lab.folder / "__main__.py").write_text(
        "import pulumi\npulumi.export('word', pulumi.Config().require_secret('word'))\n", encoding="utf-8"
    )
    assert "hunter2-canary" not in lab.up()
    assert "[secret]" in lab.pulumi("stack", "output").stdout
    state = "".join(
        path.read_text(encoding="utf-8")
        for path in lab.session.paths.state.rglob("test.json*")
        if lab.name in str(path)
    )
    assert "hunter2-canary" not in state
    assert lab.pulumi("stack", "output", "--show-secrets", "word").stdout.strip() == "hunter2-canary"


def test_only_its_owner_can_read_the_state(lab: Lab) -> None:
    """State can contain private data, so that the newest state file has no permissions for others."""
    lab.write("import pulumi; pulumi.export('x', 1)")
    # Session.run, which ./infra uses, sets the umask.
    assert lab.session.run(["up", "--yes", "--skip-preview", "--stack", "test", "--cwd", str(lab.folder)], "test") == 0
    files = [path for path in lab.session.paths.state.rglob("*.json") if lab.name in str(path) and path.is_file()]
    assert files
    newest = max(files, key=lambda path: path.stat().st_mtime)
    assert newest.stat().st_mode & 0o077 == 0, newest


def test_debug_messages_appear_only_with_debug(lab: Lab) -> None:
    """Debug messages are shown with `--debug`; other messages are always shown."""
    lab.write("import pulumi; pulumi.log.debug('a debug message'); pulumi.log.info('an info message')")
    quiet, verbose = lab.pulumi("preview").stdout, lab.pulumi("preview", "--debug").stdout
    assert "an info message" in quiet
    assert "a debug message" not in quiet
    assert "a debug message" in verbose


# --- policy packs


def test_the_output_and_exit_code_of_a_python_plugin_reach_the_engine(lab: Lab) -> None:
    """A policy pack that exits with an error fails the preview, which shows what the pack printed."""
    pack = write_policy_pack(lab, FAILING_PACK)
    lab.write("")
    done = lab.pulumi("preview", "--policy-pack", str(pack))
    assert done.returncode != 0
    assert "the pack ran" in done.stdout


@pytest.mark.parametrize(("tags", "is_allowed"), [({}, False), ({"A": "b"}, True)])
def test_a_policy_pack_rejects_only_violations(lab: Lab, tags: dict[str, str], *, is_allowed: bool) -> None:
    """A policy of pulumi_policy fails the preview of a resource that violates it, and no other."""
    pack = write_policy_pack(lab, TAG_PACK)
    lab.write(f"from pulumi_aws.sns.topic import Topic; Topic('a', tags={tags})")
    done = lab.pulumi("preview", "--policy-pack", str(pack))
    assert (done.returncode == 0) is is_allowed, done.stdout
    assert ("a topic has no tags" in done.stdout) is not is_allowed, done.stdout
