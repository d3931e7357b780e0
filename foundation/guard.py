"""Prevents the program from running a stack of the sandbox against real AWS."""

import os
import urllib.parse

import pulumi

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
SANDBOX_FOLDER = ".sandbox"


def refuse_sandbox_stack_on_real_aws() -> None:
    """Raise RunError if the stack's state is in the sandbox and AWS calls would not go to the emulator.

    The state would then describe, and the update change, resources of a real account.
    """
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    if is_sandbox_stack_on_real_aws(
        os.environ.get("PULUMI_BACKEND_URL", ""), os.environ.get("PULUMI_HOME", ""), endpoint
    ):
        message = (
            f"This stack is in the sandbox, but AWS_ENDPOINT_URL is {endpoint or 'not set'}, so the program would run "
            "against real AWS and change the wrong resources. "
            "Use ./infra, or set the sandbox's variables in this shell:\n"
            '  eval "$(./infra env)"\n'
            "To deploy to real AWS, start a new shell without these variables."
        )
        raise pulumi.RunError(message)


def is_sandbox_stack_on_real_aws(backend_url: str, pulumi_home: str, endpoint_url: str) -> bool:
    """Tell whether these environment variables combine the sandbox's state with an AWS that is not the emulator."""
    is_in_sandbox = any(
        SANDBOX_FOLDER in urllib.parse.unquote(location).split("/") for location in (backend_url, pulumi_home)
    )
    is_emulated = urllib.parse.urlparse(endpoint_url).hostname in LOOPBACK
    return is_in_sandbox and not is_emulated
