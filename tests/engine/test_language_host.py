"""What the language host passes on."""

from pathlib import Path

import pytest

from sandbox.session import Session
from tests.engine.lab import Lab


@pytest.fixture
def lab(session: Session, tmp_path: Path) -> Lab:
    """Return an empty project."""
    made = Lab(session, tmp_path)
    made.write("")
    made.init()
    return made


def test_prints_and_outputs_arrive(lab: Lab) -> None:
    """What a program prints is shown, what it exports is an output."""
    lab.write("""
        import pulumi
        print("printed by the program")
        pulumi.export("answer", 42)
    """)
    assert "printed by the program" in lab.up()
    assert lab.pulumi("stack", "output", "answer").stdout.strip() == "42"


def test_a_traceback_shows_the_programs_own_lines(lab: Lab) -> None:
    """And no frame of pulumi, grpc or runpy."""
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


def test_an_error_in_a_value_shows_the_programs_own_lines(lab: Lab) -> None:
    """Such an error reaches the host after the program's last line."""
    lab.write("""
        import pulumi

        def spoil(value):
            raise ValueError("spoiled in an apply")

        class Part(pulumi.ComponentResource):
            def __init__(self):
                super().__init__("lab:index:Part", "part")
                self.register_outputs({"x": pulumi.Output.from_input(1).apply(spoil)})
        Part()
    """)
    done = lab.pulumi("preview")
    assert done.returncode != 0
    assert "spoiled in an apply" in done.stdout
    assert "site-packages" not in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("raise pulumi.RunError('no such thing; write another')", "no such thing; write another"),
        ("sys.exit('stopped by the program')", "stopped by the program"),
        ("sys.exit(3)", "exit code 3"),
    ],
)
def test_a_programs_end_is_told_without_a_traceback(lab: Lab, statement: str, told: str) -> None:
    """RunError and sys.exit are not accidents."""
    lab.write(f"""
        import sys, pulumi
        {statement}
    """)
    done = lab.pulumi("preview")
    assert done.returncode != 0
    assert told in done.stdout
    assert "Traceback" not in done.stdout


def test_exit_code_zero_is_a_good_end(lab: Lab) -> None:
    """sys.exit(0) ends a program well."""
    lab.write("import sys; sys.exit(0)")
    assert lab.pulumi("preview").returncode == 0


def test_a_secret_of_the_configuration_stays_secret(lab: Lab) -> None:
    """Neither shown nor in the state in the clear."""
    lab.write("")
    assert lab.pulumi("config", "set", "--secret", "word", "hunter2-canary").returncode == 0
    (lab.folder / "__main__.py").write_text("import pulumi\npulumi.export('word', pulumi.Config().require_secret('word'))\n", encoding="utf-8")
    assert "hunter2-canary" not in lab.up()
    assert "[secret]" in lab.pulumi("stack", "output").stdout
    state = "".join(path.read_text(encoding="utf-8") for path in lab.session.paths.state.rglob("test.json*") if lab.name in str(path))
    assert "hunter2-canary" not in state
    assert lab.pulumi("stack", "output", "--show-secrets", "word").stdout.strip() == "hunter2-canary"


def test_a_plugin_in_python_runs_and_its_output_and_exit_code_arrive(lab: Lab) -> None:
    """RunPlugin: what a policy pack needs. The pack here refuses to start, and says so."""
    pack = lab.folder / "pack"
    pack.mkdir()
    (pack / "PulumiPolicy.yaml").write_text("runtime: python\nversion: 0.0.1\n", encoding="utf-8")
    (pack / "__main__.py").write_text("import sys\nprint('the pack ran', file=sys.stderr)\nsys.exit(7)\n", encoding="utf-8")
    lab.write("")
    done = lab.pulumi("preview", "--policy-pack", str(pack))
    assert done.returncode != 0
    assert "the pack ran" in done.stdout


def test_state_is_readable_by_its_owner_only(lab: Lab) -> None:
    """State may hold what is private."""
    lab.write("import pulumi; pulumi.export('x', 1)")
    # As ./infra runs it: Session.run sets the umask.
    assert lab.session.run(["up", "--yes", "--skip-preview", "--stack", "test", "--cwd", str(lab.folder)], "test") == 0
    files = [path for path in lab.session.paths.state.rglob("*.json") if lab.name in str(path) and path.is_file()]
    assert files
    fresh = max(files, key=lambda path: path.stat().st_mtime)
    assert fresh.stat().st_mode & 0o077 == 0, fresh


def test_debug_messages_are_shown_where_they_are_asked_for(lab: Lab) -> None:
    """And cost nothing where they are not."""
    lab.write("import pulumi; pulumi.log.debug('seen while debugging'); pulumi.log.info('always seen')")
    quiet, loud = lab.pulumi("preview").stdout, lab.pulumi("preview", "--debug").stdout
    assert "always seen" in quiet
    assert "seen while debugging" not in quiet
    assert "seen while debugging" in loud


def test_the_first_of_many_failing_values_ends_the_run(lab: Lab) -> None:
    """However many others are still waited for."""
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


def test_a_policy_pack_refuses_and_lets_pass(lab: Lab) -> None:
    """One of pulumi_policy, by the language host's RunPlugin."""
    pack = lab.folder / "pack"
    pack.mkdir()
    (pack / "PulumiPolicy.yaml").write_text("runtime: python\nversion: 0.0.1\n", encoding="utf-8")
    (pack / "__main__.py").write_text(
        "from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy\n"
        "def tagged(args, report):\n"
        "    if args.resource_type == 'aws:sns/topic:Topic' and not args.props.get('tags'):\n"
        "        report('a topic has no tags')\n"
        "PolicyPack('lab', policies=[ResourceValidationPolicy(name='tagged', description='Topics have tags.', enforcement_level=EnforcementLevel.MANDATORY, validate=tagged)])\n",
        encoding="utf-8",
    )
    program = "from pulumi_aws.sns.topic import Topic; Topic('a', tags={tags})"
    lab.write(program.replace("{tags}", "{}"))
    refused = lab.pulumi("preview", "--policy-pack", str(pack))
    assert refused.returncode != 0
    assert "a topic has no tags" in refused.stdout, refused.stdout
    lab.write(program.replace("{tags}", "{'A': 'b'}"))
    passed = lab.pulumi("preview", "--policy-pack", str(pack))
    assert passed.returncode == 0, passed.stdout
    assert "a topic has no tags" not in passed.stdout
