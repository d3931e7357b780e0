"""Mistakes that `./infra check` must report: one change each to the valid files in tests/unit/samples."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from services import all_services
from settings.check import check_folder
from settings.problems import Problem, Rule
from settings.project_files import environment_file
from settings.service_spec import Cdn, ServiceSpec, SharedLoadBalancerRule

SAMPLES = Path(__file__).parent / "samples"
SAMPLE_ENVIRONMENTS = ("alpha", "beta", "prod")


def replace_once(folder: Path, environment: str, old: str, new: str) -> None:
    """Replace the first occurrence of a text in an environment's file."""
    path = folder / environment_file(environment)
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{old!r} is not in {path.name}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def problems_after(folder: Path, environment: str, old: str, new: str) -> list[Problem]:
    """Return the problems of a folder after replacing the first occurrence of a text in a file."""
    replace_once(folder, environment, old, new)
    return check_folder(folder, all_services())[1]


@dataclass(frozen=True)
class Mistake:
    """A text in an environment's file that is replaced, and the problem that must be reported for it."""

    environment: str
    old: str
    new: str
    path: str
    rule: Rule
    has_position: bool = True  # false if the key is missing together with all its parents

    def __str__(self) -> str:
        """Return the id of the test."""
        return f"{self.rule}-{self.path}-{self.new.strip()[:30]}"

    def problems(self, folder: Path) -> list[Problem]:
        """Make the mistake in a folder, and return all its problems."""
        return problems_after(folder, self.environment, self.old, self.new)


ZONES = 'zones: ["us-east-1a", "us-east-1b"]'
DOMAIN = "    domain: alpha.100xglobal.com\n"
ACCESS = '["0.0.0.0/0", "::/0"]'
SIGN_UP = '{SIGN_UP: "open"}'
DATABASE = "        database: {class: db.t4g.micro, storage_gb: 20, multi_az: false}\n"
WEBSOCKET = "        websocket: {ping_interval_seconds: 25, idle_timeout_seconds: 120}\n"
TWO_RESTORES = "restore: {snapshot: x}, restore_to_time: {instance: y, time: '2026-11-23T18:00:00Z'}"
NAME_SERVERS = "[ns1.example.com, ns2.example.com]"
CIDR, ALLOW, DELEGATIONS = "environment.network.cidr", "environment.access.allow", "environment.dns.delegations"
NETWORK, DURABILITY, OPERATIONS = "environment.network", "environment.durability", "environment.operations"
CORE_RELEASE, CORE_SIZING = "services.core.release", "services.core.sizing"
VALUES = "config.100xglobal:services"  # how the path of a value begins that the YAML reader refuses
CORE_DATABASE, VARIABLES = "services.core.sizing.database", "services.members.release.environment_variables"
SOCKET_WEBSOCKET = "services.socket.release.websocket"


def in_alpha(old: str, new: str, path: str, rule: Rule) -> Mistake:
    """Return a mistake in alpha's file."""
    return Mistake("alpha", old, new, path, rule)


def in_prod(old: str, new: str, path: str, rule: Rule) -> Mistake:
    """Return a mistake in prod's file."""
    return Mistake("prod", old, new, path, rule)


def delegating(label: str, name_servers: str, rule: Rule) -> Mistake:
    """Return a mistake in the delegations of alpha's zone."""
    new = f"{DOMAIN}    dns: {{delegations: {{{label}: {name_servers}}}}}\n"
    return in_alpha(DOMAIN, new, f"{DELEGATIONS}.{label}", rule)


def recording(records: str, path: str, rule: Rule) -> Mistake:
    """Return a mistake in the records of alpha's zone. path: below them."""
    new = f"{DOMAIN}    dns: {{records: {{{records}}}}}\n"
    return in_alpha(DOMAIN, new, f"environment.dns.records.{path}", rule)


KEYS = [
    in_alpha("instance_type:", "instance_typ:", f"{CORE_SIZING}.instance_typ", Rule.UNKNOWN_KEY),
    in_alpha("    durability:", "    durabilty:", "environment.durabilty", Rule.UNKNOWN_KEY),
    in_alpha("    members:", "    member:", "services.member", Rule.UNKNOWN_SERVICE),
    in_alpha("  aws:region:", "  aws-region:", "aws-region", Rule.UNKNOWN_KEY),
    in_alpha("  aws:region:", "  aws-region:", "region", Rule.MISSING_KEY),
    in_alpha("  100xglobal:services:", "  100xglobal:service:", "100xglobal:service", Rule.UNKNOWN_KEY),
    in_alpha("config:", "confg:", "confg", Rule.UNKNOWN_KEY),
    in_alpha("version: 3.8.0", "secure: AAABAG", f"{CORE_RELEASE}.secure", Rule.ENCRYPTED_VALUE),
    in_alpha("        version: 3.8.0\n", "", f"{CORE_RELEASE}.version", Rule.MISSING_KEY),
]
TYPES = [
    in_alpha('"16.13"', "16.13", f"{CORE_RELEASE}.database_engine", Rule.UNQUOTED_NUMBER),
    in_alpha('"16.13"', "16.10", f"{CORE_RELEASE}.database_engine", Rule.UNQUOTED_NUMBER),
    in_alpha("minimum: 1", 'minimum: "1"', f"{CORE_SIZING}.instances.minimum", Rule.WRONG_TYPE),
    in_alpha("multi_az: false", "multi_az: 'no'", f"{CORE_DATABASE}.multi_az", Rule.WRONG_TYPE),
    in_alpha(ZONES, "zones: us-east-1a", f"{NETWORK}.zones", Rule.WRONG_TYPE),
    in_alpha('["222222222222"]', "[222222222222]", "account_id", Rule.UNQUOTED_NUMBER),
    Mistake("alpha", '["222222222222"]', "[]", "aws:allowedAccountIds", Rule.INVALID_ACCOUNT_LIST, has_position=False),
    in_alpha(SIGN_UP, "{SIGN_UP: 1}", f"{VARIABLES}.SIGN_UP", Rule.VARIABLE_NOT_TEXT),
    in_alpha("3.8.0", '"\\uD800"', f"{CORE_RELEASE}.version", Rule.INVALID_VALUE),
]
NETWORKS = [
    in_alpha("10.10.0.0/16", "10.10.0.1/16", CIDR, Rule.INVALID_NETWORK),
    in_alpha("10.10.0.0/16", "10.10.0.0/24", CIDR, Rule.INVALID_NETWORK_SIZE),
    in_alpha("10.10.0.0/16", "10.0.0.0/8", CIDR, Rule.INVALID_NETWORK_SIZE),
    in_alpha("10.10.0.0/16", "52.10.0.0/16", CIDR, Rule.PUBLIC_NETWORK),
    in_alpha("10.10.0.0/16", "169.254.0.0/16", CIDR, Rule.PUBLIC_NETWORK),
    in_alpha("10.10.0.0/16", "172.16.0.0/15", CIDR, Rule.INVALID_NETWORK_SIZE),
    in_alpha("10.10.0.0/16", "172.17.0.0/16", CIDR, Rule.RESERVED_NETWORK),
    in_alpha('"us-east-1b"', '"us-east-1g"', f"{NETWORK}.zones[1]", Rule.INVALID_ZONE),
    in_alpha("10.10.0.0/16", "10.20.128.0/17", CIDR, Rule.OVERLAPPING_NETWORK),
    in_alpha("10.10.0.0/16", "10.10.0.0/255.255.0.0", CIDR, Rule.NON_CANONICAL_NETWORK),
    in_alpha('"us-east-1b"', '"us-east-1z"', f"{NETWORK}.zones[1]", Rule.INVALID_ZONE),
    in_alpha('"us-east-1b"', '"us-west-2b"', f"{NETWORK}.zones[1]", Rule.ZONE_OUTSIDE_REGION),
    in_alpha('"us-east-1b"', '"us-east-1a"', f"{NETWORK}.zones[1]", Rule.DUPLICATE_ZONE),
    in_alpha(', "us-east-1b"]', "]", f"{NETWORK}.zones", Rule.WRONG_LENGTH),
    in_alpha("nat: single", "nat: none", f"{NETWORK}.nat", Rule.INVALID_CHOICE),
    in_alpha(ACCESS, '["10.0.0.1"]', f"{ALLOW}[0]", Rule.NON_CANONICAL_NETWORK),
    in_alpha(ACCESS, '["everybody"]', f"{ALLOW}[0]", Rule.INVALID_IP_RANGE),
    in_alpha(ACCESS, '["::/0", "::/0"]', ALLOW, Rule.DUPLICATE_ITEM),
]
IDENTITIES = [
    in_alpha("[operations@100xglobal.com]", "[nobody]", f"{OPERATIONS}.alarm_emails[0]", Rule.INVALID_EMAIL),
    in_alpha('["222222222222"]', '["333333333333"]', "account_id", Rule.SHARED_ACCOUNT),
    in_alpha("alpha.100xglobal.com", "beta.100xglobal.com", "environment.domain", Rule.SHARED_DOMAIN),
    in_alpha('["222222222222"]', '["\u0662\u0662\u0662222222222"]', "account_id", Rule.INVALID_FORMAT),
    in_alpha("domain: alpha.", "domain: static.beta.", "environment.domain", Rule.DOMAIN_OF_A_HOST),
    in_alpha("alpha.100xglobal.com", f"{'a' * 60}.com", "services.members", Rule.HOST_TOO_LONG),
    in_alpha("alpha.100xglobal.com", "Alpha.100xglobal.com", "environment.domain", Rule.INVALID_DOMAIN),
    in_alpha(
        "alpha.100xglobal.com",
        "аlpha.100xglobal.com",  # noqa: RUF001 the Cyrillic letter that looks like an `a` is the mistake
        "environment.domain",
        Rule.INVALID_DOMAIN,
    ),
    delegating("www", NAME_SERVERS, Rule.DELEGATED_HOST),
    delegating("members", NAME_SERVERS, Rule.DELEGATED_HOST),
    delegating("x", "[ns1]", Rule.INVALID_NAME_SERVERS),
    delegating("x_y", NAME_SERVERS, Rule.INVALID_DELEGATION),
]
SPF, MAIL = "spf: {type: TXT, values: [v=spf1 -all]}", "mx: {type: MX, values: [10 mx.example.com]}"
DNS_RECORDS = [
    recording("a: {host: Www, type: A, values: [192.0.2.1]}", "a.host", Rule.INVALID_DNS_RECORD),
    recording("a: {host: x, type: NS, values: [ns1.example.com]}", "a.type", Rule.INVALID_CHOICE),
    recording("a: {host: x, type: A, values: []}", "a.values", Rule.WRONG_LENGTH),
    recording("a: {host: x, type: A, values: [192.0.2.256]}", "a.values", Rule.INVALID_DNS_RECORD),
    recording("a: {host: x, type: AAAA, values: [192.0.2.1]}", "a.values", Rule.INVALID_DNS_RECORD),
    recording("a: {host: x, type: MX, values: [mail.example.com]}", "a.values", Rule.INVALID_DNS_RECORD),
    recording("a: {host: x, type: TXT, values: ['say \"no\"']}", "a.values", Rule.INVALID_DNS_RECORD),
    recording("a: {host: x, type: CNAME, values: [a.example.com, b.example.com]}", "a", Rule.CONFLICTING_DNS_RECORD),
    recording("a: {type: CNAME, values: [www.example.com]}", "a", Rule.CONFLICTING_DNS_RECORD),
    recording("a: {host: members, type: A, values: [192.0.2.1]}", "a", Rule.CONFLICTING_DNS_RECORD),
    recording("a: {host: uploads, type: CNAME, values: [x.example.com]}", "a", Rule.CONFLICTING_DNS_RECORD),
    recording("a: {host: bounce.email, type: MX, values: [10 x.example.com]}", "a", Rule.CONFLICTING_DNS_RECORD),
    recording(
        "a: {host: x, type: A, values: [192.0.2.1]}, b: {host: x, type: A, values: [192.0.2.2]}",
        "b",
        Rule.CONFLICTING_DNS_RECORD,
    ),
    recording(
        "a: {host: x, type: A, values: [192.0.2.1]}, b: {host: x, type: CNAME, values: [x.example.com]}",
        "b",
        Rule.CONFLICTING_DNS_RECORD,
    ),
    recording("a: {type: TXT, values: [site-verification=1]}", "a", Rule.INCOMPLETE_MAIL_RECORDS),
    recording(MAIL, "mx", Rule.INCOMPLETE_MAIL_RECORDS),
    recording(f"{MAIL}, {SPF}", "mx", Rule.INCOMPLETE_MAIL_RECORDS),
    in_alpha(
        DOMAIN,
        f"{DOMAIN}    dns: {{delegations: {{lab: {NAME_SERVERS}}}, "
        "records: {a: {host: x.lab, type: A, values: [192.0.2.1]}}}\n",
        "environment.dns.records.a",
        Rule.CONFLICTING_DNS_RECORD,
    ),
]
RELEASES = [
    in_alpha("@sha256:", ":latest-", f"{CORE_RELEASE}.image", Rule.IMAGE_WITHOUT_DIGEST),
    in_alpha("ami-0123456789abcdef0", "ami-123", f"{CORE_RELEASE}.machine_image", Rule.INVALID_FORMAT),
    in_alpha("ami-0123456789abcdef0", "i-0123456789abcdef0", f"{CORE_RELEASE}.machine_image", Rule.INVALID_FORMAT),
    in_alpha("version: 3.8.0", "version: latest", f"{CORE_RELEASE}.version", Rule.INVALID_FORMAT),
    in_alpha('"16.13"', '"9.6"', f"{CORE_RELEASE}.database_engine", Rule.INVALID_FORMAT),
    in_alpha('"16.13"', '"12.19"', f"{CORE_RELEASE}.database_engine", Rule.UNSUPPORTED_DATABASE_ENGINE),
    in_alpha('"16.13"', '"16.99"', f"{CORE_RELEASE}.database_engine", Rule.UNSUPPORTED_DATABASE_ENGINE),
    in_alpha('"16.13"', '"16.1"', f"{CORE_RELEASE}.database_engine", Rule.UNSUPPORTED_DATABASE_ENGINE),
    in_alpha('        database_engine: "16.13"\n', "", f"{CORE_RELEASE}.database_engine", Rule.MISSING_DATABASE_ENGINE),
    in_alpha(SIGN_UP, '{"SIGN-UP": "open"}', f"{VARIABLES}.SIGN-UP", Rule.INVALID_VARIABLE_NAME),
    in_alpha(SIGN_UP, '{SIGN_UP: "a\\nb"}', f"{VARIABLES}.SIGN_UP", Rule.MULTI_LINE_VARIABLE),
    in_alpha(SIGN_UP, '{DATABASE_HOST: "x"}', f"{VARIABLES}.DATABASE_HOST", Rule.RESERVED_VARIABLE),
    in_alpha(SIGN_UP, '{DATABASE_PASSWORD: "hunter2"}', f"{VARIABLES}.DATABASE_PASSWORD", Rule.LOOKS_LIKE_A_SECRET),
    in_alpha(SIGN_UP, '{MODE: "AKIAIOSFODNN7EXAMPLE"}', f"{VARIABLES}.MODE", Rule.LOOKS_LIKE_A_SECRET),
    in_alpha(SIGN_UP, '{URL: "https://me:hunter2@example.com"}', f"{VARIABLES}.URL", Rule.LOOKS_LIKE_A_SECRET),
    in_alpha(SIGN_UP, "{secure: AAABAG}", f"{VARIABLES}.secure", Rule.ENCRYPTED_VALUE),
    in_alpha(
        "idle_timeout_seconds: 120",
        "idle_timeout_seconds: 50",
        f"{SOCKET_WEBSOCKET}.idle_timeout_seconds",
        Rule.IDLE_TIMEOUT_TOO_SHORT,
    ),
    in_alpha(
        "idle_timeout_seconds: 120",
        "idle_timeout_seconds: 5000",
        f"{SOCKET_WEBSOCKET}.idle_timeout_seconds",
        Rule.OUT_OF_RANGE,
    ),
    in_alpha(WEBSOCKET, "", SOCKET_WEBSOCKET, Rule.MISSING_WEBSOCKET),
]
SIZES = [
    in_alpha("minimum: 1", "minimum: 3", f"{CORE_SIZING}.instances.minimum", Rule.MINIMUM_ABOVE_MAXIMUM),
    in_alpha("minimum: 1", "minimum: 0", f"{CORE_SIZING}.instances.minimum", Rule.OUT_OF_RANGE),
    in_alpha("type: t4g.small", "type: t3.small", f"{CORE_SIZING}.instance_type", Rule.ARCHITECTURE_MISMATCH),
    in_alpha("type: t4g.small", "type: small", f"{CORE_SIZING}.instance_type", Rule.INVALID_FORMAT),
    in_alpha("type: t4g.small", "type: small.t4g", f"{CORE_SIZING}.instance_type", Rule.INVALID_INSTANCE_TYPE),
    in_alpha("type: t4g.small", "type: t4g.tiny", f"{CORE_SIZING}.instance_type", Rule.INVALID_INSTANCE_TYPE),
    in_alpha("type: t4g.small", "type: t4g.gigantic", f"{CORE_SIZING}.instance_type", Rule.INVALID_INSTANCE_TYPE),
    in_alpha("type: t4g.small", "type: m7g.nano", f"{CORE_SIZING}.instance_type", Rule.INVALID_INSTANCE_TYPE),
    in_alpha("type: t4g.small", "type: t4g.nan\u00f6", f"{CORE_SIZING}.instance_type", Rule.INVALID_FORMAT),
    in_alpha("db.t4g.micro", "db.r6g.48xlarge", f"{CORE_DATABASE}.class", Rule.UNSUPPORTED_DATABASE_CLASS),
    in_alpha("storage_gb: 20", "storage_gb: 020", f"{VALUES}.core.sizing.database.storage_gb", Rule.AMBIGUOUS_VALUE),
    in_alpha("storage_gb: 20", "storage_gb: 0o40", f"{VALUES}.core.sizing.database.storage_gb", Rule.AMBIGUOUS_VALUE),
    in_alpha("storage_gb: 20", "storage_gb: 1_0", f"{VALUES}.core.sizing.database.storage_gb", Rule.AMBIGUOUS_VALUE),
    in_alpha(
        "storage_gb: 20",
        f"storage_gb: 0x{'f' * 9999}",
        f"{VALUES}.core.sizing.database.storage_gb",
        Rule.AMBIGUOUS_VALUE,
    ),
    in_alpha("storage_gb: 20", "storage_gb: .inf", f"{VALUES}.core.sizing.database.storage_gb", Rule.AMBIGUOUS_VALUE),
    in_alpha(
        "storage_gb: 20", "storage_gb: !!int '20'", f"{VALUES}.core.sizing.database.storage_gb", Rule.AMBIGUOUS_VALUE
    ),
    in_alpha("multi_az: false", "multi_az: no", f"{CORE_DATABASE}.multi_az", Rule.WRONG_TYPE),
    in_alpha(
        "multi_az: false", "multi_az: !!bool maybe", f"{VALUES}.core.sizing.database.multi_az", Rule.AMBIGUOUS_VALUE
    ),
    in_alpha(
        "multi_az: false}",
        "multi_az: false, restore_to_time: {instance: y, time: '2026-13-45T25:61:61Z'}}",
        f"{CORE_DATABASE}.restore_to_time.time",
        Rule.INVALID_TIME,
    ),
    in_alpha("db.t4g.micro", "t4g.micro", f"{CORE_DATABASE}.class", Rule.INVALID_FORMAT),
    in_alpha("db.t4g.micro", "db.t9x.micro", f"{CORE_DATABASE}.class", Rule.UNSUPPORTED_DATABASE_CLASS),
    in_alpha("db.t4g.micro", "db.t4g.tiny", f"{CORE_DATABASE}.class", Rule.UNSUPPORTED_DATABASE_CLASS),
    in_alpha("db.t4g.micro", "db.m7g.micro", f"{CORE_DATABASE}.class", Rule.UNSUPPORTED_DATABASE_CLASS),
    in_alpha("db.t4g.micro", "db.t4g.16xlarge", f"{CORE_DATABASE}.class", Rule.UNSUPPORTED_DATABASE_CLASS),
    in_alpha("storage_gb: 20", "storage_gb: 10", f"{CORE_DATABASE}.storage_gb", Rule.OUT_OF_RANGE),
    in_alpha(
        "storage_gb: 20",
        "storage_gb: 20, maximum_storage_gb: 21",
        f"{CORE_DATABASE}.maximum_storage_gb",
        Rule.MAXIMUM_STORAGE_TOO_SMALL,
    ),
    in_alpha(
        "multi_az: false}",
        f"multi_az: false, {TWO_RESTORES}}}",
        f"{CORE_DATABASE}.restore_to_time",
        Rule.CONFLICTING_RESTORE,
    ),
    in_alpha(DATABASE, "", CORE_DATABASE, Rule.MISSING_DATABASE),
    in_alpha(
        f"{WEBSOCKET}      sizing:\n",
        f"{WEBSOCKET}      sizing:\n{DATABASE}",
        "services.socket.sizing.database",
        Rule.UNUSED_DATABASE,
    ),
    in_alpha("backup_days: 3", "backup_days: 0", f"{DURABILITY}.backup_days", Rule.OUT_OF_RANGE),
    in_alpha("backup_days: 3", "backup_days: 36", f"{DURABILITY}.backup_days", Rule.OUT_OF_RANGE),
    in_alpha("point_minutes: 1440", "point_minutes: 1", f"{DURABILITY}.recovery_point_minutes", Rule.OUT_OF_RANGE),
    in_alpha("time_minutes: 1440", "time_minutes: 10", f"{CORE_DATABASE}.multi_az", Rule.RECOVERY_TOO_SLOW),
    in_alpha("log_days: 30", "log_days: 31", f"{OPERATIONS}.log_days", Rule.INVALID_CHOICE),
]
PRODUCTION = [
    in_prod(', "us-east-1c"]', "]", f"{NETWORK}.zones", Rule.PRODUCTION_ZONES),
    in_prod("nat: per_zone", "nat: single", f"{NETWORK}.nat", Rule.PRODUCTION_NAT),
    in_prod("backup_days: 35", "backup_days: 7", f"{DURABILITY}.backup_days", Rule.PRODUCTION_BACKUPS),
    in_prod(
        "backup_days: 35",
        "protect_data: false, backup_days: 35",
        f"{DURABILITY}.protect_data",
        Rule.PRODUCTION_DATA_PROTECTION,
    ),
    in_prod("multi_az: true", "multi_az: false", f"{CORE_DATABASE}.multi_az", Rule.PRODUCTION_MULTI_AZ),
    in_prod("minimum: 3", "minimum: 1", f"{CORE_SIZING}.instances.minimum", Rule.PRODUCTION_SERVERS),
]
SHARED_HOSTS = [
    in_alpha("    members:\n", "    members:\n      enabled: false\n", "services.payments", Rule.HOST_WITHOUT_OWNER),
]
YAML_MISTAKES = [
    in_alpha("nat: single", "nat: single\u2028", "", Rule.UNUSUAL_LINE_BREAK),
    in_alpha("nat: single", "nat: single\x85", "", Rule.UNUSUAL_LINE_BREAK),
    in_alpha("    domain:", "\tdomain:", "", Rule.TAB_INDENTATION),
    in_alpha(
        "      nat: single",
        "      nat: single\n      nat: per_zone",
        "config.100xglobal:environment.network.nat",
        Rule.DUPLICATE_KEY,
    ),
    in_alpha(
        "      release:\n",
        "      release: &core\n",
        "config.100xglobal:services.core.release",
        Rule.YAML_ANCHOR,
    ),
    in_alpha(
        "version: 3.8.0",
        'version: !!python/object/apply:os.system ["id"]',
        "config.100xglobal:services.core.release.version",
        Rule.YAML_TAG,
    ),
    in_alpha("      nat: single", "      nat: [single", "", Rule.INVALID_YAML),
]
MISTAKES = [
    *KEYS,
    *TYPES,
    *NETWORKS,
    *IDENTITIES,
    *DNS_RECORDS,
    *RELEASES,
    *SIZES,
    *PRODUCTION,
    *SHARED_HOSTS,
    *YAML_MISTAKES,
]


@dataclass(frozen=True)
class UnusableFile:
    """The whole content of a file that cannot be used, and the rule that it breaks; None if it may be valid or not."""

    content: bytes
    rule: Rule | None

    def problems(self, folder: Path) -> list[Problem]:
        """Write the content to alpha's file, and return the problems of that file."""
        file = environment_file("alpha")
        (folder / file).write_bytes(self.content)
        return [problem for problem in check_folder(folder, all_services())[1] if problem.file == file]


UNUSABLE_FILES = [
    UnusableFile(b"", Rule.EMPTY_FILE),
    UnusableFile(b"# only a comment\n", Rule.EMPTY_FILE),
    UnusableFile(b"[]\n", Rule.MISSING_CONFIG),
    UnusableFile(b"config: text\n", Rule.MISSING_CONFIG),
    UnusableFile(b"\xff\xfe\x00", Rule.NOT_UTF_8),
    UnusableFile(b"x" * 5_000_000, Rule.FILE_TOO_LARGE),
    UnusableFile(b"config: {a: {" * 5000, Rule.INVALID_YAML),
    UnusableFile(b"config: " + b"[" * 100 + b"]" * 100 + b"\n", Rule.NESTED_TOO_DEEPLY),
    UnusableFile(b"a: &a [1]\nb: *a\nconfig: {}\n", Rule.YAML_ANCHOR),
    UnusableFile(b"config: !!python/name:os.system ''\n", Rule.YAML_TAG),
    UnusableFile(b"? [1, 2]\n: x\n", Rule.INVALID_KEY),
    UnusableFile(b"config:\n  aws:region: us-east-1\n---\nconfig: {}\n", Rule.INVALID_YAML),
    UnusableFile(b"%YAML 9.9\n---\nconfig: {}\n", None),
    UnusableFile(b"config: \x00\n", Rule.INVALID_YAML),
    UnusableFile(b"config: {100xglobal:services: {}, aws:region: us-east-1}\n", None),
]


@dataclass(frozen=True)
class WrongSpec:
    """Services whose specs do not fit together, and the service and rule that must be reported."""

    specs: Mapping[str, ServiceSpec]
    service: str
    rule: Rule

    def problems(self, folder: Path) -> list[Problem]:
        """Return the problems of the files with these specs."""
        return check_folder(folder, self.specs)[1]


def wrong_specs() -> list[WrongSpec]:
    """Return service specs with one mistake each."""
    specs = all_services()
    core, members, payments, socket = (specs[name] for name in ("core", "members", "payments", "socket"))

    def with_spec(spec: ServiceSpec, rule: Rule) -> WrongSpec:
        return WrongSpec({**specs, spec.name: spec}, spec.name, rule)

    def with_rule(priority: int, path: str | None, rule: Rule) -> WrongSpec:
        return with_spec(replace(payments, balancer=SharedLoadBalancerRule(priority=priority, path=path)), rule)

    return [
        with_rule(250, "/payments", Rule.UNREACHABLE_RULE),
        with_spec(replace(core, balancer=SharedLoadBalancerRule(priority=50_000)), Rule.INVALID_PRIORITY),
        with_rule(200, "/payments", Rule.DUPLICATE_PRIORITY),
        with_rule(100, None, Rule.DUPLICATE_ROUTE),
        with_spec(replace(payments, host="socket"), Rule.HOST_ON_TWO_LOAD_BALANCERS),
        with_spec(replace(payments, owns_host=True), Rule.DUPLICATE_RECORD),
        with_spec(replace(core, cdn=Cdn(host="www", server_access="read")), Rule.DUPLICATE_RECORD),
        with_spec(replace(members, redirects=("www",)), Rule.IMPOSSIBLE_REDIRECT),
        with_spec(replace(socket, redirects=("www",)), Rule.IMPOSSIBLE_REDIRECT),
    ]


def copy_samples(folder: Path) -> Path:
    """Copy the valid files into a folder, and return the folder."""
    for environment in SAMPLE_ENVIRONMENTS:
        shutil.copy(SAMPLES / environment_file(environment), folder)
    return folder
