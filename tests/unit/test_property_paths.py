"""Which property paths a preview shows as changed."""

from typing import Any

import pytest

from sandbox.bridge.property_paths import differing_paths


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ({"a": 1}, {"a": 2}, {"a": "update"}),
        ({}, {"a": 1}, {"a": "add"}),
        ({"a": 1}, {}, {"a": "delete"}),
        ({"a": {"b.c": [1]}}, {"a": {"b.c": [1, 2]}}, {'a["b.c"][1]': "add"}),
        ({}, {"a": "", "b": [], "c": {}, "d": False, "e": 0}, {}),
        ({"a": "", "b": [], "c": {}, "d": False, "e": 0}, {}, {}),
        ({"a": 7}, {"a": 0}, {"a": "update"}),
        ({"a": [1]}, {"a": []}, {"a[0]": "delete"}),
    ],
)
def test_a_missing_value_is_the_same_as_an_empty_one(old: Any, new: Any, paths: dict[str, str]) -> None:
    """A value that becomes empty is still a change. Any: property values are JSON of any kind."""
    assert dict(differing_paths(old, new)) == paths
