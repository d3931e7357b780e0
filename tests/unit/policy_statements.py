"""Reads policies as the program registers them."""

import json
from typing import Any


def statements(policy: str) -> dict[str, dict[str, Any]]:
    """Return a policy's statements by their Sid, or by their position if they have none. Any: a policy's JSON."""
    return {
        statement.get("Sid", str(index)): statement for index, statement in enumerate(json.loads(policy)["Statement"])
    }
