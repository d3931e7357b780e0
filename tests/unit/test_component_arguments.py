"""Conventions of all components and their arguments: their documentation is generated from them."""

import ast
import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import pulumi
import pytest

import components
import foundation
import organization
from components import type_tokens
from settings import service_spec


def classes_of_the_program() -> Iterator[type]:
    """Yield every class that is defined in components, foundation, organization, or the service specs."""
    for package in (components, foundation, organization):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("__main__"):
                continue
            yield from vars(importlib.import_module(module.name)).values()
    yield from vars(service_spec).values()


CLASSES = {
    value
    for value in classes_of_the_program()
    if inspect.isclass(value)
    and value.__module__.split(".")[0] in {"components", "foundation", "organization", "settings"}
}
COMPONENTS = sorted((value for value in CLASSES if issubclass(value, pulumi.ComponentResource)), key=str)
ARGUMENTS = sorted(
    (value for value in CLASSES if dataclasses.is_dataclass(value) and not value.__name__.startswith("_")), key=str
)


def fields_with_docstring(arguments: type) -> set[str]:
    """Return the fields of a class that are followed by a string literal, which documents them."""
    (definition,) = ast.parse(inspect.getsource(arguments)).body
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id
        for field, docstring in zip(definition.body, definition.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(docstring, ast.Expr)
        and isinstance(docstring.value, ast.Constant)
        and isinstance(docstring.value.value, str)
    }


# Parsed while tests are collected, because parsing sometimes fails once tests have left event loops of Pulumi to the
# garbage collector: a bug of Python 3.11 (python/cpython#106905).
FIELDS_WITH_DOCSTRING = {arguments: fields_with_docstring(arguments) for arguments in ARGUMENTS}


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_says_what_it_leaves_out(component: type[pulumi.ComponentResource]) -> None:
    """Its docstring has a paragraph that starts with "Does not"."""
    assert "\n\nDoes not " in inspect.cleandoc(component.__doc__ or "")


def test_every_component_has_a_type_token() -> None:
    """There are as many components as type tokens, and no two tokens are equal."""
    tokens = [token for name, token in vars(type_tokens).items() if name.isupper()]
    assert len(set(tokens)) == len(tokens) == len(COMPONENTS)


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_every_field_of_the_arguments_is_documented(arguments: type) -> None:
    """A string literal below each field says what it is, its default, and what happens if it is wrong."""
    assert {field.name for field in dataclasses.fields(arguments)} == FIELDS_WITH_DOCSTRING[arguments]


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_arguments_are_frozen_and_passed_by_name(arguments: type) -> None:
    """A new field can then be added anywhere, and no component can change what another one received."""
    parameters = arguments.__dataclass_params__  # type: ignore[attr-defined] # set by the decorator
    assert parameters.frozen
    assert all(field.kw_only for field in dataclasses.fields(arguments))
