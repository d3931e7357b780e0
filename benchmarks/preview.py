"""Times a preview without changes, and `terraform plan -refresh=false` of the same resources with the same provider.

    .venv/bin/python -m benchmarks.preview [ENVIRONMENT] [RUNS]

The environment must be deployed in this clone's sandbox (`./infra up alpha`). Terraform's files are generated from
Pulumi's state (see sandbox/bridge/terraform_export.py), so that both tools compare the same resources and find no
changes.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from common.console import count
from common.files import ROOT
from sandbox import aws_provider
from sandbox.bridge import terraform_export
from sandbox.session import REGION, Session, open_session

INIT = ["init", "-input=false", "-no-color"]
PLAN = ["plan", "-refresh=false", "-input=false", "-no-color", "-detailed-exitcode", "-lock=false"]
KILOBYTES_PER_MEGABYTE = 1024


def seconds_of(action: Callable[[], object]) -> float:
    """Return how many seconds an action takes."""
    start = time.monotonic()
    action()
    return time.monotonic() - start


def require_success(done: "subprocess.CompletedProcess[str]") -> None:
    """Stop with a command's output unless it succeeded."""
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def exported_resources(session: Session, environment: str) -> list[Mapping[str, object]]:
    """Return the resources in an environment's state, with their secrets."""
    session.ensure_stack(environment)
    done = session.capture(["stack", "export", "--show-secrets", "--stack", environment], environment)
    require_success(done)
    resources: list[Mapping[str, object]] = json.loads(done.stdout)["deployment"].get("resources", [])
    if not resources:
        sys.exit(f"{environment} is not deployed in this sandbox. Deploy it first:\n  ./infra up {environment}")
    return resources


def preview(environment: str) -> None:
    """Preview an environment without changes."""
    command = [str(ROOT / "infra"), "preview", environment, "--expect-no-changes"]
    require_success(subprocess.run(command, capture_output=True, text=True, check=False))


def run_terraform(folder: Path, arguments: list[str], variables: Mapping[str, str]) -> None:
    """Run terraform and stop with its output unless it succeeded."""
    require_success(terraform_export.run(folder, arguments, variables))


def measure(environment: str, runs: int) -> None:
    """Print the durations of both commands."""
    session = open_session()
    resources = exported_resources(session, environment)
    binary = aws_provider.find_binary()
    if binary is None:
        sys.exit("this machine has no AWS provider of Terraform's, so there is nothing to compare the preview with")
    variables = session.variables(environment)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        aws_resources = terraform_export.write(folder, binary, resources, REGION)
        run_terraform(folder, INIT, variables)
        # The two commands alternate, so that other work on this machine slows both down.
        rounds = [
            (seconds_of(lambda: preview(environment)), seconds_of(lambda: run_terraform(folder, PLAN, variables)))
            for _ in range(runs)
        ]
    print(
        f"{environment}: {count(len(resources), 'resource')}, {aws_resources} of them in AWS; "
        f"{count(runs, 'run')} of each command, without changes"
    )
    print_durations("./infra preview", [seconds for seconds, _ in rounds])
    print_durations("terraform plan -refresh=false", [seconds for _, seconds in rounds])
    largest_kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"  largest process: {largest_kilobytes / KILOBYTES_PER_MEGABYTE:.0f} MB")


def print_durations(command: str, seconds: list[float]) -> None:
    """Print the median, the minimum and the maximum of a command's durations."""
    print(
        f"  {command:32} median {statistics.median(seconds):5.2f} s   "
        f"fastest {min(seconds):5.2f} s   slowest {max(seconds):5.2f} s"
    )


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description="Compare the duration of a preview with that of terraform plan.")
    parser.add_argument("environment", nargs="?", default="alpha", help="default: alpha")
    parser.add_argument("runs", nargs="?", type=int, default=5, help="how often each command runs; default: 5")
    arguments = parser.parse_args()
    measure(arguments.environment, arguments.runs)


if __name__ == "__main__":
    main()
