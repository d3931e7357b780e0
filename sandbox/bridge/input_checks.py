"""What the bridge changes and refuses in a resource's inputs before Terraform's provider validates them.

Property values are JSON-like and have no fixed type, hence `Any`.
"""

from typing import Any

from pulumi.runtime.proto import provider_pb2

from sandbox.bridge import automatic_names
from sandbox.bridge.conversion import unmapped_paths
from sandbox.bridge.diagnostics import WARNING, describe
from sandbox.bridge.engine_warnings import EngineWarnings
from sandbox.bridge.pulumi_values import PULUMI_UNKNOWN, unwrap
from sandbox.bridge.type_mapping import TypeMapping

Properties = dict[str, Any]
Failures = list[Any]  # of provider_pb2.CheckFailure, which is generated without a type


def failure(property_path: str, reason: str) -> Any:
    """Return a failure of one property."""
    return provider_pb2.CheckFailure(property=property_path, reason=reason)


def set_automatic_name(
    mapping: TypeMapping, logical_name: str, seed: bytes, new: Properties, old: Properties
) -> Failures:
    """Set a resource's automatic name in its new inputs, if the program does not set a name.

    `__defaults` records that the name is automatic, so that later updates keep it.
    """
    key = mapping.named_property
    if not key or new.get(key) is not None or new.get(f"{key}Prefix") is not None:
        return []
    failures: Failures = []
    if key in (old.get("__defaults") or []) and old.get(key):
        new[key] = old[key]
    else:
        fifo = unwrap(new.get("fifoQueue") or new.get("fifoTopic")) is True
        try:
            new[key] = automatic_names.generate(mapping.terraform_type, logical_name, seed, fifo=fifo)
        except automatic_names.NameTooLongError as error:
            failures.append(failure(key, str(error)))
    new["__defaults"] = [key]
    return failures


def remove_region(mapping: TypeMapping, inputs: Properties, provider_region: str | None) -> Failures:
    """Remove the region from inputs, if Terraform has no argument for it. It must be the provider's own region."""
    if "region" not in inputs or mapping.region_is_argument:
        return []
    if inputs.pop("region") in {provider_region, PULUMI_UNKNOWN}:
        return []
    return [
        failure(
            "region",
            "Terraform's AWS provider 5 cannot set a region per resource.\n"
            "Create a Provider for the region, and pass it to the resource with ResourceOptions.",
        )
    ]


def remove_unsupported(mapping: TypeMapping, inputs: Properties, urn: str, warnings: EngineWarnings) -> None:
    """Remove what the emulator does not support from inputs, and warn about it."""
    for key, reason in mapping.unsupported.items():
        if inputs.pop(key, None) is not None:
            warnings.show_once(
                f"the sandbox leaves out {mapping.terraform_type}.{key}: {reason}. On AWS it takes effect.", urn
            )


def unmapped_failures(mapping: TypeMapping, properties: Properties, provider_name: str) -> Failures:
    """Return a failure for each property that Terraform's type does not have."""
    return [
        failure(
            path,
            f"the sandbox's AWS provider does not support this argument, because {mapping.terraform_type} does not "
            f"have it in {provider_name}. Pulumi's official AWS plugin may support it.",
        )
        for path in unmapped_paths(mapping.block, properties)
    ]


def validation_failures(mapping: TypeMapping, diagnostics: Any) -> Failures:
    """Return a failure for each error that the provider's validation reported."""
    failures: Failures = []
    for diagnostic in diagnostics:
        if diagnostic.severity != WARNING:
            attribute = diagnostic.attribute.steps[0].attribute_name if diagnostic.attribute.steps else ""
            failures.append(failure(mapping.block.pulumi_name(attribute) or "", describe(diagnostic)))
    return failures
