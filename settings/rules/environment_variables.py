"""Rules for a release's environment variables. No message repeats a value, because it may be a secret."""

import re
from collections.abc import Iterator

from settings.model_errors import ENCRYPTED_VALUE
from settings.models import Release
from settings.problems import Location, Rule, Violation

VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The variables that components/container_environment.py sets itself.
RESERVED_VARIABLES = frozenset(
    {
        "ENVIRONMENT",
        "RELEASE",
        "PORT",
        "AWS_REGION",
        "DATABASE_HOST",
        "DATABASE_PORT",
        "DATABASE_NAME",
        "DATABASE_SECRET_ARN",
        "FILES_BUCKET",
        "FILES_URL",
        "MAIL_CONFIGURATION_SET",
    }
)
# Names that people give to secrets: whole words between underscores, unless the name ends in a word for a count, a time
# or a reference, as PASSWORD_MIN_LENGTH and DB_SECRET_ARN do.
SECRET_NAME = re.compile(
    r"(?i)(^|_)(pass|pwd|pass(words?|wd|code|phrase)|secrets?|tokens?|credentials?|salt|pepper|pat"
    r"|(api|private|access|signing|encryption|decryption|jwt|hmac|session|cookie|master|shared|webhook)_?keys?)"
    r"(?!.*_(arn|name|id|path|url|parameter|length|seconds|minutes|hours|days|ttl|count|rounds|limit|max|min|enabled)$)"
    r"(_|$)"
)
# Any other key is one if its value looks random, unless the name says that everybody may know it.
KEY_NAME = re.compile(r"(?i)(^|_)keys?$")
PUBLIC_KEY_NAME = re.compile(r"(?i)(^|_)(public|publishable|site)_?keys?$")
RANDOM_VALUE = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9+/=_-]{16,}")
# Values that are no secret, whatever their name: they are too short to be one.
HARMLESS_VALUE = re.compile(r"(?i)\d{1,6}|true|false|on|off|yes|no|")
# The forms of secrets that their issuers document. `./infra check` also asks detect-secrets, see cli/secret_scan.py.
SECRET_VALUE = re.compile(
    r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"  # AWS access keys
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b(sk|rk)_live_[A-Za-z0-9]{8,}"  # Stripe's live keys
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}"  # GitHub's tokens
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bhooks\.slack\.com/(services|workflows)/[A-Za-z0-9/]{16,}"  # Slack
    r"|\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\."  # JSON Web Tokens
    r"|(?i:\b(pwd|password|passwd|accountkey|sharedaccesskey)\s*=\s*[^;\s]+)"  # connection strings
    r"|://[^/\s:@]*:[^/\s:@]+@"  # URLs that contain a password
)


def check_environment_variables(service_location: Location, release: Release) -> Iterator[Violation]:
    """Yield variables that a container cannot have, that the program sets itself, or that look like secrets."""
    for name, value in release.environment_variables.items():
        location = (*service_location, "release", "environment_variables", name)
        if name == "secure":  # what `pulumi config set --secret` writes
            yield Violation(location, Rule.ENCRYPTED_VALUE, ENCRYPTED_VALUE)
        if not VARIABLE_NAME.fullmatch(name):
            message = "is not a valid variable name. Use letters, digits and _, and do not start with a digit."
            yield Violation(location, Rule.INVALID_VARIABLE_NAME, message)
        if "\n" in value or "\x00" in value:
            message = "has more than one line. A container's environment variable must be a single line."
            yield Violation(location, Rule.MULTI_LINE_VARIABLE, message)
        if name in RESERVED_VARIABLES:
            message = "is set by the program (components/container_environment.py). Remove it or choose another name."
            yield Violation(location, Rule.RESERVED_VARIABLE, message)
        if looks_like_a_secret(name, value):
            yield secret_violation(location, str(service_location[1]), name)


def secret_violation(location: Location, service: str, name: str) -> Violation:
    """Return the violation of a variable whose value looks like a secret."""
    message = (
        "looks like a secret, which would be readable in the repository, in Pulumi's state and on the servers. "
        f"Store it as the SecureString /<environment>/{service}/{name} in AWS's Parameter Store; only this service's "
        "servers can read it there."
    )
    return Violation(location, Rule.LOOKS_LIKE_A_SECRET, message)


def looks_like_a_secret(name: str, value: str) -> bool:
    """Tell whether a variable is probably a secret, by its name or by the form of its value."""
    is_named_like_one = SECRET_NAME.search(name) is not None and not HARMLESS_VALUE.fullmatch(value)
    is_key = KEY_NAME.search(name) is not None and RANDOM_VALUE.fullmatch(value) is not None
    return is_named_like_one or (is_key and not PUBLIC_KEY_NAME.search(name)) or SECRET_VALUE.search(value) is not None
