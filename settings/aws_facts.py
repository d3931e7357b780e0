"""What AWS supports, as far as it is known without asking AWS. The source is beside each fact."""

import re

# Instance class families that RDS for PostgreSQL supports, by the letter of their series: burstable, general purpose,
# memory optimized, extra memory, compute optimized.
# Source: RDS user guide, "Supported DB engines for DB instance classes".
DATABASE_FAMILIES = {
    "t": ("t3", "t4g"),
    "m": ("m5", "m5d", "m6g", "m6gd", "m6i", "m6id", "m6idn", "m6in", "m7g", "m7i", "m8g", "m8gd"),
    "r": ("r5", "r5b", "r5d", "r6g", "r6gd", "r6i", "r6id", "r6idn", "r6in", "r7g", "r7i", "r8g", "r8gd"),
    "x": ("x2g", "x2idn", "x2iedn", "x2iezn"),
    "c": ("c6gd",),
}
BURSTABLE_FAMILIES = DATABASE_FAMILIES["t"]
ALL_DATABASE_FAMILIES = tuple(family for families in DATABASE_FAMILIES.values() for family in families)

# Sizes of RDS instance classes, from the smallest.
# Source: RDS user guide, "Hardware specifications for DB instance classes".
SMALL_SIZES = ("micro", "small", "medium")  # burstable families only; c6gd also has medium
BURSTABLE_SIZES = (*SMALL_SIZES, "large", "xlarge", "2xlarge")
LARGER_SIZES = tuple(f"{number}xlarge" for number in (4, 6, 8, 9, 10, 12, 16, 18, 24, 32, 48))
DATABASE_SIZES = (*BURSTABLE_SIZES, *LARGER_SIZES, "metal")

# The PostgreSQL major versions in RDS standard support, and the first minor version of each that RDS offers for new
# instances. Source: RDS user guide, "Release calendar for Amazon RDS for PostgreSQL".
FIRST_POSTGRES_MINOR = {14: 12, 15: 7, 16: 3, 17: 2, 18: 1}


def architecture_of(instance_type: str) -> str | None:
    """Return the processor architecture of an EC2 instance type, or None if it is not one.

    AWS's own arm64 processors have a `g` after the generation, as in m7g. The exception is a1, the first generation.
    Source: EC2 user guide, "Amazon EC2 instance type naming conventions".
    """
    match = re.match(r"^(?P<letters>[a-z]+)(?P<generation>\d+)(?P<attributes>[a-z-]*)\.", instance_type)
    if match is None:
        return None
    return "arm64" if "g" in match["attributes"] or instance_type.startswith("a1.") else "x86_64"


def describe_unsupported_class(instance_class: str) -> str:
    """Return why RDS does not support an instance class for PostgreSQL, or an empty text if it does."""
    _, family, size = instance_class.split(".")
    if family not in ALL_DATABASE_FAMILIES:
        families = ", ".join(ALL_DATABASE_FAMILIES)
        return f"RDS does not support PostgreSQL on the instance family {family!r}. Supported families: {families}."
    if size not in DATABASE_SIZES:
        return f"RDS has no instance size {size!r}. Sizes: {', '.join(DATABASE_SIZES)}."
    if size in SMALL_SIZES and family not in BURSTABLE_FAMILIES and (family, size) != ("c6gd", "medium"):
        return f"the smallest {family} is large. Only {' and '.join(BURSTABLE_FAMILIES)} have the size {size}."
    if family in BURSTABLE_FAMILIES and size not in BURSTABLE_SIZES:
        return f"the largest {family} is {BURSTABLE_SIZES[-1]}."
    return ""


def describe_unsupported_engine(version: str) -> str:
    """Return why RDS does not offer a PostgreSQL version for new instances, or an empty text if it does."""
    major, minor = map(int, version.split("."))
    if major not in FIRST_POSTGRES_MINOR:
        majors = ", ".join(map(str, FIRST_POSTGRES_MINOR))
        return f"RDS does not offer PostgreSQL {major} in standard support. Supported major versions: {majors}."
    if minor < FIRST_POSTGRES_MINOR[major]:
        first = f"{major}.{FIRST_POSTGRES_MINOR[major]}"
        return f"RDS does not offer this version for new instances. The oldest supported minor version is {first}."
    return ""
