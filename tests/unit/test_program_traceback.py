"""What the language host reports of an exception."""

from pathlib import Path

from sandbox.engine.language_host import program_traceback


def test_exceptions_that_cause_each_other_are_reported(tmp_path: Path) -> None:
    """Pulumi's SDK raises such exceptions if a resource fails with `--continue-on-error`."""
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert program_traceback(first, tmp_path).endswith("ValueError: first")
