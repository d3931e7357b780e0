"""Requests that AWS refuses: the emulator refuses them with the same error, and accepts their right counterparts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator import process as emulator
from sandbox.paths import Paths
from tests.engine.aws_requests import databases, identity, network, servers, state, storage
from tests.engine.aws_requests.account import Account

TABLES = (state, network, servers, databases, identity, storage)
REQUESTS = {name: entry for table in TABLES for name, entry in table.REQUESTS.items()}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paths]:
    """Return the folders of an emulator of its own."""
    paths = Paths(tmp_path_factory.mktemp("rules") / "sandbox")
    paths.create()
    try:
        yield paths
    finally:
        emulator.stop(paths)


@pytest.fixture(scope="module")
def account(paths: Paths) -> Account:
    """Return an account in that emulator."""
    return Account(emulator.ensure(paths).endpoint)


@pytest.mark.parametrize("name", REQUESTS)
def test_what_aws_refuses_is_refused(account: Account, name: str) -> None:
    """The error has AWS's code."""
    request, code, _ = REQUESTS[name]
    with pytest.raises(ClientError) as error:
        request(account)
    assert error.value.response["Error"]["Code"] == code, error.value


@pytest.mark.parametrize("name", [name for name, (_, _, right) in REQUESTS.items() if right])
def test_what_aws_accepts_is_accepted(account: Account, name: str) -> None:
    """A similar request without the mistake."""
    *_, right = REQUESTS[name]
    assert right is not None
    right(account)


def test_closed_connections_are_not_kept(account: Account, paths: Paths) -> None:
    """However many clients come and go, the emulator does not run out of files."""
    process = emulator.find(paths)
    assert process
    folder = Path(f"/proc/{process.pid}/fd")
    before = len(list(folder.iterdir()))
    for _ in range(50):
        account.client("sts").get_caller_identity()
    assert len(list(folder.iterdir())) < before + 25
