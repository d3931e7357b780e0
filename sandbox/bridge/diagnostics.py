"""Diagnostics of Terraform's provider: its errors and warnings.

The protocol's messages are generated without exported types, hence `Any`.
"""

from typing import Any

from sandbox.bridge.bridge_error import BridgeError
from sandbox.bridge.engine_warnings import EngineWarnings

ERROR, WARNING = 1, 2  # severities


def describe(diagnostic: Any) -> str:
    """Return a diagnostic as text: its summary, its detail and the attribute that it is about."""
    path = ".".join(
        step.attribute_name or step.element_key_string or str(step.element_key_int)
        for step in diagnostic.attribute.steps
    )
    detail = f": {diagnostic.detail}" if diagnostic.detail else ""
    return f"{diagnostic.summary}{detail}" + (f" ({path})" if path else "")


def errors_in(diagnostics: Any) -> list[str]:
    """Return the texts of the errors among diagnostics."""
    return [describe(diagnostic) for diagnostic in diagnostics if diagnostic.severity == ERROR]


def show_warnings(diagnostics: Any, warnings: EngineWarnings, urn: str = "") -> None:
    """Show the warnings among diagnostics. urn: the resource that they are about, if any."""
    for diagnostic in diagnostics:
        if diagnostic.severity == WARNING:
            warnings.show(describe(diagnostic), urn)


def require_success(diagnostics: Any, warnings: EngineWarnings, urn: str = "") -> None:
    """Show the warnings among diagnostics, then raise BridgeError if there are errors."""
    show_warnings(diagnostics, warnings, urn)
    errors = errors_in(diagnostics)
    if errors:
        raise BridgeError("\n".join(errors))
