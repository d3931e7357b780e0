"""Keeps the sandbox and real AWS apart, from the program's side."""

import os
import urllib.parse

import pulumi

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
SANDBOX_FOLDER = ".sandbox"


def refuse_mixed_up_targets() -> None:
    """Refuse to run a stack of the sandbox against real AWS: its state would then describe, and change, the wrong resources."""
    problem = mixed_up_target(os.environ.get("PULUMI_BACKEND_URL", ""), os.environ.get("PULUMI_HOME", ""), os.environ.get("AWS_ENDPOINT_URL", ""))
    if problem:
        raise pulumi.RunError(problem)


def mixed_up_target(backend_url: str, pulumi_home: str, endpoint_url: str) -> str:
    """Return what is wrong with these environment variables, or an empty text."""
    in_sandbox = any(SANDBOX_FOLDER in urllib.parse.unquote(where).split("/") for where in (backend_url, pulumi_home))
    emulated = urllib.parse.urlparse(endpoint_url).hostname in LOOPBACK
    if in_sandbox and not emulated:
        return (
            f"this stack's state is in the sandbox, but AWS_ENDPOINT_URL is {endpoint_url or 'not set'}: it would be run against real AWS. "
            'Use ./infra, or run `eval "$(./infra env)"`; for real AWS start a shell without the sandbox\'s variables.'
        )
    return ""
