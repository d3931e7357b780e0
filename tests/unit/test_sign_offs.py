"""Sign-offs: files that accept one finding of the gate for one resource until a date."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from cli.exit_codes import ExitCode
from cli.sign_off import sign_off
from release import gate, journal, sign_offs
from release.findings import Finding, Rule
from release.sign_offs import SignOffError
from tests.unit.release_builders import MEMBERS, NOW, child_urn, replace_clock

URN = child_urn(MEMBERS, "aws:rds/instance:Instance", "members-db")
INVALID_FILES = {
    "no reason": f"- {{urn: '{URN}', rule: data, by: kim, expires: 2026-12-01}}",
    "an unknown rule": f"- {{urn: '{URN}', rule: date, reason: x, by: kim, expires: 2026-12-01}}",
    "a rule that cannot be signed off": f"- {{urn: '{URN}', rule: pending, reason: x, by: kim, expires: 2026-12-01}}",
    "a rule that is a list": f"- {{urn: '{URN}', rule: [data], reason: x, by: kim, expires: 2026-12-01}}",
    "no date": f"- {{urn: '{URN}', rule: data, reason: x, by: kim, expires: soon}}",
    "no URN": "- {urn: members-db, rule: data, reason: x, by: kim, expires: 2026-12-01}",
    "no map": "- just words",
    "no YAML": "- {urn: [",
}


@pytest.fixture(autouse=True)
def fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every test run at NOW."""
    replace_clock(monkeypatch)


def write_file(folder: Path, text: str) -> None:
    """Write a sign-off by hand."""
    (folder / sign_offs.FOLDER).mkdir(parents=True)
    (folder / sign_offs.FOLDER / "x.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", INVALID_FILES)
def test_an_invalid_file_is_refused(tmp_path: Path, name: str, snapshot: SnapshotAssertion) -> None:
    """The error names the file and what is wrong with it."""
    write_file(tmp_path, INVALID_FILES[name])
    with pytest.raises(SignOffError) as error:
        sign_offs.read(tmp_path, "beta")
    assert str(error.value) == snapshot


def test_old_files_are_still_read(tmp_path: Path) -> None:
    """Before November 2026, the rule `not-promoted` was called `record`."""
    write_file(tmp_path, f"urn: '{MEMBERS}'\nrule: record\nreason: r\nby: kim\nexpires: 2026-12-01\n")
    (read,) = sign_offs.read(tmp_path, "beta")
    assert (read.urn, read.rule, read.expires) == (MEMBERS, Rule.NOT_PROMOTED, date(2026, 12, 1))


def test_the_command_writes_a_sign_off_that_the_gate_accepts(tmp_path: Path) -> None:
    """Its file counts for its own stack only, and is no event of the journal."""
    assert sign_off(tmp_path, URN, "data", "restored copy", 3) == ExitCode.SUCCESS
    (written,) = sign_offs.read(tmp_path, "beta")
    assert (written.urn, written.rule, written.reason) == (URN, Rule.DATA, "restored copy")
    assert written.expires == NOW.date() + timedelta(days=3)
    assert sign_offs.read(tmp_path, "prod") == []
    assert journal.read(tmp_path) == []
    finding = Finding(Rule.DATA, URN, "would be lost", "members", "replace")
    assert gate.evaluate([finding], [written], NOW.date(), set()).passed


@pytest.mark.parametrize(
    ("urn", "rule", "reason"),
    [(URN, "data", " "), (URN, "held", "again"), ("members-db", "data", "again"), (URN, "data", "again")],
    ids=["no reason", "a rule that cannot be signed off", "no URN", "the file exists"],
)
def test_the_command_refuses_an_invalid_sign_off(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    snapshot: SnapshotAssertion,
    *,
    urn: str,
    rule: str,
    reason: str,
) -> None:
    """It exits with 1 and writes nothing."""
    assert sign_off(tmp_path, URN, "data", "restored copy", 3) == ExitCode.SUCCESS
    before = sign_offs.read(tmp_path, "beta")
    assert sign_off(tmp_path, urn, rule, reason, 3) == ExitCode.FAILED
    assert sign_offs.read(tmp_path, "beta") == before
    assert capsys.readouterr().err == snapshot
