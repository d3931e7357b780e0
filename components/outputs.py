"""Functions on Pulumi's outputs."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pulumi


def available_after(value: pulumi.Output[str], *resources: pulumi.CustomResource) -> pulumi.Output[str]:
    """Return the value once the resources exist.

    Use it for something that AWS refuses before then, such as a role that does not have its permissions yet.
    """
    return pulumi.Output.all(value, *(resource.id for resource in resources)).apply(lambda values: str(values[0]))


def json_document(build: Callable[..., Mapping[str, object]], **inputs: pulumi.Input[str | None]) -> pulumi.Output[str]:
    """Return a document as JSON, built from values that may only be known during the update.

    `build` receives the inputs by name as plain values, so that it can be a pure function and be tested as one.
    """

    def document(values: Mapping[str, Any]) -> str:  # Any: Output.all resolves to the inputs' values
        return json.dumps(build(**values))

    return pulumi.Output.all(**inputs).apply(document)
