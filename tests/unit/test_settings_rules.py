"""Rules that need more than one value: secrets by their names, and services that share hosts."""

import asyncio
from pathlib import Path
from unittest.mock import Mock

import pytest

from services import all_services
from settings.problems import Rule
from settings.rules.environment_variables import RESERVED_VARIABLES
from settings.rules.routing import check_routing
from tests.unit.mistakes import WrongSpec, problems_after, wrong_specs

SIGN_UP = '{SIGN_UP: "open"}'


@pytest.mark.parametrize(
    "variables",
    [
        '{PASSWORD_MIN_LENGTH: "12"}',
        '{MAX_TOKENS: "100"}',
        '{TOKEN_LIFETIME_SECONDS: "3600"}',
        '{PASSWORDLESS_LOGIN: "on"}',
        '{TOKENIZER_MODEL: "m"}',
        '{DB_SECRET_ARN: "arn"}',
        '{API_KEY_ENABLED: "true"}',
        '{SALT_ROUNDS: "twelve"}',
        '{PUBLIC_KEY: "a1b2c3d4e5f6a7b8"}',
        '{STRIPE_PUBLISHABLE_KEY: "pk_test_a1b2c3d4e5f6"}',
        '{SORT_KEY: "created_at"}',
    ],
)
def test_a_variable_that_only_resembles_a_secret_is_accepted(samples: Path, variables: str) -> None:
    """Counts, times, switches and references may have names that contain a word for a secret."""
    assert problems_after(samples, "alpha", SIGN_UP, variables) == []


@pytest.mark.parametrize(
    "variables",
    [
        '{DB_PASS: "hunter2x"}',
        '{STRIPE_SECRET: "abcdefgh"}',
        '{ACCESS_TOKEN: "abcdefgh"}',
        '{X: "-----BEGIN RSA PRIVATE KEY-----"}',
        *(f'{{{name}: "hunter2x"}}' for name in ("SIGNING_KEY", "ENCRYPTION_KEY", "JWT_KEY", "SALT", "GITHUB_PAT")),
        '{PASSWORDS: "one,two"}',
        '{MAPS_KEY: "a1b2c3d4e5f6a7b8"}',
        '{X: "github_pat_11ABCDEFG0123456789ab"}',
        '{X: "xoxb-123456789012-abcdef"}',
        '{X: "https://hooks.slack.com/services/T0001/B0001/abcdefgh"}',
        '{X: "Server=db;User Id=app;Pwd=hunter2"}',
        '{X: "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl"}',
    ],
)
def test_a_variable_that_looks_like_a_secret_is_reported(samples: Path, variables: str) -> None:
    """A secret is recognized by its name or by its value."""
    problems = problems_after(samples, "alpha", SIGN_UP, variables)
    assert [problem.rule for problem in problems] == [Rule.LOOKS_LIKE_A_SECRET]


@pytest.mark.parametrize("wrong", wrong_specs(), ids=lambda wrong: wrong.rule.value)
def test_services_that_hide_each_other_are_reported(wrong: WrongSpec) -> None:
    """Listener rules, hosts and records of two services that conflict are reported for the second service."""
    violations = [(violation.location, violation.rule) for violation in check_routing(wrong.specs)]
    assert (("services", wrong.service), wrong.rule) in violations


def test_the_committed_services_do_not_hide_each_other() -> None:
    """The services of the repository can all be enabled together."""
    assert list(check_routing(all_services())) == []


def test_the_reserved_variables_are_those_that_the_program_sets() -> None:
    """A release cannot set any variable that a container gets from its service's resources."""
    from components.container_environment import container_environment

    async def variables() -> set[str]:  # outputs need an event loop
        release, cdn = Mock(environment_variables={}, version="1.0.0"), Mock(host="static.example.com")
        return set(container_environment(Mock(), release, Mock(), database=Mock(), cdn=cdn, mail=Mock()))

    assert asyncio.run(variables()) == RESERVED_VARIABLES
