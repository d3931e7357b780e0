"""The verbs that run Pulumi in the sandbox."""

import os
import shlex
import sys

from sandbox import stack_files
from sandbox.session import PARALLEL, Session, open_session


def ready(environment: str) -> Session:
    """Return the sandbox with the environment's stack in it; refuses one without a file before anything is fetched."""
    stack_files.require(environment)
    session = open_session()
    session.ensure_stack(environment)
    return session


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
            f"durability.protect_data: false in Pulumi.{environment}.yaml, `./infra pulumi up --stack {environment}` (the gate of `./infra up` would ask for each of them), then this. "
            "`./infra sandbox reset` forgets the whole sandbox at once.\n"
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
