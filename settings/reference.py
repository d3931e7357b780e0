"""Documents the fields of the environment files and of Pulumi.yaml: for `./infra explain`, and as a schema for editors.

Everything comes from pydantic's JSON schemas of the models, so a new field needs no edit here.
"""

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from common.errors import InfraError
from settings.model_schema import JsonSchema, model_schema, resolve
from settings.models import Environment, Release, Service, Settings, Sizing
from settings.problems import did_you_mean, nearest_name
from settings.project_files import (
    ACCOUNTS_KEY,
    ENVIRONMENT_KEY,
    PROJECT,
    PROJECT_FILE,
    PROMOTION,
    REGION_KEY,
    SERVICES_KEY,
    environment_file,
)
from settings.promotion import Promotion

SCHEMA_FILE = "settings/stack.schema.json"
ANY_NAME = "<name>"  # stands for a name that the user chooses, such as a service's
WIDTH = 100
PROMOTION_NOTES = {
    Release.__name__: "yes, with the whole release",
    Sizing.__name__: "no, each environment has its own value",
}
LIMITS = {
    "minimum": "Minimum",
    "maximum": "Maximum",
    "minItems": "Min items",
    "maxItems": "Max items",
    "pattern": "Pattern",
}
TYPES = {"string": "text", "integer": "whole number", "boolean": "true or false", "number": "number"}


@dataclass(frozen=True)
class Root:
    """A part of a file that a model describes. place: the file and the key that contain it."""

    path: str
    model: type[BaseModel]
    place: str


@dataclass(frozen=True)
class Field:
    """A documented field.

    path: such as `services.<name>.release.image`.
    promotion: whether promoting a release changes it; empty outside of services.
    place: the file and the key that contain it.
    """

    path: str
    schema: JsonSchema
    is_required: bool
    promotion: str
    place: str


ROOTS = {
    "environment": Root("environment", Environment, f"{environment_file('<environment>')}, below {ENVIRONMENT_KEY}"),
    "services": Root(f"services.{ANY_NAME}", Service, f"{environment_file('<environment>')}, below {SERVICES_KEY}"),
    PROMOTION: Root(PROMOTION, Promotion, f"{PROJECT_FILE}, below config.{PROMOTION}.default"),
}


class UnknownFieldError(InfraError):
    """No field has this path. suggestion: the path of the most similar field, or an empty text."""

    def __init__(self, path: str, suggestion: str, message: str) -> None:
        """Keep the path and the suggestion for callers."""
        super().__init__(message)
        self.path, self.suggestion = path, suggestion


def all_fields() -> dict[str, Field]:
    """Return every field by its path."""
    fields: dict[str, Field] = {}
    for root in ROOTS.values():
        schema = model_schema(root.model)
        fields |= {field.path: field for field in _fields_below(schema, schema.get("$defs", {}), root.path, root.place)}
    return fields


def _fields_below(
    schema: JsonSchema, definitions: JsonSchema, path: str, place: str, promotion: str = ""
) -> Iterator[Field]:
    """Yield the fields of a model and of all models inside it."""
    for name, unresolved in schema.get("properties", {}).items():
        own = resolve(unresolved, definitions)
        entry = own.get("additionalProperties")
        if isinstance(entry, Mapping):
            own = {**own, "additionalProperties": resolve(entry, definitions)}
        note = PROMOTION_NOTES.get(unresolved.get("$ref", "").rsplit("/", 1)[-1], promotion)
        yield Field(f"{path}.{name}", own, name in schema.get("required", ()), note, place)
        yield from _fields_below(own, definitions, f"{path}.{name}", place, note)
        if isinstance(entry, Mapping):
            yield from _fields_below(own["additionalProperties"], definitions, f"{path}.{name}.{ANY_NAME}", place, note)


def explain(path: str) -> str:
    """Return the documentation of a field or of a whole part of the configuration; raise UnknownFieldError."""
    fields = all_fields()
    steps = path.replace(f"{PROJECT}:", "").removeprefix("config.").split(".")
    roots = {path: root for key, root in ROOTS.items() for path in (key, root.path)}
    name = next((known for known in [*roots, *fields] if _is_path_of(known, steps)), ".".join(steps))
    if name in roots:
        description = model_schema(roots[name].model)["description"]
        return "\n".join(
            [name, f"  {description}", "", *(f"  {field}" for field in fields if field.startswith(f"{name}."))]
        )
    if name not in fields:
        hint = did_you_mean(name, fields) or " To list the fields:" + "".join(
            f"\n  ./infra explain {root}" for root in ROOTS
        )
        raise UnknownFieldError(path, nearest_name(name, fields), f"there is no field `{path}`.{hint}")
    children = [field for field in fields if field.rpartition(".")[0] == name]
    return _render(fields[name], children)


def _is_path_of(field: str, steps: Sequence[str]) -> bool:
    """Tell whether the steps lead to a field, in which a placeholder stands for any name."""
    expected = field.split(".")
    return len(expected) == len(steps) and all(
        known in {step, ANY_NAME} for known, step in zip(expected, steps, strict=True)
    )


def _render(field: Field, children: list[str]) -> str:
    """Return the documentation of a field as text."""
    rows = [("Type", type_name(field.schema)), ("Default", default_text(field))]
    rows += [(label, str(field.schema[key])) for key, label in LIMITS.items() if key in field.schema]
    rows.append(("Location", field.place))
    if field.promotion:
        rows.append(("Promoted", field.promotion))
    description = " ".join(field.schema.get("description", "").split())
    lines = [field.path, textwrap.fill(description, WIDTH, initial_indent="  ", subsequent_indent="  "), ""]
    lines += [f"  {label:<9}  {text}" for label, text in rows]
    if children:
        lines += ["", *(f"  {child}" for child in children)]
    return "\n".join(lines)


def type_name(schema: JsonSchema) -> str:
    """Return a type in words."""
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if schema["type"] == "array":
        return f"list of {type_name(schema['items'])}"
    if schema["type"] != "object":
        return TYPES[schema["type"]]
    patterns = list(schema.get("patternProperties", {}).values())
    values = patterns[0] if patterns else schema.get("additionalProperties")
    return f"map of names to {type_name(values)}" if values else "map"


def default_text(field: Field) -> str:
    """Return a field's default as YAML would write it, or that it has none."""
    if field.is_required:
        return "none (required)"
    default = field.schema.get("default")
    if default is None:
        return "not set"
    return "the defaults of its fields" if "properties" in field.schema else json.dumps(default)


def schema() -> dict[str, Any]:
    """Return the JSON schema of an environment file."""
    settings = model_schema(Settings)
    own = settings["properties"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{environment_file('<environment>')} of {PROJECT}",
        "type": "object",
        "required": ["config"],
        "properties": {
            "config": {
                "type": "object",
                "required": [REGION_KEY, ACCOUNTS_KEY, ENVIRONMENT_KEY, SERVICES_KEY],
                "properties": {
                    REGION_KEY: own["region"],
                    ACCOUNTS_KEY: {
                        "type": "array",
                        "items": own["account_id"],
                        "minItems": 1,
                        "maxItems": 1,
                        "description": "The environment's AWS account, in quotes. Credentials of any other account are "
                        "refused.",
                    },
                    ENVIRONMENT_KEY: own["environment"],
                    SERVICES_KEY: own["services"],
                },
            }
        },
        "$defs": settings["$defs"],
    }


def schema_text() -> str:
    """Return the content of the schema's file."""
    return json.dumps(schema(), indent=1) + "\n"
