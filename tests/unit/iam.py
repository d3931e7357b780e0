"""Evaluates identity policies as IAM does, for the parts of the language that the program's policies use."""

import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Statement = Mapping[str, Any]  # Any: a statement's JSON
Context = Mapping[str, str]  # the condition keys of a request; a key that is missing is not in the request


def as_list(value: Any) -> list[Any]:
    """Return a value that may stand alone as a list."""
    return list(value) if isinstance(value, list | tuple) else [value]


def matches(pattern: str, text: str) -> bool:
    """Tell whether a pattern with * and ? matches a text."""
    return re.fullmatch(fnmatch.translate(pattern.replace("[", "[[]")), text) is not None


def _equals(value: str, allowed: list[str]) -> bool:
    return value in allowed


def _like(value: str, allowed: list[str]) -> bool:
    return any(matches(pattern, value) for pattern in allowed)


OPERATORS: Mapping[str, Callable[[str, list[str]], bool]] = {
    "StringEquals": _equals,
    "Bool": _equals,
    "StringLike": _like,
    "ArnEquals": _like,  # IAM treats ArnEquals and ArnLike alike
    "ArnLike": _like,
}


def holds(condition: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Tell whether a request fulfills all conditions. An operator that is not known here is an error."""
    for operator, keys in condition.items():
        function = OPERATORS[operator.removesuffix("IfExists")]
        for key, allowed in keys.items():
            if key not in context:
                if not operator.endswith("IfExists"):
                    return False
            elif not function(context[key], [str(value) for value in as_list(allowed)]):
                return False
    return True


def applies(statement: Statement, action: str, resource: str, context: Context) -> bool:
    """Tell whether a statement is about a request."""
    return (
        any(matches(pattern.lower(), action.lower()) for pattern in as_list(statement["Action"]))
        and any(matches(pattern, resource) for pattern in as_list(statement["Resource"]))
        and holds(statement.get("Condition", {}), context)
    )


def is_allowed(statements: list[Statement], action: str, resource: str, context: Context) -> bool:
    """Tell whether a role may do something: a statement allows it, and none denies it."""
    about = [statement["Effect"] for statement in statements if applies(statement, action, resource, context)]
    return "Allow" in about and "Deny" not in about


def actions_of(statements: list[Statement]) -> Iterator[str]:
    """Yield the actions that statements name."""
    for statement in statements:
        yield from as_list(statement["Action"])
