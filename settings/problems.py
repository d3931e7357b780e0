"""What a check reports: which rule a file breaks, where, what would happen, and what to write instead."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from common.console import count
from common.errors import InfraError

Location = tuple[str | int, ...]


class Rule(StrEnum):
    """The rules that environment files and service specs must obey. A snapshot test collects the message of each."""

    # The file and its YAML
    MISSING_FILE = "missing-file"
    UNREADABLE_FILE = "unreadable-file"
    FILE_TOO_LARGE = "file-too-large"
    NOT_UTF_8 = "not-utf-8"
    EMPTY_FILE = "empty-file"
    INVALID_YAML = "invalid-yaml"
    TAB_INDENTATION = "tab-indentation"
    YAML_ANCHOR = "yaml-anchor"
    YAML_TAG = "yaml-tag"
    AMBIGUOUS_VALUE = "ambiguous-value"
    UNUSUAL_LINE_BREAK = "unusual-line-break"
    DUPLICATE_KEY = "duplicate-key"
    INVALID_KEY = "invalid-key"
    NESTED_TOO_DEEPLY = "nested-too-deeply"
    MISSING_CONFIG = "missing-config"

    # Keys and types
    UNKNOWN_KEY = "unknown-key"
    MISSING_KEY = "missing-key"
    WRONG_TYPE = "wrong-type"
    UNQUOTED_NUMBER = "unquoted-number"
    INVALID_FORMAT = "invalid-format"
    INVALID_CHOICE = "invalid-choice"
    INVALID_VALUE = "invalid-value"
    OUT_OF_RANGE = "out-of-range"
    WRONG_LENGTH = "wrong-length"
    DUPLICATE_ITEM = "duplicate-item"
    ENCRYPTED_VALUE = "encrypted-value"

    # Identity of the environment
    INVALID_ENVIRONMENT_NAME = "invalid-environment-name"
    INVALID_ACCOUNT_LIST = "invalid-account-list"
    INVALID_DOMAIN = "invalid-domain"
    INVALID_EMAIL = "invalid-email"
    INVALID_TIME = "invalid-time"

    # Network and DNS
    INVALID_NETWORK = "invalid-network"
    INVALID_NETWORK_SIZE = "invalid-network-size"
    PUBLIC_NETWORK = "public-network"
    RESERVED_NETWORK = "reserved-network"
    NON_CANONICAL_NETWORK = "non-canonical-network"
    INVALID_IP_RANGE = "invalid-ip-range"
    INVALID_ZONE = "invalid-zone"
    ZONE_OUTSIDE_REGION = "zone-outside-region"
    DUPLICATE_ZONE = "duplicate-zone"
    INVALID_DELEGATION = "invalid-delegation"
    INVALID_NAME_SERVERS = "invalid-name-servers"
    DELEGATED_HOST = "delegated-host"
    INVALID_DNS_RECORD = "invalid-dns-record"
    CONFLICTING_DNS_RECORD = "conflicting-dns-record"
    INCOMPLETE_MAIL_RECORDS = "incomplete-mail-records"
    DOMAIN_OF_A_HOST = "domain-of-a-host"
    HOST_TOO_LONG = "host-too-long"

    # One service
    BROKEN_SERVICE_FILE = "broken-service-file"
    UNKNOWN_SERVICE = "unknown-service"
    SERVICE_NAME_TOO_LONG = "service-name-too-long"
    IMAGE_WITHOUT_DIGEST = "image-without-digest"
    INVALID_INSTANCE_TYPE = "invalid-instance-type"
    ARCHITECTURE_MISMATCH = "architecture-mismatch"
    MINIMUM_ABOVE_MAXIMUM = "minimum-above-maximum"
    MISSING_WEBSOCKET = "missing-websocket"
    IDLE_TIMEOUT_TOO_SHORT = "idle-timeout-too-short"

    # Databases
    MISSING_DATABASE = "missing-database"
    UNUSED_DATABASE = "unused-database"
    MISSING_DATABASE_ENGINE = "missing-database-engine"
    UNSUPPORTED_DATABASE_ENGINE = "unsupported-database-engine"
    UNSUPPORTED_DATABASE_CLASS = "unsupported-database-class"
    CONFLICTING_RESTORE = "conflicting-restore"
    MAXIMUM_STORAGE_TOO_SMALL = "maximum-storage-too-small"
    RECOVERY_TOO_SLOW = "recovery-too-slow"

    # Environment variables
    VARIABLE_NOT_TEXT = "variable-not-text"
    INVALID_VARIABLE_NAME = "invalid-variable-name"
    MULTI_LINE_VARIABLE = "multi-line-variable"
    RESERVED_VARIABLE = "reserved-variable"
    LOOKS_LIKE_A_SECRET = "looks-like-a-secret"  # noqa: S105 the id of a rule

    # Services that share hosts
    INVALID_PRIORITY = "invalid-priority"
    DUPLICATE_PRIORITY = "duplicate-priority"
    DUPLICATE_ROUTE = "duplicate-route"
    DUPLICATE_RECORD = "duplicate-record"
    IMPOSSIBLE_REDIRECT = "impossible-redirect"
    UNREACHABLE_RULE = "unreachable-rule"
    HOST_ON_TWO_LOAD_BALANCERS = "host-on-two-load-balancers"
    HOST_WITHOUT_OWNER = "host-without-owner"

    # The minimum for production
    PRODUCTION_ZONES = "production-zones"
    PRODUCTION_NAT = "production-nat"
    PRODUCTION_BACKUPS = "production-backups"
    PRODUCTION_DATA_PROTECTION = "production-data-protection"
    PRODUCTION_MULTI_AZ = "production-multi-az"
    PRODUCTION_SERVERS = "production-servers"

    # Two environments
    OVERLAPPING_NETWORK = "overlapping-network"
    SHARED_ACCOUNT = "shared-account"
    SHARED_DOMAIN = "shared-domain"


@dataclass(frozen=True, order=True)
class Problem:
    """One broken rule in one file.

    file: its name, without a folder.
    line, column: count from 1. A missing key has the position of its parent; 0 if the file has no position to show.
    path: the key, such as `services.members.release.image`; empty if the whole file is concerned.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    rule: Rule

    def __str__(self) -> str:
        """Return the format of compilers: `Pulumi.beta.yaml:12:9: services.members.sizing: ...`."""
        position = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{position}: {self.path}: {self.message}" if self.path else f"{position}: {self.message}"


class Violation(NamedTuple):
    """A broken rule. Its location is the path of a key in the settings; a Problem adds the line in the file."""

    location: Location
    rule: Rule
    message: str


class SettingsError(InfraError):
    """An environment's settings cannot be used. The text lists every problem; `problems` has them as data."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Sort the problems by file and position."""
        self.problems = sorted(problems)
        lines = [
            f"The configuration has {count(len(self.problems), 'problem')}. Nothing was created or changed.",
            *(f"  {problem}" for problem in self.problems),
        ]
        super().__init__("\n".join(lines))


def format_location(location: Location) -> str:
    """Return a location as people write it: `services.members.release.image`, `network.zones[0]`."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def nearest_name(word: str, names: Iterable[str]) -> str:
    """Return the name that is most like a word, or an empty text if none is close."""
    return next(iter(difflib.get_close_matches(word, list(names), n=1, cutoff=0.5)), "")


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """Return ` Did you mean ...?` to append to a sentence, or an empty text if no name is close."""
    name = nearest_name(word, names)
    return f" Did you mean `{name}`?" if name else ""
