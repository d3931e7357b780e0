"""How releases move through the environments: project configuration in Pulumi.yaml, the same for every stack."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from settings.model_errors import violations_of
from settings.models import Strict
from settings.problems import Location, Problem, Rule, SettingsError
from settings.project_files import PROJECT_FILE, PROMOTION
from settings.yaml_document import YamlDocument, read

EnvironmentName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,9}$")]
Minutes = Annotated[int, Field(ge=0, le=60 * 24 * 30)]
LOCATION: Location = ("config", PROMOTION, "default")


class Promotion(Strict):
    """The promotion path, and the soak times on it."""

    path: list[EnvironmentName] = Field(
        min_length=1,
        description="The environments in the order in which releases move through them. Releases reach the first one "
        "from CI. An environment beside the path, such as staging, has no soak time.",
    )
    soak_minutes: dict[EnvironmentName, Minutes] = Field(
        description="For each environment of the path except the last: how many minutes a release must run there "
        "before it may be promoted (0 to 43200, which is 30 days). If it is too short, faults appear in the next "
        "environment.",
    )

    @model_validator(mode="after")
    def _check_path(self) -> "Promotion":
        if len(set(self.path)) != len(self.path):
            raise PydanticCustomError(Rule.DUPLICATE_ITEM.value, "path names an environment twice. Name each one once.")
        sources = self.path[:-1]
        if set(self.soak_minutes) != set(sources):
            message = (
                f"soak_minutes must have a value for each of: {', '.join(sources) or 'nothing'}, and for no other."
            )
            raise PydanticCustomError(Rule.INVALID_VALUE.value, "{message}", {"message": message})
        return self


def read_promotion(folder: Path) -> tuple[Promotion | None, list[Problem]]:
    """Return the promotion settings of the project, or None, with the problems in Pulumi.yaml."""
    document = read(folder / PROJECT_FILE)
    values = document.values.get("config")
    for key in LOCATION[1:]:
        values = values.get(key) if isinstance(values, dict) else None
    if document.problems:
        return None, list(document.problems)
    try:
        return Promotion.model_validate(values), []
    except ValidationError as error:
        return None, [
            _problem(document, error_location, rule, text)
            for error_location, rule, text in violations_of(error, Promotion)
        ]


def _problem(document: YamlDocument, location: Location, rule: Rule, message: str) -> Problem:
    """Return a problem of the promotion settings. Its path omits `config` and `default`, as `./infra explain` does."""
    return document.problem((*LOCATION, *location), rule, message, (PROMOTION, *location))


def load_promotion(folder: Path) -> Promotion:
    """Return the promotion settings of the project; SettingsError lists every problem."""
    promotion, problems = read_promotion(folder)
    if promotion is None:
        raise SettingsError(problems)
    return promotion
