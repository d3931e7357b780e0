"""The documents: what they say about the repository is true."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from cli import component_docs, docs_lint
from cli.app import app
from cli.docs_lint import Kind
from cli.exit_codes import ExitCode
from release.findings import Rule
from services import all_services
from tests.unit.conftest import ROOT

# Rendered while tests are collected, because it parses Python (see TREES in test_architecture.py).
COMPONENT_REFERENCE = component_docs.render(ROOT)
DOCUMENT = """\
# Title

A [link](docs/other.md#other-a-heading), [another](docs/missing.md), the [web](https://example.com/none).
The [second](docs/other.md#same-1), the [third](docs/other.md#same-2), [here](#title), [not here](#missing).

A paragraph that begins here
and names `./infra release-hold` and `./infra unhold`, `services/absent.py`, `services/members.py`, `services/NAME.py`.

    ./infra up alpha --diff                  # comments and options of Pulumi are allowed
    ./infra approve beta --reason "two words" --days 3
    ./infra status --quick
    python3 -m benchmarks.absent; python3 -m benchmarks.preview
"""
PROGRAM = """\
message = f"To retry:\\n  ./infra up {environment}{backend.suffix}"
message = f"  ./infra promote {service} --into {target}"
# ./infra is mentioned, and is not followed by a command
"""


def rules_in(tree: ast.Module) -> Iterator[tuple[str, str, str]]:
    """Yield (name, docstring, source) of each rule in a module. The emulator's modules need packages of their own."""
    constants: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            constants[ast.unparse(node.targets[0])] = str(node.value.value)
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            source = next(keyword.value for keyword in getattr(decorator, "keywords", ()) if keyword.arg == "source")
            text = ast.unparse(source).strip("f'\"")
            for name, value in constants.items():
                text = text.replace(f"{{{name}}}", value)
            yield node.name, ast.get_docstring(node) or "", text


def test_the_table_of_patches_matches_the_source() -> None:
    """docs/emulator.md lists every patch of the emulator with its docstring, and no other patch."""
    files = sorted((ROOT / "sandbox" / "emulator" / "patches").glob("*.py"))
    source = "\n".join(file.read_text(encoding="utf-8") for file in files)
    patches = re.findall(r'^@gap\ndef (\w+)\(\) -> None:\n    """(.*?)"""', source, re.MULTILINE | re.DOTALL)
    assert len(patches) == source.count("\n@gap\n") > 15
    text = (ROOT / "docs" / "emulator.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `(\w+)` \| ([^|]*) \|$", text, re.MULTILINE)
    assert table == [(name, " ".join(docstring.split())) for name, docstring in patches]


# Parsed while tests are collected, see test_architecture.py.
RULES = [
    row
    for file in sorted((ROOT / "sandbox" / "emulator" / "rules").glob("*.py"))
    for row in rules_in(ast.parse(file.read_text(encoding="utf-8")))
]


def test_the_table_of_rules_matches_the_source() -> None:
    """docs/emulator.md lists every rule of the emulator with its docstring and its source, and no other rule."""
    text = (ROOT / "docs" / "emulator.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `(\w+)` \| ([^|]*) \| \[source\]\((.*)\) \|$", text, re.MULTILINE)
    assert table == RULES
    assert len(RULES) > 20


def test_documents_and_messages_name_only_what_exists() -> None:
    """Every link, anchor, file and command that a document or a message names exists."""
    assert docs_lint.dead_references(ROOT) == []


def test_dead_references_are_found(tmp_path: Path) -> None:
    """Each kind of dead reference is reported with its line; what exists, and placeholders, are not."""
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "members.py").touch()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "other.md").write_text("# Other: a `heading`\n\n# Same\n\n# Same\n", encoding="utf-8")
    (tmp_path / "README.md").write_text(DOCUMENT, encoding="utf-8")
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    found = docs_lint.dead_references(tmp_path)
    assert [(item.file, item.line, item.kind, item.target) for item in found] == [
        ("README.md", 3, Kind.FILE, "docs/missing.md"),
        ("README.md", 4, Kind.ANCHOR, "#missing"),
        ("README.md", 4, Kind.ANCHOR, "docs/other.md#same-2"),
        ("README.md", 7, Kind.COMMAND, "./infra release-hold"),
        ("README.md", 7, Kind.FILE, "services/absent.py"),
        ("README.md", 11, Kind.COMMAND, "./infra status --quick"),
        ("README.md", 12, Kind.MODULE, "benchmarks.absent"),
        ("program.py", 2, Kind.COMMAND, "./infra promote VALUE --into VALUE"),
    ]


def test_the_reference_of_components_is_up_to_date() -> None:
    """docs/components.md is what `./infra docs` writes."""
    text = (ROOT / component_docs.FILE).read_text(encoding="utf-8")
    assert text == COMPONENT_REFERENCE, "run ./infra docs"


def commands(command: Any, path: str) -> Iterator[str]:
    """Yield the commands of the command line, such as `./infra sandbox stop`. Any: typer's own classes are private."""
    children = getattr(command, "commands", {})
    for name, child in children.items():
        yield from commands(child, f"{path} {name}")
    if not children:
        yield path


def test_every_command_is_documented() -> None:
    """Every command of the command line appears in at least one document."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in docs_lint.files(ROOT, docs_lint.DOCUMENTS))
    undocumented = [path for path in commands(typer.main.get_command(app), "./infra") if path not in text]
    assert undocumented == []


def test_every_rule_and_exit_code_is_documented() -> None:
    """docs/promotion.md describes every rule of the gate, and every exit code of the commands that deploy."""
    text = (ROOT / "docs" / "promotion.md").read_text(encoding="utf-8")
    gate = text[text.index("### What nobody can approve") : text.index("### Approvals")]
    assert re.findall(r"^\| `([a-z-]+)` \|", gate, re.MULTILINE) == list(Rule)
    codes = [code for code in ExitCode if code not in {ExitCode.INCOMPLETE_TEST_RUN, ExitCode.INTERRUPTED}]
    assert re.findall(r"^\| (\d+) \|", text, re.MULTILINE) == [str(code.value) for code in codes]


def test_every_service_has_owners() -> None:
    """A service's team approves changes to its spec, and the journal of its releases."""
    owners = (ROOT / ".github" / "CODEOWNERS").read_text(encoding="utf-8")
    for service in all_services():
        assert re.search(rf"^/services/{service.replace('-', '_')}\.py +@", owners, re.MULTILINE), service
        assert re.search(rf"^/releases/{service}/ +@", owners, re.MULTILINE), service


def test_no_path_or_registry_of_a_machine_is_committed() -> None:
    """Locked requirements name no host."""
    for name in ("requirements.txt", "requirements-dev.txt", "sandbox/emulator/requirements.txt"):
        assert "://" not in (ROOT / name).read_text(encoding="utf-8")
    assert "/root/" not in (ROOT / "README.md").read_text(encoding="utf-8")
    assert Path(ROOT / ".ci" / "run").read_text(encoding="utf-8").count("./infra") == 2
