"""What each field of a stack's file means: for `./infra explain`, and as JSON Schema for editors."""

import json
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from settings.models import Environment, Release, Service, Sizing
from settings.problems import nearest

SCHEMA_FILE = "settings/stack.schema.json"
ROOTS: dict[str, tuple[str, type[BaseModel]]] = {"environment": ("100xglobal:environment", Environment), "services": ("100xglobal:services", Service)}
ANY = "<name>"
MOVES = {Release: "moves: it is promoted from the environment before, whole", Sizing: "stays: each environment has its own"}
BOUNDS = {"ge": "at least", "le": "at most", "gt": "more than", "lt": "less than", "min_length": "at least (entries)", "max_length": "at most (entries)", "pattern": "form"}


class UnknownFieldError(Exception):
    """There is no such field; the text names the nearest."""


def inner_model(annotation: object) -> tuple[type[BaseModel] | None, str]:
    """Return the model inside a type, and how a path goes on to it: directly, by a name, or by an index."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    arguments = [argument for argument in get_args(annotation) if argument is not types.NoneType]
    if get_origin(annotation) in {Union, types.UnionType} and len(arguments) == 1:
        return inner_model(arguments[0])
    if get_origin(annotation) is dict:
        model, _ = inner_model(arguments[1])
        return model, ANY
    return None, ""


def fields(model: type[BaseModel], path: str, note: str = "") -> Iterator[tuple[str, FieldInfo, str]]:
    """Yield (path, field, whether it moves) of a model and all below it."""
    for name, field in model.model_fields.items():
        here = f"{path}.{field.alias or name}"
        model_inside, step = inner_model(field.annotation)
        own_note = MOVES.get(model_inside, note) if model_inside else note
        yield here, field, own_note
        if model_inside:
            yield from fields(model_inside, f"{here}.{step}" if step else here, own_note)


def all_fields() -> dict[str, tuple[FieldInfo, str]]:
    """Return every field by its path, with <name> where a name of one's own stands."""
    out = {path: (field, note) for path, field, note in fields(Environment, "environment")}
    return out | {path: (field, note) for path, field, note in fields(Service, f"services.{ANY}")}


def type_name(annotation: object) -> str:
    """Return a type in words."""
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if origin is Annotated:
        return type_name(arguments[0])
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin in {Union, types.UnionType}:
        return " or ".join(type_name(argument) for argument in arguments if argument is not types.NoneType)
    if origin is list:
        return f"list of {type_name(arguments[0])}"
    if origin is dict:
        return f"map of names to {type_name(arguments[1])}"
    names: dict[object, str] = {str: "text", int: "whole number", bool: "true or false", float: "number"}
    return names.get(annotation, "map of keys")


def explain(path: str) -> str:
    """Return what a field means; UnknownFieldError where there is none."""
    known = all_fields()
    parts = path.replace("100xglobal:", "").removeprefix("config.").split(".")
    if parts[0] == "services" and len(parts) > 1:
        parts[1] = ANY
    wanted = ".".join(parts)
    if wanted in {"environment", "services"}:
        below = sorted(name for name in known if name.startswith(wanted))
        return f"{wanted}\n" + "\n".join(f"  {name}" for name in below)
    if wanted not in known:
        guess = nearest(wanted, known)
        raise UnknownFieldError(f"there is no field {path!r}" + (f"; did you mean {guess!r}?" if guess else f". Begin with: {', '.join(ROOTS)}"))
    field, note = known[wanted]
    model, _ = inner_model(field.annotation)
    about = field.description or (model.__doc__ or "").splitlines()[0] if field.description or model else ""
    lines = [wanted, f"  {about}", f"  type      {type_name(field.annotation)}"]
    if field.is_required():
        lines.append("  default   none: it must be written")
    else:
        value = field.default_factory() if field.default_factory and field.default is PydanticUndefined else field.default  # type: ignore[call-arg] # none of ours takes the data
        lines.append(f"  default   {shown(value)}")
    lines += [f"  {words:9} {value}" for words, value in limits(field)]
    lines.append(f"  written   in Pulumi.<environment>.yaml below {ROOTS[wanted.split('.')[0]][0]}")
    if note:
        lines.append(f"  promotion {note}")
    below = [name for name in known if name.startswith(f"{wanted}.") and "." not in name.removeprefix(f"{wanted}.").removeprefix(f"{ANY}.")]
    return "\n".join(lines + [f"    {name.removeprefix(wanted + '.')}" for name in below])


def shown(value: object) -> str:
    """Return a default as YAML would have it."""
    if isinstance(value, BaseModel):
        return "the defaults of its keys"
    return "left out" if value is None else json.dumps(value)


def limits(field: FieldInfo) -> Iterator[tuple[str, object]]:
    """Yield a field's limits in words."""
    for item in field.metadata:
        for name, words in BOUNDS.items():
            value = getattr(item, name, None)
            if value is not None:
                yield words, value


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a stack's file."""
    environment = Environment.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    service = Service.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    definitions = {**environment.pop("$defs", {}), **service.pop("$defs", {}), "Environment": environment, "Service": service}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Pulumi.<environment>.yaml of 100xglobal",
        "type": "object",
        "required": ["config"],
        "properties": {
            "config": {
                "type": "object",
                "required": ["aws:region", "aws:allowedAccountIds", "100xglobal:environment", "100xglobal:services"],
                "properties": {
                    "aws:region": {"type": "string", "description": "The AWS region of the environment."},
                    "aws:allowedAccountIds": {
                        "type": "array",
                        "items": {"type": "string", "pattern": r"^\d{12}$"},
                        "minItems": 1,
                        "maxItems": 1,
                        "description": "The environment's account: any other is refused.",
                    },
                    "100xglobal:environment": {"$ref": "#/$defs/Environment"},
                    "100xglobal:services": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Service"}},
                },
            }
        },
        "$defs": dict(sorted(definitions.items())),
    }


def schema_text() -> str:
    """Return the schema as its file holds it."""
    return json.dumps(schema(), indent=1, sort_keys=False) + "\n"
