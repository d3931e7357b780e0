"""The guard that keeps stacks of the sandbox away from real AWS."""

import pulumi
import pytest

from foundation.guard import is_sandbox_stack_on_real_aws, refuse_sandbox_stack_on_real_aws


@pytest.mark.parametrize(
    ("backend", "home", "endpoint", "refused"),
    [
        ("file:///x/.sandbox/state", "/x/.sandbox/home", "http://127.0.0.1:4566", False),
        ("file:///x/.sandbox/state", "/x/.sandbox/home", "", True),
        ("file:///x/.sandbox/state", "", "https://ec2.amazonaws.com", True),
        ("", "/x/.sandbox/home", "", True),
        ("file:///my%20work/.sandbox/state", "", "http://localhost:1", False),
        ("s3://state", "", "", False),
        ("", "", "", False),
    ],
)
def test_a_stack_of_the_sandbox_never_runs_against_real_aws(
    backend: str, home: str, endpoint: str, *, refused: bool
) -> None:
    """It needs the emulator's endpoint, and a stack that is not in the sandbox needs nothing of it."""
    assert is_sandbox_stack_on_real_aws(backend, home, endpoint) is refused


def test_the_program_stops_before_it_creates_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox stack without the emulator's endpoint raises RunError, which Pulumi shows without a traceback."""
    monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///x/.sandbox/state")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://ec2.amazonaws.com")
    with pytest.raises(pulumi.RunError):
        refuse_sandbox_stack_on_real_aws()
