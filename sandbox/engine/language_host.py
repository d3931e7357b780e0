"""pulumi-language-python for an engine that comes without one, on the server that pulumi.automation ships.

The engine starts it as `pulumi-language-python ENGINE_ADDRESS`, reads its port from the first line of standard output,
and from then on shows what it prints. It runs the program in its own process, once a run.
"""

import asyncio
import contextlib
import contextvars
import gc
import logging
import os
import queue
import runpy
import signal
import subprocess
import sys
import threading
import time
import traceback
import types
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
import pulumi
from pulumi.automation._server import LanguageServer
from pulumi.runtime import reset_options, run_in_stack, set_all_config, stack
from pulumi.runtime.proto import engine_pb2, language_pb2, language_pb2_grpc
from pulumi.runtime.settings import SETTINGS

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Host(LanguageServer):
    """The language runtime of one engine. `Any` below: pulumi's generated messages have no exported types."""

    def __init__(self, engine_address: str) -> None:
        """Keep the engine's address, which a request does not always repeat."""
        super().__init__(program=lambda: None)
        self.engine_address = engine_address

    def Run(self, request: Any, _context: Any) -> Any:  # noqa: N802 the protocol's name
        """Run the program; what it raises becomes the run's error."""
        folder = Path(request.info.program_directory or request.pwd)
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        stale = os.environ.get("INFRA_SANDBOX_STALE_CHECK") and stale_stack_file(Path.cwd(), request.stack)
        if stale:
            return language_pb2.RunResponse(error=stale)
        entry = folder / (request.info.entry_point or ".")
        return contextvars.copy_context().run(self.run_once, request, entry)

    def run_once(self, request: Any, entry: Path) -> Any:
        """Connect to the engine, run the program, wait for what it registered; any failure is told once."""
        reset_options(
            project=request.project,
            stack=request.stack,
            organization=request.organization or "organization",
            monitor_address=request.monitor_address,
            engine_address=request.args[0] if request.args else self.engine_address,
            parallel=request.parallel,
            preview=request.dryRun,
        )
        if not debug_is_shown():
            SETTINGS.engine = WithoutDebug(SETTINGS.engine)
        set_all_config(dict(request.config), list(request.configSecretKeys))
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # a failed registration is told below; its tasks need not be
        loop = asyncio.new_event_loop()
        loop.set_default_executor(futures.ThreadPoolExecutor(max_workers=max(request.parallel, 1) * 4))
        message = ""
        try:
            loop.run_until_complete(run_in_stack(lambda: run_program(entry)))
        except BaseException as error:  # noqa: BLE001 whatever ends a program must reach the engine
            message = failure_of(error, Path.cwd())
        finally:
            for task in asyncio.all_tasks(loop):
                task.cancel()
                with contextlib.suppress(BaseException):
                    loop.run_until_complete(task)
            loop.close()
            sys.stdout.flush()
            sys.stderr.flush()
        if message:
            pulumi.log.error(message)
        return language_pb2.RunResponse(error=message)

    def RunPlugin(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802 the protocol's name
        """Run a policy pack (kind `analyzer`) or another plugin written in Python; pass on its output and exit code."""
        folder = request.info.program_directory
        module = "pulumi.policy" if (request.kind or "analyzer") == "analyzer" else "pulumi.run.plugin"
        environment = dict(pair.split("=", 1) for pair in request.env if "=" in pair) or None
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", module, *request.args[:1], folder, *request.args[1:]],
            env=environment,
            cwd=request.pwd or None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        context.add_callback(process.kill)
        messages: queue.Queue[Any] = queue.Queue()

        def forward(stream: Any, field: str) -> None:
            for chunk in iter(lambda: stream.read1(65536), b""):
                messages.put(language_pb2.RunPluginResponse(**{field: chunk}))
            messages.put(None)

        for stream, field in ((process.stdout, "stdout"), (process.stderr, "stderr")):
            threading.Thread(target=forward, args=(stream, field), daemon=True).start()
        open_streams = 2
        while open_streams:
            message = messages.get()
            if message is None:
                open_streams -= 1
            else:
                yield message
        yield language_pb2.RunPluginResponse(exitcode=process.wait())


class WithoutDebug:
    """The engine, but for debug messages that it would not show: four a resource, each waited for, are half a second of a preview."""

    def __init__(self, engine: Any) -> None:
        """Wrap the engine's stub."""
        self.engine = engine

    def __getattr__(self, name: str) -> Any:
        """Return everything else as the engine has it."""
        return getattr(self.engine, name)

    def Log(self, request: Any) -> Any:  # noqa: N802 the protocol's name
        """Pass a message on, unless it is one for debugging."""
        return None if request.severity == engine_pb2.DEBUG else self.engine.Log(request)


def debug_is_shown() -> bool:
    """Tell whether the engine was started to show debug messages, from its command line: no request says it."""
    done = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(os.getppid())], capture_output=True, text=True, check=False)
    options = done.stdout.split()
    return not options or any(option in {"-d", "--logtostderr"} or option.startswith("--debug") for option in options) or "PULUMI_OPTION_DEBUG" in os.environ


class WaitingOnce(types.ModuleType):
    """asyncio as `pulumi.runtime.stack` sees it: the SDK's wait for all outputs, without beginning again after each of them.

    The SDK waits for the first of some thousand tasks, then for the first of the rest, which is quadratic: a fifth of a
    preview's processor time. Waiting for all of them, or the first that fails, ends with the same result and the same error.
    """

    def __init__(self) -> None:
        """Be asyncio, but for `wait`."""
        super().__init__("asyncio")
        self.__dict__.update(vars(asyncio))
        self.wait = self.wait_once

    @staticmethod
    async def wait_once(tasks: Any, *, return_when: str) -> Any:
        """Wait for all tasks, or the first that fails."""
        return await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION if return_when == asyncio.FIRST_COMPLETED else return_when)


def run_program(entry: Path) -> None:
    """Run the program's entry point as `__main__`. What it imports stays for the whole run: the collector need not look at it."""
    gc.disable()
    try:
        runpy.run_path(str(entry), run_name="__main__")
    finally:
        gc.freeze()
        gc.enable()


def failure_of(error: BaseException, folder: Path) -> str:
    """Return what to tell of a program's end; empty where it ended well, or the engine is already going away."""
    if isinstance(error, SystemExit):
        return "" if error.code in {None, 0} else f"the program ended with exit code {error.code}" if isinstance(error.code, int) else str(error.code)
    if isinstance(error, pulumi.RunError):
        return str(error)
    if isinstance(error, grpc.RpcError):
        # The monitor is gone when the engine has stopped the run: it has said why.
        return "" if error.code() == grpc.StatusCode.UNAVAILABLE else f"the engine refused: {error.details()}"
    return user_traceback(error, folder)


def user_traceback(error: BaseException, folder: Path) -> str:
    """Return a traceback cut to the program's own files: the frames of runpy, pulumi and grpc tell its author nothing."""
    origin = error
    while origin.__cause__ is not None:
        origin = origin.__cause__
    frames = [frame for frame in traceback.extract_tb(cut(origin.__traceback__, folder)) if is_own(frame.filename, folder)]
    text = "".join(traceback.format_list(frames) + traceback.format_exception_only(error)).rstrip()
    return "Program failed with an unhandled exception:\n" + (f"Traceback (most recent call last):\n{text}" if frames else text)


def cut(trace: TracebackType | None, folder: Path) -> TracebackType | None:
    """Drop the frames above the program's first."""
    while trace is not None and not is_own(trace.tb_frame.f_code.co_filename, folder):
        trace = trace.tb_next
    return trace


def is_own(file: str, folder: Path) -> bool:
    """Tell whether a file is the program's, not a package's."""
    path = Path(file)
    return path.is_relative_to(folder) and ".venv" not in path.parts and "site-packages" not in path.parts


def stale_stack_file(folder: Path, stack: str) -> str:
    """Return what is wrong when Pulumi.STACK.yaml changed after the sandbox took its copy, which is what this run would use."""
    original = folder / f"Pulumi.{stack}.yaml"
    copy = Path(os.environ["INFRA_SANDBOX_STALE_CHECK"]) / original.name
    if not original.exists() or not copy.exists() or copy.stat().st_mtime >= original.stat().st_mtime:
        return ""
    return f"{original.name} changed after `./infra env` was read: this run would use the old one. Run `./infra env` again, or use `./infra pulumi ...`."


def main() -> None:
    """Serve the engine until it says stop."""
    gc.set_threshold(200_000, 50, 50)  # a run makes much and drops little: collecting by the defaults took a fifth of a preview
    stack.asyncio = WaitingOnce()  # type: ignore[attr-defined] # the module's import, which it does not export
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=UNLIMITED)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(Host(sys.argv[-1]), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)  # noqa: T201 the protocol's handshake
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    parent = os.getppid()
    while os.getppid() == parent:  # an engine that was killed does not say stop
        time.sleep(1)
    os._exit(0)


if __name__ == "__main__":
    main()
