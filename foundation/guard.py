"""Prevents the program from running against real AWS with what belongs to the sandbox: its stacks, and examples."""

import os
import urllib.parse

import pulumi

from settings import placeholders
from settings.models import Settings

ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL"
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
SANDBOX_FOLDER = ".sandbox"


def refuse_sandbox_stack_on_real_aws() -> None:
    """Raise RunError if the stack's state is in the sandbox and AWS calls would not go to the emulator.

    The state would then describe, and the update change, resources of a real account.
    """
    endpoint = os.environ.get(ENDPOINT_VARIABLE, "")
    if is_sandbox_stack_on_real_aws(
        os.environ.get("PULUMI_BACKEND_URL", ""), os.environ.get("PULUMI_HOME", ""), endpoint
    ):
        message = (
            f"This stack is in the sandbox, but {ENDPOINT_VARIABLE} is {endpoint or 'not set'}, so the program would "
            "run against real AWS and change the wrong resources. "
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
    return is_in_sandbox and not is_emulated(endpoint_url)


def is_emulated(endpoint_url: str) -> bool:
    """Tell whether calls to this endpoint stay on this machine."""
    return urllib.parse.urlparse(endpoint_url).hostname in LOOPBACK


def refuse_examples_on_real_aws(settings: Settings) -> None:
    """Raise RunError if AWS calls leave this machine and the environment's file still contains examples.

    AWS would refuse each of them alone, the machine images only after most of the environment was created.
    """
    found = placeholders.describe(settings)
    if found and not is_emulated(os.environ.get(ENDPOINT_VARIABLE, "")):
        raise pulumi.RunError(f"{found}\nNothing was created or changed. Replace them, then run the command again.")
