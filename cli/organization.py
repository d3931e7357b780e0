"""`./infra organization`: what exists once for all environments, in the sandbox. On AWS, plain Pulumi creates it."""

from pathlib import Path

from cli.backends import parallel_option
from cli.exit_codes import ExitCode
from common.console import say
from common.errors import SandboxError
from sandbox import stack_files
from sandbox.session import Session, open_session
from sandbox.stack_files import ORGANIZATION

PROJECT = "100xglobal-organization"
VERBS = {"preview": ["preview"], "up": ["up", "--yes"], "down": ["destroy", "--yes"]}


def run(verb: str, options: list[str]) -> int:
    """Run Pulumi on the organization's stack in the sandbox. options: Pulumi's own."""
    if verb not in VERBS:
        say(f"`./infra organization {verb}` is unknown. Use {', '.join(VERBS)}.")
        return ExitCode.USAGE
    session = open_session()
    stack_files.refresh_organization(session.paths)
    where = ["--cwd", str(session.paths.organization), "--stack", ORGANIZATION]
    if not state_file(session).exists():
        done = session.capture(["stack", "init", *where], ORGANIZATION)
        if done.returncode != 0:
            raise SandboxError(f"the stack {ORGANIZATION} cannot be created: {done.stderr.strip()}")
    parallel = [] if verb == "preview" else parallel_option()
    return session.run([*VERBS[verb], *where, *parallel, *options], ORGANIZATION)


def state_file(session: Session) -> Path:
    """Return the file in which the sandbox keeps the state of the organization's stack."""
    return session.paths.state / ".pulumi" / "stacks" / PROJECT / f"{ORGANIZATION}.json"
