"""RDS parameter groups: families, names, and how static parameters are applied."""

from collections.abc import Iterator
from typing import Any

from ministack.services import rds

from sandbox.emulator.rules.hooks import Refusal, rule
from sandbox.emulator.rules.rds import POSTGRES, version
from settings.aws_facts import catalog

API = "https://docs.aws.amazon.com/AmazonRDS/latest/APIReference"
GUIDE = "https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide"
ISSUES = "https://github.com/ministryofjustice/cloud-platform/issues"
# Parameters that take effect after a restart. Not all of them: those that people change.
STATIC = frozenset(
    {
        "rds.force_ssl",
        "rds.logical_replication",
        "autovacuum_max_workers",
        "max_connections",
        "max_prepared_transactions",
        "max_replication_slots",
        "max_wal_senders",
        "max_worker_processes",
        "shared_buffers",
        "shared_preload_libraries",
        "track_activity_query_size",
        "wal_buffers",
    }
)
# What RDS adds to PostgreSQL's own parameters.
OF_RDS = frozenset(
    f"rds.{name}"
    for name in (
        "accepted_password_auth_method",
        "adaptive_autovacuum",
        "allowed_extensions",
        "blue_green_replication_type",
        "custom_dns_resolution",
        "enable_plan_management",
        "extensions",
        "force_admin_logging_level",
        "force_autovacuum_logging_level",
        "force_ssl",
        "global_db_rpo",
        "logical_replication",
        "log_retention_period",
        "rds_superuser_reserved_connections",
        "restrict_password_commands",
        "superuser_variables",
    )
)


@rule(rds, "_create_param_group", source=f"{API}/API_CreateDBParameterGroup.html")
def parameter_family(parameters: Any) -> Refusal | None:
    """The family of a group of PostgreSQL parameters is a major version that RDS knows."""
    family = rds._p(parameters, "DBParameterGroupFamily")
    if not family.startswith(POSTGRES) or is_major(family.removeprefix(POSTGRES)):
        return None
    return Refusal("InvalidParameterValue", f"ParameterGroupFamily {family} is not a valid parameter group family")


def is_major(text: str) -> bool:
    """Tell whether a text is a major version of PostgreSQL."""
    return text.isdecimal() and int(text) in catalog().postgres_versions


def requested_parameters(parameters: Any) -> Iterator[tuple[str, str]]:
    """Yield the name and the apply method of each parameter in a request."""
    for key in list(parameters):
        if key.endswith(".ParameterName"):
            prefix = key.removesuffix("ParameterName")
            yield rds._p(parameters, key), rds._p(parameters, f"{prefix}ApplyMethod")


@rule(rds, "_modify_param_group", source=f"{GUIDE}/Appendix.PostgreSQL.CommonDBATasks.Parameters.html")
def parameter_name(parameters: Any) -> Refusal | None:
    """A parameter that begins with rds. is one of RDS's."""
    for name, _ in requested_parameters(parameters):
        if name.startswith("rds.") and name not in OF_RDS:
            return Refusal("InvalidParameterValue", f"Could not find parameter with name: {name}")
    return None


@rule(rds, "_modify_param_group", source=f"{ISSUES}/1197")
def static_parameter(parameters: Any) -> Refusal | None:
    """A static parameter such as rds.force_ssl is applied at the next restart, never at once."""
    for name, method in requested_parameters(parameters):
        if name in STATIC and method == "immediate":
            message = "cannot use immediate apply method for static parameter"
            return Refusal("InvalidParameterCombination", message)
    return None


@rule(rds, "_delete_param_group", source=f"{API}/API_DeleteDBParameterGroup.html")
def parameter_group_in_use(parameters: Any) -> Refusal | None:
    """A parameter group that a database has cannot be deleted."""
    name = rds._p(parameters, "DBParameterGroupName")
    used = {
        group.get("DBParameterGroupName")
        for instance in rds._instances.values()
        for group in instance.get("DBParameterGroups") or []
    }
    if name in used:
        message = "One or more database instances are still members of this parameter group"
        return Refusal("InvalidDBParameterGroupState", f"{message} {name}, so the group cannot be deleted")
    return None


@rule(rds, "_create_db_instance", "_modify_db_instance", source=f"{API}/API_CreateDBInstance.html")
def parameter_group_version(parameters: Any) -> Refusal | None:
    """The parameter group of a database is for its major version."""
    instance = rds._instances.get(rds._p(parameters, "DBInstanceIdentifier")) or {}
    group = rds._param_groups.get(rds._p(parameters, "DBParameterGroupName")) or {}
    family = str(group.get("DBParameterGroupFamily") or "")
    engine = rds._p(parameters, "EngineVersion") or instance.get("EngineVersion") or ""
    if not family.startswith(POSTGRES) or not engine or family == f"{POSTGRES}{version(engine)[0]}":
        return None
    message = f"The Parameter Group {group['DBParameterGroupName']} with DBParameterGroupFamily {family} can't be used"
    return Refusal("InvalidParameterCombination", f"{message} for this instance.")
