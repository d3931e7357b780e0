"""Files stay true: what the documents say is what is there."""

import re
from pathlib import Path

from tests.unit.conftest import ROOT


def test_every_patch_of_the_emulator_is_listed() -> None:
    """With what it closes."""
    text = (ROOT / "docs" / "emulator.md").read_text(encoding="utf-8")
    source = (ROOT / "sandbox" / "emulator" / "patches.py").read_text(encoding="utf-8")
    gaps = re.findall(r'^@gap\ndef (\w+)\(\) -> None:\n    """(.*?)"""', source, re.MULTILINE | re.DOTALL)
    assert len(gaps) == source.count("\n@gap\n") > 15
    for name, closes in gaps:
        assert f"| `{name}` | {' '.join(closes.split())} |" in text, name


def test_links_lead_somewhere() -> None:
    """Of the README and the documents."""
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_verb_that_a_document_names_is_one() -> None:
    """./infra WORD."""
    from cli.app import app

    verbs = {command.name or (command.callback.__name__ if command.callback else "") for command in app.registered_commands} | {group.name for group in app.registered_groups}
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for verb in re.findall(r"\./infra ([a-z][a-z-]*)", document.read_text(encoding="utf-8")):
            assert verb in verbs, f"{document.name}: ./infra {verb}"


def test_no_path_or_registry_of_a_machine_is_committed() -> None:
    """Locked requirements name no host."""
    for name in ("requirements.txt", "requirements-dev.txt", "sandbox/emulator/requirements.txt"):
        assert "://" not in (ROOT / name).read_text(encoding="utf-8")
    assert "/root/" not in (ROOT / "README.md").read_text(encoding="utf-8")
    assert Path(ROOT / ".ci" / "run").read_text(encoding="utf-8").count("./infra") == 2
