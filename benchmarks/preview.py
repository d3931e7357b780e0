"""Times a preview that changes nothing against `terraform plan -refresh=false` of the same resources, with the same provider.

    .venv/bin/python -m benchmarks.preview [ENVIRONMENT] [RUNS]

The environment must be up in this clone's sandbox (`./infra up alpha`). Terraform gets its files from Pulumi's state (see
sandbox/bridge/as_terraform.py): the same resources with the same values, so that both have nothing to do.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sandbox import aws_provider
from sandbox.bridge import as_terraform
from sandbox.paths import ROOT
from sandbox.session import REGION, open_session


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that an action takes."""
    started = time.monotonic()
    action()
    return time.monotonic() - started


def main(stack: str, runs: int) -> None:
    """Print the figures."""
    session = open_session()
    session.ensure_stack(stack)
    exported = json.loads(session.capture(["stack", "export", "--show-secrets", "--stack", stack], stack).stdout)
    binary = aws_provider.find_binary()
    if binary is None:
        sys.exit("no Terraform AWS provider on this machine: nothing to compare with")

    def preview() -> None:
        done = subprocess.run([str(ROOT / "infra"), "preview", stack, "--expect-no-changes"], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        count = as_terraform.write(folder, binary, exported["deployment"]["resources"], REGION)
        environment = session.variables(stack)
        initialised = as_terraform.run(folder, ["init", "-input=false", "-no-color"], environment)
        if initialised.returncode:
            sys.exit(initialised.stdout + initialised.stderr)

        def plan() -> None:
            done = as_terraform.run(folder, ["plan", "-refresh=false", "-input=false", "-no-color", "-detailed-exitcode", "-lock=false"], environment)
            if done.returncode:
                sys.exit(done.stdout[-4000:] + done.stderr)

        # In turns, so that what else the machine does meets both.
        turns = [(timed(preview), timed(plan)) for _ in range(runs)]
        figures = {"./infra preview": [turn[0] for turn in turns], "terraform plan -refresh=false": [turn[1] for turn in turns]}
    print(f"{stack}: {len(exported['deployment']['resources'])} resources, {count} of them of AWS; {runs} runs each, nothing to change")
    for name, seconds in figures.items():
        print(f"  {name:32} median {statistics.median(seconds):5.2f} s   fastest {min(seconds):5.2f} s   slowest {max(seconds):5.2f} s")
    print(f"  largest process: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "alpha", int(sys.argv[2]) if len(sys.argv) > 2 else 5)  # noqa: PLR2004 positions of arguments
