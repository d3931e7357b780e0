"""Parameters and XML of AWS's Query protocol."""

from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape


def list_parameter(parameters: Any, prefix: str, get: Callable[[Any, str], Any]) -> list[str]:
    """Return the values of `prefix.1`, `prefix.2` and so on. get: how the service's module reads one parameter."""
    values: list[str] = []
    while value := get(parameters, f"{prefix}.{len(values) + 1}"):
        values.append(value)
    return values


def to_xml(value: Any) -> str:
    """Return a value as XML: a dict's keys become tags, a list's items members. None in a dict is left out."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "".join(f"<{key}>{to_xml(inner)}</{key}>" for key, inner in value.items() if inner is not None)
    if isinstance(value, list | tuple):
        return "".join(f"<member>{to_xml(inner)}</member>" for inner in value)
    return escape(str(value))


def decode(body: bytes | str) -> str:
    """Return the body of a request or response as text."""
    return body.decode() if isinstance(body, bytes) else body
