"""Translates pydantic's errors into violations: the rule, and a sentence that says what to write instead."""

from collections.abc import Mapping

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from settings.model_schema import keys_at
from settings.problems import Location, Rule, Violation, did_you_mean

LONGEST_VALUE = 60  # characters of a value that a message repeats
TYPE_NAMES = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a map",
    "model_type": "a map",
}
BOUNDS = {"greater_than_equal": ("ge", "at least"), "less_than_equal": ("le", "at most")}
LENGTHS = {"too_short": ("min_length", "at least"), "too_long": ("max_length", "at most")}
ENCRYPTED_VALUE = (
    "encrypted values are not supported: Pulumi would treat the whole block as a secret, and nobody could review it. "
    "Store the secret as a SecureString in AWS's Parameter Store, below /<environment>/<service>/."
)


def violations_of(error: ValidationError, model: type[BaseModel]) -> list[Violation]:
    """Return a violation for each error that validating a model raised."""
    return [_violation(details, model) for details in error.errors(include_url=False)]


def _violation(details: ErrorDetails, model: type[BaseModel]) -> Violation:
    """Return the violation that describes one error."""
    location: Location = tuple(details["loc"])
    key = str(location[-1]) if location else ""
    if "environment_variables" in location[:-1]:
        # The value may be a secret, so it is not repeated.
        return Violation(location, Rule.VARIABLE_NOT_TEXT, "must be text in quotes.")
    if key == "secure":
        return Violation(location, Rule.ENCRYPTED_VALUE, ENCRYPTED_VALUE)
    if details["type"] == "extra_forbidden":
        keys = keys_at(model, location[:-1])
        message = f"unknown key.{did_you_mean(key, keys)} Known keys: {', '.join(keys)}."
        return Violation(location, Rule.UNKNOWN_KEY, message)
    if details["type"] == "missing":
        return Violation(location, Rule.MISSING_KEY, "is required and has no default.")
    rule, message = _describe_value(details)
    return Violation(location, rule, message)


def _describe_value(details: ErrorDetails) -> tuple[Rule, str]:
    """Return the rule that a value breaks, and what is wrong with it."""
    kind, value, context = details["type"], details["input"], details.get("ctx") or {}
    if kind in set(Rule):  # one of our own validators: its message is complete
        return Rule(kind), details["msg"]
    if kind == "string_type" and isinstance(value, int | float) and not isinstance(value, bool):
        message = (
            f"must be text, but is the number {value}. Write it in quotes, because YAML drops the trailing zeros of "
            "numbers: 16.10 becomes 16.1."
        )
        return Rule.UNQUOTED_NUMBER, message
    if kind == "string_pattern_mismatch":
        return Rule.INVALID_FORMAT, f"{value!r} does not match the pattern {context['pattern']}."
    if kind == "literal_error":
        return Rule.INVALID_CHOICE, f"must be one of {context['expected']}, but is {_shortened(value)}."
    if kind in TYPE_NAMES:
        return Rule.WRONG_TYPE, f"must be {TYPE_NAMES[kind]}, but is {_shortened(value)}."
    if kind in BOUNDS:
        bound, words = BOUNDS[kind]
        return Rule.OUT_OF_RANGE, f"must be {words} {context[bound]}, but is {value}."
    if kind in LENGTHS:
        return Rule.WRONG_LENGTH, _describe_length(kind, context)
    return Rule.INVALID_VALUE, f"{_shortened(value)} is not valid: {details['msg']}."


def _describe_length(kind: str, context: Mapping[str, object]) -> str:
    """Return what is wrong with the number of items in a list."""
    bound, words = LENGTHS[kind]
    return f"must have {words} {context[bound]} items, but has {context['actual_length']}."


def _shortened(value: object) -> str:
    """Return a value as a message repeats it."""
    if value is None:
        return "empty"
    text = repr(value)
    return text if len(text) < LONGEST_VALUE else f"a long {type(value).__name__}"
