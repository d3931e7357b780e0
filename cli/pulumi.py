"""`./infra down`, `./infra pulumi` and `./infra env`: plain Pulumi in the sandbox."""

import os
import shlex
from pathlib import Path

from cli import recovery
from cli.backends import SandboxBackend, parallel_option
from cli.exit_codes import ExitCode
from common.console import count, say
from release.stack_state import name_of
from sandbox import stack_files
from sandbox.session import Session, open_session
from settings.project_files import environment_file

POLICY_PACK = "--policy-pack"
NAMED_RESOURCES = 4  # how many protected resources a message names
UPDATING_VERBS = frozenset({"up", "update", "destroy"})
STACK_VERBS = frozenset({"up", "update", "preview", "refresh"})


def session_for(environment: str) -> Session:
    """Return the sandbox with the environment's stack.

    An environment without a file is refused before anything is installed.
    """
    stack_files.require_environment_file(environment)
    session = open_session()
    session.ensure_stack(environment)
    return session


def down(environment: str, options: list[str]) -> int:
    """Delete an environment from the sandbox."""
    session = session_for(environment)
    session.refuse_if_locked(environment)
    recovery.recover(SandboxBackend(session), environment)
    resources = session.deployment(environment).get("resources", [])
    protected = [name_of(resource["urn"]) for resource in resources if resource.get("protect")]
    if protected:
        names = ", ".join(protected[:NAMED_RESOURCES]) + (", ..." if len(protected) > NAMED_RESOURCES else "")
        say(
            f"{environment} protects its data, here as on AWS: {count(len(protected), 'resource')} ({names}).\n"
            f"To delete it anyway, set durability.protect_data: false in {environment_file(environment)}, then run:\n"
            f"  ./infra pulumi up --stack {environment}\n"
            f"  ./infra down {environment}\n"
            "To delete the whole sandbox at once:\n"
            "  ./infra sandbox reset"
        )
        return ExitCode.FAILED
    return session.run(["destroy", "--stack", environment, "--yes", *parallel_option(), *options], environment)


def with_absolute_policy_packs(arguments: list[str]) -> list[str]:
    """Return arguments in which a policy pack's folder is absolute, because Pulumi runs in a folder of the sandbox."""
    absolute, is_pack = [], False
    for argument in arguments:
        option, _, folder = argument.partition("=")
        if is_pack:
            absolute.append(str(Path(argument).resolve()))
        else:
            absolute.append(f"{option}={Path(folder).resolve()}" if option == POLICY_PACK and folder else argument)
        is_pack = argument == POLICY_PACK
    return absolute


def run_pulumi(arguments: list[str]) -> int:
    """Run any Pulumi command in the sandbox."""
    session = open_session()
    stack_files.refresh(session.paths)
    arguments = with_absolute_policy_packs(arguments)
    stack = stack_argument(arguments) or selected_stack(session)
    if stack and STACK_VERBS.intersection(arguments):
        session.ensure_stack(stack)
    if stack and UPDATING_VERBS.intersection(arguments):
        session.refuse_if_locked(stack)
        session.refuse_if_pending(stack)
    return session.run(arguments, stack)


def selected_stack(session: Session) -> str | None:
    """Return the stack that `pulumi stack select` chose, or None."""
    done = session.capture(["stack", "--show-name"])
    return done.stdout.strip() or None if done.returncode == 0 else None


def stack_argument(arguments: list[str]) -> str | None:
    """Return the stack that the arguments name, or None."""
    for index, argument in enumerate(arguments):
        if argument.startswith(("--stack=", "-s=")):
            return argument.split("=", 1)[1]
        if argument in {"--stack", "-s"} and index + 1 < len(arguments):
            return arguments[index + 1]
    return None


def exports(environment: str) -> str:
    """Return shell commands that make plain `pulumi` use the sandbox.

    Variables of the shell's own are unset. Otherwise some calls would go to real AWS, or real credentials to the
    emulator.
    """
    session = session_for(environment)
    variables = session.variables(environment)
    own = sorted(name for name in os.environ if name.startswith(("AWS_", "PULUMI_")) and name not in variables)
    lines = [f"unset {name}\n" for name in own]
    return "".join(lines + [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()])
