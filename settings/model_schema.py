"""Navigates pydantic's JSON schemas, so that nothing here has to interpret type annotations."""

import functools
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from settings.problems import Location

JsonSchema = Mapping[str, Any]  # `Any`: JSON


@functools.cache
def model_schema(model: type[BaseModel]) -> JsonSchema:
    """Return a model's JSON schema, with the keys as a file spells them."""
    return model.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")


def resolve(schema: JsonSchema, definitions: JsonSchema) -> JsonSchema:
    """Return a schema with its reference replaced by the definition, and `X | None` by `X`. Its own keys win."""
    own = {key: value for key, value in schema.items() if key not in {"$ref", "anyOf"}}
    if "$ref" in schema:
        return {**definitions[schema["$ref"].rsplit("/", 1)[-1]], **own}
    if "anyOf" in schema:
        option = next(option for option in schema["anyOf"] if option.get("type") != "null")
        return {**resolve(option, definitions), **own}
    return schema


def keys_at(model: type[BaseModel], location: Location) -> list[str]:
    """Return the keys that a model knows at a location; none if the location holds no model."""
    root = model_schema(model)
    definitions = root.get("$defs", {})
    schema = root
    for step in location:
        properties = schema.get("properties", {})
        child = properties.get(step) or schema.get("items" if isinstance(step, int) else "additionalProperties")
        schema = resolve(child, definitions) if isinstance(child, Mapping) else {}
    return list(schema.get("properties", {}))
