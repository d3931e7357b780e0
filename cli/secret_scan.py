"""Searches the values of environment variables for secrets that detect-secrets recognizes.

The program itself only knows names and the most common forms: loading all detectors takes longer than all its other
checks.
"""

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from settings.check import problem_at
from settings.models import Settings
from settings.problems import Problem
from settings.project_files import environment_file
from settings.rules.environment_variables import secret_violation
from settings.yaml_document import read

# Addresses are no secrets, names of variables have rules of their own, and digests and ids are as random as secrets.
NOT_USED = frozenset({"Public IP (ipv4)", "Secret Keyword", "Base64 High Entropy String", "Hex High Entropy String"})
SHORTEST_SECRET = 16  # characters; the forms that the detectors know are longer


def problems(folder: Path, environments: Mapping[str, Settings]) -> Iterator[Problem]:
    """Yield the variables of valid environments whose values are secrets."""
    for environment, settings in environments.items():
        document = read(folder / environment_file(environment))
        for service, block in settings.services.items():
            for name, value in block.release.environment_variables.items():
                if is_secret(value):
                    location = ("services", service, "release", "environment_variables", name)
                    yield problem_at(document, secret_violation(location, service, name))


def is_secret(value: str) -> bool:
    """Tell whether a value has the form of a secret. The detectors are only loaded if there is a value to search."""
    return len(value) >= SHORTEST_SECRET and any(
        True for detector in detectors() for _ in detector.analyze_string(value)
    )


@functools.cache
def detectors() -> list[Any]:
    """Return the detectors. Nothing is verified with the issuers of secrets, which would need the network."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class  # noqa: PLC0415 takes 0.3 s

    types: dict[str, Any] = get_mapping_from_secret_type_to_class()
    return [detector() for name, detector in types.items() if name not in NOT_USED]
