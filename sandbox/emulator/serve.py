"""Serves the emulator on an inherited socket. Runs in the emulator's own virtual environment, not in .venv.

    python -m sandbox.emulator.serve LISTENING_FILE_DESCRIPTOR IDLE_SECONDS

The parent process binds the socket, so that no other process can take the port in between. A write is on disk before it
is answered, so that every resource that Pulumi knows about still exists after a crash. If an SDK repeats a call because
the response was lost, it gets that response again.
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

from sandbox.emulator import patches, rules

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

READ_METHODS = {"GET", "HEAD", "OPTIONS"}
READ_ACTION = re.compile(r"^(Describe|List|Get|Lookup|Search|Batch(Get|Describe)|Head|Query|Scan|Simulate|Filter)")
QUERY_ACTION = re.compile(rb"(?:^|&)Action=(\w+)")
IDLE_CHECK_SECONDS = 30


class StateWriter:
    """Saves the services' state to disk. One save covers every write that waits for it."""

    def __init__(self) -> None:
        """Start without knowing what is on disk."""
        self.saved_texts: dict[str, str] = {}
        self.requested_saves = self.completed_saves = 0
        self.lock = asyncio.Lock()

    async def flush(self) -> None:
        """Return once everything that has happened so far is on disk."""
        self.requested_saves += 1
        own_save = self.requested_saves
        async with self.lock:
            if self.completed_saves >= own_save:
                return
            covered = self.requested_saves
            self.save()
            self.completed_saves = covered

    def save(self) -> None:
        """Write the state of each service whose state has changed."""
        folder = Path(persistence.STATE_DIR)
        folder.mkdir(parents=True, exist_ok=True)
        for service, get_state in ministack_app._build_persistence_save_dict().items():
            state = get_state()
            if state is None:
                continue
            text = json.dumps(
                {"__ministack_format__": persistence._state_format_version(service), "payload": state},
                default=persistence._json_default,
            )
            if self.saved_texts.get(service) == text:
                continue
            temporary = folder / f"{service}.json.tmp"
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(folder / f"{service}.json")
            self.saved_texts[service] = text


class ResponseCache:
    """The responses to the most recent writes, by the id of the call, which stays the same when the SDK repeats a call.

    An SDK repeats a call if it did not receive the response. AWS accepts most repeated calls; the emulator would answer
    that the resource "already exists", and an `up` would fail occasionally.
    """

    CAPACITY = 1000

    def __init__(self) -> None:
        """Start empty."""
        self.responses: collections.OrderedDict[str, asyncio.Future[list[Message]]] = collections.OrderedDict()

    def begin(self, call: str) -> "asyncio.Future[list[Message]]":
        """Record that a call is being answered. The caller sets the result: the response; empty if the call failed."""
        self.responses[call] = asyncio.get_running_loop().create_future()
        while len(self.responses) > self.CAPACITY:
            self.responses.popitem(last=False)
        return self.responses[call]

    async def earlier(self, call: str) -> list[Message]:
        """Return the response to an earlier attempt, once it is complete; empty if it failed or there was none."""
        return await asyncio.shield(self.responses[call]) if call in self.responses else []


class DurableWrites:
    """ASGI middleware: answers a write only when it is on disk, and a repeated call with its first response."""

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        """Wrap an application."""
        self.app = app
        self.state, self.responses = StateWriter(), ResponseCache()
        self.last_request = time.monotonic()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self.last_request = time.monotonic()
        call = header(scope, b"amz-sdk-invocation-id")
        earlier = await self.responses.earlier(call)
        if earlier:
            await repeat_response(earlier, scope, receive, send)
            return
        response = self.responses.begin(call) if call else None
        messages: list[Message] = []
        try:
            await self.serve(scope, receive, send, messages)
        finally:
            if response:
                response.set_result(messages if is_success(messages) else [])

    async def serve(self, scope: Message, receive: Receive, send: Send, messages: list[Message]) -> None:
        """Let the application answer. messages: collects the response to a write."""
        action = json_action(scope)

        async def receive_and_peek() -> Message:
            nonlocal action
            message = await receive()
            if not action and (match := QUERY_ACTION.search(message.get("body", b"") or b"")):
                action = match[1].decode()
            return message

        async def send_when_saved(message: Message) -> None:
            if scope["method"] not in READ_METHODS and not READ_ACTION.match(action):
                if message["type"] == "http.response.start":
                    await self.state.flush()
                messages.append(message)
            await send(message)

        await self.app(scope, receive_and_peek, send_when_saved)


async def repeat_response(messages: list[Message], scope: Message, receive: Receive, send: Send) -> None:
    """Read a request that the SDK repeats, and send it the response to its first attempt."""
    while (await receive()).get("more_body"):
        pass
    attempt = header(scope, b"amz-sdk-request")
    sys.stderr.write(f"repeated a response: {scope['method']} {scope['path']} {json_action(scope)} ({attempt})\n")
    for message in messages:
        await send(message)


def is_success(messages: list[Message]) -> bool:
    """Tell whether a response has the status of a success."""
    return bool(messages) and messages[0].get("status", HTTPStatus.BAD_REQUEST) < HTTPStatus.BAD_REQUEST


def json_action(scope: Message) -> str:
    """Return the action that the JSON protocol names in a header; the Query protocol names it in the body instead."""
    return header(scope, b"x-amz-target").rsplit(".", 1)[-1]


def header(scope: Message, name: bytes) -> str:
    """Return a request header, or an empty string."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name), "")


async def main(descriptor: int, idle_seconds: float) -> None:
    """Serve until SIGTERM or SIGINT, or until there was no request for idle_seconds."""
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.loglevel = "WARNING"
    app = DurableWrites(ministack_app.app)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    async def stop_when_idle() -> None:
        while time.monotonic() - app.last_request < idle_seconds:  # noqa: ASYNC110 it watches a clock, not an event
            await asyncio.sleep(IDLE_CHECK_SECONDS)
        stop.set()

    watcher = asyncio.create_task(stop_when_idle())
    await hypercorn_serve(app, config, shutdown_trigger=stop.wait)
    watcher.cancel()


if __name__ == "__main__":
    os.umask(0o077)
    patches.apply()
    rules.apply()
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
