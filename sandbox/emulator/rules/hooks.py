"""How rules are registered, and how a refusal becomes a response of its service."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ministack.services import alb, autoscaling, cloudfront, ec2, iam, kms, rds

from sandbox.emulator.patches.hooks import Handler, wrap

BAD_REQUEST = HTTPStatus.BAD_REQUEST.value
# How each service writes an error; ministack's functions for it have different arguments.
RESPONSES: dict[Any, Callable[[str, str], Any]] = {
    ec2: lambda code, message: ec2._error(code, message, BAD_REQUEST),
    rds: lambda code, message: rds._error(code, message, BAD_REQUEST),
    alb: alb._error,
    autoscaling: autoscaling._error,
    cloudfront: lambda code, message: cloudfront._error(code, message, BAD_REQUEST),
    kms: lambda code, message: kms.error_response_json(code, message, BAD_REQUEST),
    iam: lambda code, message: iam._error(BAD_REQUEST, code, message),
}


@dataclass(frozen=True)
class Refusal:
    """Why AWS refuses a request: the code and the message of its error."""

    code: str
    message: str


Check = Callable[..., Refusal | None]


@dataclass(frozen=True)
class Rule:
    """A rule that AWS has and ministack alone does not.

    Attributes:
        check: Looks at a request, and at what exists.
        module: The service's module of ministack.
        handlers: The functions in it that the rule is for.
        source: Where AWS, or someone whose request it refused, says so.
    """

    check: Check
    module: Any
    handlers: tuple[str, ...]
    source: str


RULES: list[Rule] = []


def rule(module: Any, *handlers: str, source: str) -> Callable[[Check], Check]:
    """Register a function as a rule for some requests of a service."""

    def register(check: Check) -> Check:
        RULES.append(Rule(check, module, handlers, source))
        return check

    return register


def apply() -> None:
    """Apply every rule, for every request from now on."""
    for entry in RULES:
        for handler in entry.handlers:
            wrap(entry.module, handler, checked(entry))


def checked(entry: Rule) -> Handler:
    """Return a wrapper that asks a rule before a request is served."""

    def serve(original: Handler, *arguments: Any, **keywords: Any) -> Any:
        refusal = entry.check(*arguments)
        if refusal:
            return RESPONSES[entry.module](refusal.code, refusal.message)
        return original(*arguments, **keywords)

    return serve
