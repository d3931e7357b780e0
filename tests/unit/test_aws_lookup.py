"""Which types of resources `./infra up` can look for after it was killed."""

import pytest

from cli.aws_lookup import FINDERS, REPEATABLE, WAITERS
from tests.unit.conftest import STACKS, program_run


@pytest.mark.parametrize("stack", STACKS)
def test_every_type_of_the_program_can_be_looked_for(stack: str) -> None:
    """A type that nobody knows how to look for would need a person after a kill."""
    types = {resource.type for resource in program_run(stack).resources.values() if resource.type.startswith("aws:")}
    assert types <= FINDERS.keys() | REPEATABLE


def test_a_type_is_either_looked_for_or_repeatable() -> None:
    """Otherwise the finder would never be used."""
    assert not FINDERS.keys() & REPEATABLE
    assert FINDERS.keys() >= WAITERS.keys()
