"""How rules are registered, and how a refusal becomes a response of its service."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import (
    acm,
    alb,
    autoscaling,
    cloudfront,
    cloudwatch,
    cloudwatch_logs,
    ec2,
    ecr,
    iam,
    kms,
    rds,
    route53,
    s3,
    secretsmanager,
    sns,
)

from sandbox.emulator.patches.hooks import Handler, wrap

BAD_REQUEST = HTTPStatus.BAD_REQUEST.value


def json_error(code: str, message: str, *_request: Any) -> Any:
    """Return an error of a service with a JSON protocol."""
    return error_response_json(code, message, BAD_REQUEST)


# How each service writes an error; ministack's functions for it have different arguments. CloudWatch answers in the
# protocol of the request, which its handlers get as arguments.
RESPONSES: dict[Any, Callable[..., Any]] = {
    ec2: lambda code, message, *_: ec2._error(code, message, BAD_REQUEST),
    rds: lambda code, message, *_: rds._error(code, message, BAD_REQUEST),
    alb: lambda code, message, *_: alb._error(code, message),
    autoscaling: lambda code, message, *_: autoscaling._error(code, message),
    cloudfront: lambda code, message, *_: cloudfront._error(code, message, BAD_REQUEST),
    iam: lambda code, message, *_: iam._error(BAD_REQUEST, code, message),
    s3: lambda code, message, *_: s3._error(code, message, BAD_REQUEST),
    sns: lambda code, message, *_: sns._error(code, message, BAD_REQUEST),
    route53: lambda code, message, *_: route53._error_response(code, message),
    cloudwatch: lambda code, message, _parameters, _data, is_cbor, is_json=False: cloudwatch._error(
        code, message, BAD_REQUEST, is_json, is_cbor
    ),
    ecr: json_error,
    kms: json_error,
    acm: json_error,
    secretsmanager: json_error,
    cloudwatch_logs: json_error,
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
            return RESPONSES[entry.module](refusal.code, refusal.message, *arguments)
        return original(*arguments, **keywords)

    return serve
