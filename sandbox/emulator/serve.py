"""Serves the emulated AWS on an inherited socket. Runs in the emulator's own environment, not in .venv.

    python -m sandbox.emulator.serve LISTENING_FILE_DESCRIPTOR IDLE_SECONDS

The socket is bound by the parent, so that nobody can take the port in between. A write is on disk before it is answered:
what Pulumi was told exists still exists after a crash. A call that an SDK sends again gets the answer that was lost.
"""

import asyncio
import collections
import json
import os
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from ministack import app as ministack_app
from ministack.core import persistence

from sandbox.emulator import patches

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

READ_METHODS = {"GET", "HEAD", "OPTIONS"}
READ_ACTION = re.compile(r"^(Describe|List|Get|Lookup|Search|Batch(Get|Describe)|Head|Query|Scan|Simulate|Filter)")
QUERY_ACTION = re.compile(rb"(?:^|&)Action=(\w+)")
IDLE_CHECK_SECONDS = 30


class Ledger:
    """Keeps the services' state on disk: one save covers every write that waits for it."""

    def __init__(self) -> None:
        """Start with nothing saved."""
        self.saved: dict[str, str] = {}
        self.wanted, self.done = 0, 0
        self.changed = asyncio.Condition()

    async def flush(self) -> None:
        """Return once everything that has happened by now is on disk."""
        self.wanted += 1
        mine = self.wanted
        async with self.changed:
            if self.done >= mine:
                return
            covered = self.wanted
            self.save()
            self.done = max(self.done, covered)

    def save(self) -> None:
        """Write the state of each service that has changed."""
        folder = Path(persistence.STATE_DIR)
        folder.mkdir(parents=True, exist_ok=True)
        for service, get_state in ministack_app._build_persistence_save_dict().items():
            state = get_state()
            if state is None:
                continue
            text = json.dumps({"__ministack_format__": persistence._state_format_version(service), "payload": state}, default=persistence._json_default)
            if self.saved.get(service) == text:
                continue
            temporary = folder / f"{service}.json.tmp"
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(folder / f"{service}.json")
            self.saved[service] = text


class Answers:
    """What was answered to the last writes, by the SDK's number of the call, which a second attempt at it repeats.

    An SDK sends a call again when it did not get the answer. AWS takes most such calls twice; the emulator would say that what
    it has just made "already exists", and an `up` would fail of it now and then.
    """

    KEPT = 1000

    def __init__(self) -> None:
        """Start with none."""
        self.given: collections.OrderedDict[str, asyncio.Future[list[Message]]] = collections.OrderedDict()

    def begin(self, call: str) -> "asyncio.Future[list[Message]]":
        """Note that a call is being answered."""
        self.given[call] = asyncio.get_running_loop().create_future()
        while len(self.given) > self.KEPT:
            self.given.popitem(last=False)
        return self.given[call]

    async def earlier(self, call: str) -> list[Message]:
        """Return what an earlier attempt at a call was answered, waiting for it where it is under way; empty where it failed or there was none."""
        return await asyncio.shield(self.given[call]) if call in self.given else []


class Durable:
    """ASGI middleware: holds the answer to a write until the write is on disk, and notes when it was last asked anything."""

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        """Wrap an application."""
        self.app, self.ledger, self.answers, self.last_request = app, Ledger(), Answers(), time.monotonic()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self.last_request = time.monotonic()
        action, call = header(scope, b"x-amz-target").rsplit(".", 1)[-1], header(scope, b"amz-sdk-invocation-id")
        again = await self.answers.earlier(call)
        if again:
            while (await receive()).get("more_body"):
                pass
            sys.stderr.write(f"answered again: {scope['method']} {scope['path']} {action} ({header(scope, b'amz-sdk-request')})\n")
            for message in again:
                await send(message)
            return
        answered, sent = self.answers.begin(call) if call else None, list[Message]()

        async def peeking_receive() -> Message:
            nonlocal action
            message = await receive()
            if not action and (found := QUERY_ACTION.search(message.get("body", b"") or b"")):
                action = found[1].decode()
            return message

        async def durable_send(message: Message) -> None:
            is_write = scope["method"] not in READ_METHODS and not READ_ACTION.match(action)
            if message["type"] == "http.response.start" and is_write:
                await self.ledger.flush()
            if is_write:
                sent.append(message)
            await send(message)

        try:
            await self.app(scope, peeking_receive, durable_send)
        finally:
            if answered:
                answered.set_result(sent if sent and sent[0].get("status", HTTPStatus.BAD_REQUEST) < HTTPStatus.BAD_REQUEST else [])


def header(scope: Message, name: bytes) -> str:
    """Return a request header, or an empty text."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name), "")


async def main(descriptor: int, idle_seconds: float) -> None:
    """Serve until told to stop, or until nobody has asked anything for idle_seconds."""
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.loglevel = "WARNING"
    app = Durable(ministack_app.app)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    async def watch_idle() -> None:
        while time.monotonic() - app.last_request < idle_seconds:  # noqa: ASYNC110 a clock is watched, not an event
            await asyncio.sleep(IDLE_CHECK_SECONDS)
        stop.set()

    watcher = asyncio.create_task(watch_idle())
    await hypercorn_serve(app, config, shutdown_trigger=stop.wait)
    watcher.cancel()


if __name__ == "__main__":
    os.umask(0o077)
    patches.apply()
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
