"""The verbs that run Pulumi in the sandbox."""

import json
import os
import shlex
import sys
from collections.abc import Mapping
from typing import Any

from sandbox import stack_files
from sandbox.emulator import process as emulator
from sandbox.session import PARALLEL, Session, open_session


def ready(environment: str) -> Session:
    """Return the sandbox with the environment's stack in it; refuses one without a file before anything is fetched."""
    stack_files.require(environment)
    session = open_session()
    session.ensure_stack(environment)
    return session


def up(environment: str, options: list[str]) -> int:
    """Bring an environment up and say what now exists."""
    session = ready(environment)
    session.refuse_if_locked(environment)
    session.refuse_if_pending(environment)
    status = session.run(["up", "--stack", environment, "--yes", "--parallel", str(PARALLEL), *options], environment)
    if status == 0:
        show_services(session, environment)
        return 0
    if session.deployment(environment).get("pending_operations"):
        sys.stderr.write(f"infra: some operations did not end; `./infra up {environment}` will say how to go on.\n")
    else:
        sys.stderr.write(f"infra: what was made is kept, nothing is lost. Mend the reason above; `./infra up {environment}` goes on from there.\n")
    return status


def preview(environment: str, options: list[str]) -> int:
    """Show what would change."""
    return ready(environment).run(["preview", "--stack", environment, "--parallel", str(PARALLEL), *options], environment)


def down(environment: str, options: list[str]) -> int:
    """Delete an environment from the sandbox."""
    session = ready(environment)
    session.refuse_if_locked(environment)
    protected = [resource["urn"].rsplit("::", 1)[-1] for resource in session.deployment(environment).get("resources", []) if resource.get("protect")]
    if protected:
        sys.stderr.write(
            f"infra: {environment} protects its data ({len(protected)} resources: {', '.join(protected[:4])} ...), here as on AWS. To delete it all the same, set "
            f"durability.protect_data: false in Pulumi.{environment}.yaml, `./infra up {environment}`, then this. `./infra sandbox reset` forgets the whole sandbox at once.\n"
        )
        return 1
    return session.run(["destroy", "--stack", environment, "--yes", "--parallel", str(PARALLEL), *options], environment)


def run_pulumi(arguments: list[str]) -> int:
    """Run any Pulumi command in the sandbox."""
    session = open_session()
    stack_files.refresh(session.paths)
    stack = stack_named(arguments) or selected_stack(session)
    if stack and any(verb in arguments for verb in ("up", "update", "preview", "refresh")):
        session.ensure_stack(stack)
    if stack and any(verb in arguments for verb in ("up", "update", "destroy")):
        session.refuse_if_locked(stack)
        session.refuse_if_pending(stack)
    return session.run(arguments, stack)


def selected_stack(session: Session) -> str | None:
    """Return the stack that `pulumi stack select` chose, if there is one."""
    done = session.capture(["stack", "--show-name"])
    return done.stdout.strip() or None if done.returncode == 0 else None


def stack_named(arguments: list[str]) -> str | None:
    """Return the stack that the arguments name, if they do."""
    for index, argument in enumerate(arguments):
        if argument.startswith(("--stack=", "-s=")):
            return argument.split("=", 1)[1]
        if argument in {"--stack", "-s"} and index + 1 < len(arguments):
            return arguments[index + 1]
    return None


def exports(environment: str) -> str:
    """Return shell exports of the sandbox's variables."""
    session = ready(environment)
    variables = session.variables(environment)
    # What the shell has of its own would lead some calls to real AWS, or its credentials to the emulated one.
    foreign = sorted(name for name in os.environ if name.startswith(("AWS_", "PULUMI_")) and name not in variables)
    return "".join([f"unset {name}\n" for name in foreign] + [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()])


def show_services(session: Session, environment: str) -> None:
    """Print the table of what now exists, and what to type next."""
    from rich.console import Console  # noqa: PLC0415 only `up` draws
    from rich.table import Table  # noqa: PLC0415

    done = session.capture(["stack", "output", "--json", "--stack", environment], environment)
    outputs: Mapping[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    table = Table(title=f"{environment}: {outputs.get('environment', {}).get('domain', '')}", title_justify="left")
    for column in ("service", "address", "release", "servers", "database"):
        table.add_column(column, overflow="fold")
    for name, service in sorted(outputs.get("services", {}).items()):
        table.add_row(name, *(str(service.get(column, "")) for column in ("address", "release", "servers", "database")))
    console = Console()
    console.print(table)
    running = emulator.find(session.paths)
    console.print(f"The emulated AWS goes on running ({running.endpoint if running else '?'}, process {running.pid if running else '?'}).", highlight=False)
    console.print(
        f"Next: [bold]./infra preview {environment}[/bold] after a change, [bold]./infra pulumi stack --show-urns --stack {environment}[/bold] to look, "
        "[bold]./infra sandbox stop[/bold] to end it.",
        highlight=False,
    )
