"""RDS: managed passwords, Performance Insights, exported logs, and looking up instances."""

from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id, get_region, new_uuid
from ministack.services import rds

from sandbox.emulator.patches.hooks import Handler, gap, wrap
from sandbox.emulator.patches.query_protocol import list_parameter, to_xml


def after_create_and_modify(update: Callable[[Any, Any], None]) -> None:
    """Call `update(instance, parameters)` after each request that creates or modifies an instance."""

    def handle(original: Handler, parameters: Any) -> Any:
        response = original(parameters)
        instance = rds._instances.get(rds._p(parameters, "DBInstanceIdentifier"))
        if instance is not None:
            update(instance, parameters)
        return response

    for name in ("_create_db_instance", "_modify_db_instance"):
        wrap(rds, name, handle)


@gap
def rds_filters_by_resource_id() -> None:
    """DescribeDBInstances supports the filter dbi-resource-id, with which the provider looks up an instance."""

    def apply_filters(original: Handler, instances: Any, filters: Any) -> Any:
        matches, resource_ids = original(instances, filters), filters.get("dbi-resource-id")
        return [i for i in matches if i.get("DbiResourceId") in resource_ids] if resource_ids else matches

    wrap(rds, "_apply_instance_filters", apply_filters)


@gap
def rds_manages_the_master_password() -> None:
    """With ManageMasterUserPassword, AWS creates a secret for the password and returns its ARN in MasterUserSecret."""

    def update(instance: Any, parameters: Any) -> None:
        if rds._p(parameters, "ManageMasterUserPassword") != "true":
            return
        secret = f"arn:aws:secretsmanager:{get_region()}:{get_account_id()}:secret:rds!db-{new_uuid()}"
        instance.setdefault("MasterUserSecret", secret)
        key = rds._p(parameters, "MasterUserSecretKmsKeyId")
        instance["MasterUserSecretKmsKeyId"] = key or instance.get("MasterUserSecretKmsKeyId", "")

    def instance_xml(original: Handler, instance: Any) -> Any:
        if not instance.get("MasterUserSecret"):
            return original(instance)
        secret = {
            "SecretArn": instance["MasterUserSecret"],
            "SecretStatus": "active",
            "KmsKeyId": instance["MasterUserSecretKmsKeyId"],
        }
        return original(instance) + to_xml({"MasterUserSecret": secret})

    after_create_and_modify(update)
    wrap(rds, "_instance_xml", instance_xml)


@gap
def rds_stores_the_performance_insights_key() -> None:
    """An instance stores the KMS key that encrypts its Performance Insights."""

    def update(instance: Any, parameters: Any) -> None:
        key = rds._p(parameters, "PerformanceInsightsKMSKeyId")
        if key:
            instance["InsightsKey"] = key

    def instance_xml(original: Handler, instance: Any) -> Any:
        return original(instance) + to_xml({"PerformanceInsightsKMSKeyId": instance.get("InsightsKey")})

    after_create_and_modify(update)
    wrap(rds, "_instance_xml", instance_xml)


@gap
def rds_exports_logs() -> None:
    """An instance stores which of its logs are exported to CloudWatch (EnabledCloudwatchLogsExports)."""
    field, change = "EnabledCloudwatchLogsExports", "CloudwatchLogsExportConfiguration"

    def update(instance: Any, parameters: Any) -> None:
        logs = set(instance.get(field) or [])
        logs.update(list_parameter(parameters, "EnableCloudwatchLogsExports.member", rds._p))
        logs.update(list_parameter(parameters, f"{change}.EnableLogTypes.member", rds._p))
        logs.difference_update(list_parameter(parameters, f"{change}.DisableLogTypes.member", rds._p))
        instance[field] = sorted(logs)

    def instance_xml(original: Handler, instance: Any) -> Any:
        return original(instance).replace(f"<{field}/>", to_xml({field: instance.get(field) or []}))

    after_create_and_modify(update)
    wrap(rds, "_instance_xml", instance_xml)
