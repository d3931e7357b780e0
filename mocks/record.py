"""Runs the program in the current folder with mocks, and prints its resources as JSON: `record.py STACK`.

The gate runs this in a process of its own for two programs, so that neither sees the other's modules. The configuration
comes from standard input.
"""

import json
import runpy
import sys
from pathlib import Path
from typing import Any


def record(program: Path, stack: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return what a program registers: the inputs and the parent of every resource by URN, and the stack's outputs."""
    from mocks.aws import run  # noqa: PLC0415 the program's own modules have to be found first

    recorded = run(
        lambda: runpy.run_path(str(program / "__main__.py"), run_name="__main__"), stack=stack, config=config
    )
    return {
        "inputs": {urn: resource.inputs for urn, resource in recorded.resources.items()},
        "parents": {urn: resource.parent for urn, resource in recorded.resources.items()},
        "outputs": recorded.outputs,
    }


if __name__ == "__main__":
    folder, root = Path.cwd(), Path(__file__).resolve().parent.parent
    sys.path[:1] = [str(folder)]
    sys.path.append(str(root))
    json.dump(record(folder, sys.argv[1], json.load(sys.stdin)), sys.stdout, default=str)
