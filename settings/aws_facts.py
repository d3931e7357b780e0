"""What AWS takes, as far as it can be known without asking: sources beside each."""

import re

# Families that RDS for PostgreSQL runs on: RDS user guide, "Supported DB engines for DB instance classes".
DATABASE_FAMILIES = frozenset(
    [
        "t3",
        "t4g",
        "m5",
        "m5d",
        "m6g",
        "m6gd",
        "m6i",
        "m6id",
        "m6idn",
        "m6in",
        "m7g",
        "m7i",
        "m8g",
        "m8gd",
        "r5",
        "r5b",
        "r5d",
        "r6g",
        "r6gd",
        "r6i",
        "r6id",
        "r6idn",
        "r6in",
        "r7g",
        "r7i",
        "r8g",
        "r8gd",
        "x2g",
        "x2idn",
        "x2iedn",
        "x2iezn",
        "c6gd",
    ]
)
SIZES = frozenset(
    [
        "micro",
        "small",
        "medium",
        "large",
        "xlarge",
        "2xlarge",
        "4xlarge",
        "6xlarge",
        "8xlarge",
        "9xlarge",
        "10xlarge",
        "12xlarge",
        "16xlarge",
        "18xlarge",
        "24xlarge",
        "32xlarge",
        "48xlarge",
        "metal",
    ]
)
BURSTABLE_ONLY_SIZES = frozenset({"micro", "small", "medium"})
BURSTABLE_FAMILIES = frozenset({"t3", "t4g"})
LARGEST_BURSTABLE = frozenset(["micro", "small", "medium", "large", "xlarge", "2xlarge"])
# Major versions in RDS standard support, and the first minor version of each that RDS offered for new instances
# (RDS user guide, "Release calendar for Amazon RDS for PostgreSQL").
POSTGRES_FIRST_MINOR = {14: 12, 15: 7, 16: 3, 17: 2, 18: 1}
# What people call secrets; a variable of such a name, or such a value, does not belong into a file.
# Whole words between underscores, and not where the name goes on to say that it is a count, a time or a reference.
SECRET_NAME = re.compile(
    r"(?i)(^|_)(pass|passw(or)?d|passphrase|secret|token|api_?key|private_?key|access_?key|credentials?)"
    r"(?!.*_(arn|name|id|path|url|parameter|length|seconds|minutes|hours|days|ttl|count|limit|max|min|enabled)$)(_|$)"
)
NO_SECRET = re.compile(r"(?i)\d{1,6}|true|false|on|off|yes|no|")  # too short to be one, whatever the name
SECRET_VALUE = re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----|\b(sk|rk)_live_[A-Za-z0-9]{8,}|\bgh[pousr]_[A-Za-z0-9]{20,}|://[^/\s:@]+:[^/\s:@]+@")
# A single instance that is lost with its zone is restored from backups: half an hour until a new instance of the smallest
# size takes connections, and a minute for each 10 GB to be read back. An estimate on the safe side; a restore drill in the
# environment replaces it.
RESTORE_BASE_MINUTES, RESTORE_GB_PER_MINUTE = 30, 10


def architecture_of(instance_type: str) -> str | None:
    """Return the architecture of an EC2 instance type: AWS's own processors have a `g` behind the generation's number."""
    match = re.match(r"^(?P<letters>[a-z]+)(?P<generation>\d+)(?P<attributes>[a-z-]*)\.", instance_type)
    if match is None:
        return None
    return "arm64" if "g" in match["attributes"] or instance_type.startswith("a1.") else "x86_64"


def problem_of_class(instance_class: str) -> str:
    """Return what is wrong with an RDS instance class, or an empty text."""
    _, family, size = instance_class.split(".")
    if family not in DATABASE_FAMILIES:
        return f"has the family {family!r}, which RDS does not run PostgreSQL on. Known: {', '.join(sorted(DATABASE_FAMILIES))}"
    if size not in SIZES:
        return f"has the size {size!r}, which is none of RDS's: {', '.join(sorted(SIZES))}"
    if size in BURSTABLE_ONLY_SIZES and family not in BURSTABLE_FAMILIES and (family, size) != ("c6gd", "medium"):
        return f"does not exist: {size} comes in {' and '.join(sorted(BURSTABLE_FAMILIES))} only; {family} begins with large"
    if family in BURSTABLE_FAMILIES and size not in LARGEST_BURSTABLE:
        return f"does not exist: {family} ends with 2xlarge"
    return ""


def problem_of_engine(version: str) -> str:
    """Return what is wrong with a PostgreSQL version, or an empty text."""
    major, minor = map(int, version.split("."))
    if major not in POSTGRES_FIRST_MINOR:
        return f"is PostgreSQL {major}, which RDS does not offer in standard support. Known: {', '.join(map(str, POSTGRES_FIRST_MINOR))}"
    if minor < POSTGRES_FIRST_MINOR[major]:
        return f"is older than RDS offers for a new instance: {major}.{POSTGRES_FIRST_MINOR[major]} is the first"
    return ""


def restore_minutes(storage_gb: int) -> int:
    """Return how long a single instance takes to be restored from its backups, estimated on the safe side."""
    return RESTORE_BASE_MINUTES + storage_gb // RESTORE_GB_PER_MINUTE
