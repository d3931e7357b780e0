"""What is wrong in a stack's file: where, what would go wrong, and what to write instead."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Location = tuple[str | int, ...]


@dataclass(frozen=True, order=True)
class Problem:
    """One problem. line and column count from 1; 0 where the place has none (a key that is missing has its parent's)."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        """Return it as compilers do: `Pulumi.beta.yaml:12:9: services.members.sizing: ...`."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class SettingsError(Exception):
    """The files cannot be used; the text holds every problem, one a line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Keep the problems in the order of their places."""
        self.problems = sorted(problems)
        count = f"{len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}"
        super().__init__("\n".join([f"the configuration has {count}; nothing was created or changed:", *(f"  {problem}" for problem in self.problems)]))


def dotted(location: Location) -> str:
    """Return a place as people write it: `services.members.release.image`, `network.zones[0]`."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word most like this one, or an empty text."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)), "")


def names_of(model: type[BaseModel]) -> list[str]:
    """Return the keys of a model as a file writes them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def explain(error: ErrorDetails, known: Sequence[str]) -> str:
    """Return one of pydantic's errors as a sentence that says what to write."""
    kind, given = error["type"], error.get("input")
    context: Mapping[str, object] = error.get("ctx") or {}
    key = str(error["loc"][-1]) if error["loc"] else ""
    if "environment_variables" in error["loc"][:-1]:
        return "must be text in quotes"  # whatever it is, it might be a secret: it is not repeated
    if key == "secure":
        return "is an encrypted value, which would make the whole block a secret that nobody can review. Refer to secrets by name (docs/real-aws.md)"
    if kind == "extra_forbidden":
        guess = nearest(key, known)
        return f"is not a known key{f'; did you mean {guess!r}?' if guess else ''} Known here: {', '.join(known)}"
    if kind == "missing":
        return "is missing; it has no default"
    return explain_value(kind, given, context, error["msg"])


def explain_value(kind: str, given: object, context: Mapping[str, object], told: str) -> str:
    """Return what is wrong with a value that stands where one belongs."""
    if kind == "string_type" and isinstance(given, int | float) and not isinstance(given, bool):
        return f'is the number {given}, and must be text: YAML reads 16.10 as 16.1. Put it in quotes: "{given}" (as you meant it)'
    if kind == "value_error":
        return f"{given!r} {told.removeprefix('Value error, ')}"
    if kind == "string_pattern_mismatch":
        return f"{given!r} does not have the form {context.get('pattern')}"
    if kind == "literal_error":
        return f"is {given!r}; it must be one of {context.get('expected')}"
    wrong_type = {
        "string_type": "text",
        "int_type": "a whole number",
        "bool_type": "true or false",
        "list_type": "a list",
        "dict_type": "a map of keys",
        "model_type": "a map of keys",
    }
    if kind in wrong_type:
        shown = "nothing" if given is None else repr(given) if len(repr(given)) < 60 else type(given).__name__  # noqa: PLR2004 a line's worth
        return f"must be {wrong_type[kind]}, and is {shown}"
    bounds = {"greater_than_equal": ("ge", "at least"), "less_than_equal": ("le", "at most")}
    if kind in bounds:
        name, words = bounds[kind]
        return f"is {given}; it must be {words} {context.get(name)}"
    return f"{told} (it is {given!r})" if not isinstance(given, dict | list) else told


def model_at(model: type[BaseModel], location: Location) -> type[BaseModel] | None:
    """Return the model that holds the key at a location, by walking the fields' types."""
    current: object = model
    for step in location[:-1]:
        current = step_into(current, step)
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def step_into(current: object, step: str | int) -> object:
    """Return the type one step further."""
    if isinstance(current, type) and issubclass(current, BaseModel):
        field = next((field for name, field in current.model_fields.items() if step in {name, field.alias}), None)
        return unwrap(field.annotation) if field else None
    arguments: tuple[object, ...] = getattr(current, "__args__", ())
    return unwrap(arguments[-1]) if arguments else None


def unwrap(annotation: object) -> object:
    """Return the model in `Model | None`."""
    arguments = [argument for argument in getattr(annotation, "__args__", ()) if argument is not type(None)]
    is_optional = type(None) in getattr(annotation, "__args__", ())
    return arguments[0] if is_optional and arguments else annotation


def details(error: ValidationError, model: type[BaseModel]) -> list[tuple[Location, str]]:
    """Return (location, sentence) of each error of a model."""
    out: list[tuple[Location, str]] = []
    for item in error.errors(include_url=False):
        location = tuple(item["loc"])
        holder = model_at(model, location)
        out.append((location, explain(item, names_of(holder) if holder else [])))
    return out
