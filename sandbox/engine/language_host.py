"""A replacement for pulumi-language-python, based on the language server that is part of pulumi.automation.

The engine starts it as `pulumi-language-python ENGINE_ADDRESS`, reads its port from the first line of its standard
output, and shows everything that it prints after that. The host runs the program in its own process, once per run.
Pulumi's generated messages have no exported types, hence `Any`.
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

UNLIMITED_MESSAGES = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
# A run creates many objects and drops few, so that collecting them at Python's default thresholds takes a fifth of the
# time of a preview, as measured.
GC_THRESHOLDS = (200_000, 50, 50)
REQUEST_THREADS = 4  # the engine sends few requests, and only one of them runs the program
THREADS_PER_OPERATION = 4  # of the SDK's blocking calls to the engine
PLUGIN_CHUNK_BYTES = 65536
PARENT_CHECK_SECONDS = 1


class LanguageHost(LanguageServer):
    """The language runtime of one engine."""

    def __init__(self, engine_address: str) -> None:
        """Keep the engine's address, which is not in every request."""
        super().__init__(program=lambda: None)
        self.engine_address = engine_address

    def Run(self, request: Any, _context: Any) -> Any:  # noqa: N802 the protocol's name
        """Run the program. If it fails, the reply contains the error."""
        folder = Path(request.info.program_directory or request.pwd)
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        copies = os.environ.get("INFRA_SANDBOX_STALE_CHECK")
        error = outdated_copy_error(Path.cwd(), Path(copies), request.stack) if copies else ""
        if error:
            return language_pb2.RunResponse(error=error)
        entry_point = folder / (request.info.entry_point or ".")
        return contextvars.copy_context().run(self.run_once, request, entry_point)

    def run_once(self, request: Any, entry_point: Path) -> Any:
        """Connect to the engine, run the program, and wait until all its resources are registered."""
        self.configure_sdk(request)
        loop = asyncio.new_event_loop()
        threads = max(request.parallel, 1) * THREADS_PER_OPERATION
        loop.set_default_executor(futures.ThreadPoolExecutor(max_workers=threads))
        message = ""
        try:
            loop.run_until_complete(run_in_stack(lambda: run_program(entry_point)))
        except BaseException as error:  # noqa: BLE001 the engine must learn of everything that ends a program
            message = error_message(error, Path.cwd())
        finally:
            cancel_tasks(loop)
            loop.close()
            sys.stdout.flush()
            sys.stderr.flush()
        if message:
            pulumi.log.error(message)
        return language_pb2.RunResponse(error=message)

    def configure_sdk(self, request: Any) -> None:
        """Connect Pulumi's SDK to the engine, with the settings and the configuration of this run."""
        reset_options(
            project=request.project,
            stack=request.stack,
            organization=request.organization or "organization",
            monitor_address=request.monitor_address,
            engine_address=request.args[0] if request.args else self.engine_address,
            parallel=request.parallel,
            preview=request.dryRun,
        )
        if not engine_shows_debug_messages():
            SETTINGS.engine = EngineWithoutDebugMessages(SETTINGS.engine)
        set_all_config(dict(request.config), list(request.configSecretKeys))
        # asyncio would log each task that a failed registration takes down; run_once reports the failure itself.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)

    def RunPlugin(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802 the protocol's name
        """Run a policy pack (kind `analyzer`) or another plugin written in Python. Yields its output and exit code."""
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
        yield from output_of(process)
        yield language_pb2.RunPluginResponse(exitcode=process.wait())


def cancel_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel the tasks that a program left behind. Their errors are ignored: the run's own error is already known."""
    for task in asyncio.all_tasks(loop):
        task.cancel()
        with contextlib.suppress(BaseException):
            loop.run_until_complete(task)


def output_of(process: "subprocess.Popen[bytes]") -> Iterator[Any]:
    """Yield what a plugin prints, as messages of the protocol, until it has closed both of its streams."""
    messages: queue.Queue[Any] = queue.Queue()
    streams = {"stdout": process.stdout, "stderr": process.stderr}

    def forward(stream: Any, field: str) -> None:
        for chunk in iter(lambda: stream.read1(PLUGIN_CHUNK_BYTES), b""):
            messages.put(language_pb2.RunPluginResponse(**{field: chunk}))
        messages.put(None)

    for field, stream in streams.items():
        threading.Thread(target=forward, args=(stream, field), daemon=True).start()
    for _ in streams:
        yield from iter(messages.get, None)


# --- less work per run


class EngineWithoutDebugMessages:
    """The engine's stub without the debug messages that the engine would not show.

    The SDK sends four per resource and waits for each of them, which takes half a second of a preview.
    """

    def __init__(self, engine: Any) -> None:
        """Wrap the engine's stub."""
        self.engine = engine

    def __getattr__(self, name: str) -> Any:
        """Return everything else from the stub."""
        return getattr(self.engine, name)

    def Log(self, request: Any) -> Any:  # noqa: N802 the protocol's name
        """Send a message to the engine, unless it is a debug message."""
        return None if request.severity == engine_pb2.DEBUG else self.engine.Log(request)


def engine_shows_debug_messages() -> bool:
    """Tell whether the engine shows debug messages. Its command line says so, and no request does."""
    done = subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", str(os.getppid())], capture_output=True, text=True, check=False
    )
    options = done.stdout.split()
    return (
        not options
        or any(option in {"-d", "--logtostderr"} or option.startswith("--debug") for option in options)
        or "PULUMI_OPTION_DEBUG" in os.environ
    )


class AsyncioWithSingleWait(types.ModuleType):
    """The asyncio module for `pulumi.runtime.stack`, which waits for all outputs of a program.

    The SDK waits for the first of some thousand tasks, then for the first of the rest, and so on. That is quadratic and
    takes a fifth of a preview's processor time. One wait for all tasks, or for the first that fails, has the same
    result and the same error.
    """

    def __init__(self) -> None:
        """Copy everything from asyncio except `wait`."""
        super().__init__("asyncio")
        self.__dict__.update(vars(asyncio))
        self.wait = self.wait_for_all

    @staticmethod
    async def wait_for_all(tasks: Any, *, return_when: str) -> Any:
        """Wait until all tasks are done or one of them fails."""
        if return_when == asyncio.FIRST_COMPLETED:
            return_when = asyncio.FIRST_EXCEPTION
        return await asyncio.wait(tasks, return_when=return_when)


def run_program(entry_point: Path) -> None:
    """Run the program's entry point as `__main__`.

    Garbage collection waits until the program has been loaded. It then ignores the imported modules, which live until
    the end of the run.
    """
    gc.disable()
    try:
        runpy.run_path(str(entry_point), run_name="__main__")
    finally:
        gc.freeze()
        gc.enable()


# --- errors


def error_message(error: BaseException, folder: Path) -> str:
    """Return what to report when a program ends with an exception; empty if it succeeded or the engine stopped it."""
    if isinstance(error, SystemExit):
        if error.code in {None, 0}:
            return ""
        return f"the program exited with code {error.code}" if isinstance(error.code, int) else str(error.code)
    if isinstance(error, pulumi.RunError):
        return str(error)
    if isinstance(error, grpc.RpcError):
        # The engine cannot be reached after it has stopped the run, and it has then reported the reason itself.
        if error.code() == grpc.StatusCode.UNAVAILABLE:
            return ""
        return f"the engine rejected a request: {error.details()}"
    return program_traceback(error, folder)


def program_traceback(error: BaseException, folder: Path) -> str:
    """Return an exception's traceback with only the program's own files, without those of runpy, pulumi and grpc."""
    origin, seen = error, [error]
    while origin.__cause__ is not None and origin.__cause__ not in seen:  # the SDK raises errors that cause each other
        origin = origin.__cause__
        seen.append(origin)
    start = first_program_frame(origin.__traceback__, folder)
    frames = [frame for frame in traceback.extract_tb(start) if is_program_file(frame.filename, folder)]
    text = "".join(traceback.format_list(frames) + traceback.format_exception_only(error)).rstrip()
    heading = "Traceback (most recent call last):\n" if frames else ""
    return f"Program failed with an unhandled exception:\n{heading}{text}"


def first_program_frame(trace: TracebackType | None, folder: Path) -> TracebackType | None:
    """Return a traceback from the first frame of the program onwards."""
    while trace is not None and not is_program_file(trace.tb_frame.f_code.co_filename, folder):
        trace = trace.tb_next
    return trace


def is_program_file(file: str, folder: Path) -> bool:
    """Tell whether a file belongs to the program and not to an installed package."""
    path = Path(file)
    return path.is_relative_to(folder) and ".venv" not in path.parts and "site-packages" not in path.parts


def outdated_copy_error(folder: Path, copies: Path, environment: str) -> str:
    """Return an error if an environment file changed after the sandbox copied it, or an empty string.

    Plain `pulumi`, after `./infra env`, would deploy the old copy.
    """
    from settings.project_files import environment_file  # noqa: PLC0415 other projects run without this one's modules

    original = folder / environment_file(environment)
    copy = copies / original.name
    if not original.exists() or not copy.exists() or copy.stat().st_mtime >= original.stat().st_mtime:
        return ""
    return (
        f"{original.name} changed after `./infra env`, and this command would use the old version of the file.\n"
        "Update this shell, then run the same command again:\n"
        f'  eval "$(./infra env {environment})"'
    )


# --- the process


def main() -> None:
    """Serve the engine until it ends or asks the host to stop."""
    gc.set_threshold(*GC_THRESHOLDS)
    stack.asyncio = AsyncioWithSingleWait()  # type: ignore[attr-defined] # the module imports it but does not export it
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=REQUEST_THREADS), options=UNLIMITED_MESSAGES)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(sys.argv[-1]), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)  # noqa: T201 the protocol's handshake
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    engine = os.getppid()
    while os.getppid() == engine:  # an engine that was killed does not ask the host to stop
        time.sleep(PARENT_CHECK_SECONDS)
    os._exit(0)


if __name__ == "__main__":
    main()
