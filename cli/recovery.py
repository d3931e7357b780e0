"""Continues after an update that was cut off: asks AWS what became of the operations that did not complete.

Pulumi itself would create their resources again, beside those that exist.
"""

import json
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import typer

from cli import event_log
from cli.aws_clients import AwsClients
from cli.aws_lookup import Lookup
from cli.backends import Backend, parallel_option
from common.console import count, say
from common.errors import InfraError
from common.files import read_json, write_private
from release import unfinished
from release.stack_state import name_of
from release.unfinished import Operation

NOTE = "recovery.json"  # what was adopted and is not read from AWS yet, in case this process is killed as well
Resources = list[dict[str, Any]]  # resources, as the state contains them


def recover(backend: Backend, stack: str) -> None:
    """Complete the state of a stack, if its last update was cut off. Say what became of each operation.

    Raise InfraError, and change nothing, if AWS has more than one resource that an operation may have created, or if
    nobody here knows how to look for it.
    """
    memory = backend.memory_folder(stack)
    exported = _export(backend, stack)
    operations = unfinished.operations(exported["deployment"])
    recorded = {operation.urn for operation in operations} | unfinished.urns(exported["deployment"])
    unanswered = [
        operation
        for operation in unfinished.unanswered_creations(event_log.read(memory))
        if operation.urn not in recorded
    ]
    if operations or unanswered:
        total = count(len(operations) + len(unanswered), "operation")
        say(f"it is unknown what became of {total} in the last update of {stack}; asking AWS")
        _adopt(backend, stack, exported, [*operations, *unanswered])
    event_log.forget(memory)
    if (memory / NOTE).exists():
        _complete(backend, stack, memory / NOTE)


def _adopt(backend: Backend, stack: str, exported: Mapping[str, Any], operations: Collection[Operation]) -> None:
    """Replace the unfinished operations of a state by the resources that they have created."""
    lookup = Lookup(AwsClients(backend, stack, "what became of the last update"))
    known = unfinished.known_ids(exported["deployment"])
    revealed = unfinished.revealed_inputs(_export(backend, stack, "--show-secrets")["deployment"])
    adopted: Resources = []
    problems: list[str] = []
    for operation in operations:
        if not operation.creates:
            typer.echo(f"  {name_of(operation.urn)}: exists; its state is read from AWS ({operation.kind})")
            continue
        inputs = revealed.get(operation.urn, operation.resource["inputs"])
        found = [operation.known_id] if operation.known_id else lookup.find(operation.resource["type"], inputs)
        ids = None if found is None else [id_ for id_ in found if (operation.resource["type"], id_) not in known]
        if ids is None and operation.kind == unfinished.UNANSWERED:
            typer.echo(f"  {name_of(operation.urn)}: failed; if AWS has it nevertheless, delete it there")
        elif ids is None or len(ids) > 1:
            problems.append(_describe_problem(operation, ids))
        elif ids:
            typer.echo(f"  {name_of(operation.urn)}: exists as {ids[0]}")
            lookup.wait_until_available(operation.resource["type"], ids[0], inputs)
            adopted.append(unfinished.adopted(operation, ids[0]))
        else:
            typer.echo(f"  {name_of(operation.urn)}: does not exist, or can be created again")
    if problems:
        raise InfraError("\n".join(["nothing was changed, because somebody has to decide:", *problems]))
    changed = [operation.urn for operation in operations if not operation.creates]
    note = backend.memory_folder(stack) / NOTE
    note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(note, json.dumps({"adopted": adopted, "changed": changed}))
    _import(backend, stack, exported, unfinished.without_operations(exported["deployment"], adopted))


def _describe_problem(operation: Operation, ids: list[str] | None) -> str:
    """Return what somebody has to do about an operation."""
    name = f"  - {name_of(operation.urn)} ({operation.resource['type']})"
    if ids is None:
        return (
            f"{name}: it is unknown how to find out whether it exists. If AWS has it, delete it there; then run "
            "`pulumi refresh --clear-pending-creates`."
        )
    return f"{name}: AWS has {', '.join(ids)}. Delete all but one there, then run the same command again."


def _complete(backend: Backend, stack: str, note: Path) -> None:
    """Read from AWS what a state does not know yet about the resources that were adopted or being changed."""
    content: Mapping[str, Any] = read_json(note)
    adopted: Resources = content["adopted"]
    exists = {resource["urn"] for resource in _export(backend, stack)["deployment"].get("resources") or []}
    urns = [urn for urn in [*(resource["urn"] for resource in adopted), *content["changed"]] if urn in exists]
    if urns:
        targets = [argument for urn in urns for argument in ("--target", urn)]
        command = ["refresh", "--stack", stack, "--yes", "--skip-preview", *parallel_option(), *targets]
        done = backend.capture(command, stack)
        if done.returncode:
            raise InfraError(
                f"the state of {stack} could not be read from AWS:\n{done.stdout.strip()}\n{done.stderr.strip()}\n"
                "Run the same command again."
            )
        exported = _export(backend, stack)
        _import(backend, stack, exported, unfinished.with_inputs(exported["deployment"], adopted))
    note.unlink()


def _export(backend: Backend, stack: str, *options: str) -> dict[str, Any]:
    """Return what `pulumi stack export` prints."""
    done = backend.capture(["stack", "export", "--stack", stack, *options], stack)
    if done.returncode:
        raise InfraError(f"the state of {stack} cannot be read:\n{done.stderr.strip()}")
    exported: dict[str, Any] = json.loads(done.stdout)
    return exported


def _import(backend: Backend, stack: str, exported: Mapping[str, Any], deployment: Mapping[str, Any]) -> None:
    """Replace the deployment of a stack."""
    with tempfile.TemporaryDirectory(prefix="state-") as folder:
        file = Path(folder) / "state.json"
        write_private(file, json.dumps({**exported, "deployment": deployment}))
        done = backend.capture(["stack", "import", "--stack", stack, "--file", str(file)], stack)
    if done.returncode:
        raise InfraError(f"the state of {stack} cannot be written:\n{done.stderr.strip()}")
