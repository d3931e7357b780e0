"""Creates a service's dashboard in CloudWatch."""

from functools import partial

import pulumi
from pulumi_aws.cloudwatch.dashboard import Dashboard

from components.isolated_database import IsolatedDatabase
from components.outputs import json_document
from components.policies.documents import ServiceScope

HALF_WIDTH, FULL_WIDTH, HEIGHT = 12, 24, 6  # of a grid that is 24 units wide
DATABASE_METRICS = ("CPUUtilization", "DatabaseConnections")


def service_dashboard(
    name: str,
    scope: ServiceScope,
    *,
    group_name: pulumi.Input[str],
    database: IsolatedDatabase | None,
    parent: pulumi.Resource,
) -> None:
    """Create a dashboard with the servers' CPU, the database, and the latest lines of the log."""
    identifier = {"database_identifier": database.identifier} if database else {}
    Dashboard(
        f"{name}-dashboard",
        dashboard_name=f"{scope.environment}-{scope.service}",
        dashboard_body=json_document(partial(dashboard_body, scope), group_name=group_name, **identifier),
        opts=pulumi.ResourceOptions(parent=parent),
    )


def dashboard_body(
    scope: ServiceScope, *, group_name: str, database_identifier: str | None = None
) -> dict[str, object]:
    """Return the content of the dashboard. database_identifier: None if the service has no database."""
    cpu = ["AWS/EC2", "CPUUtilization", "AutoScalingGroupName", group_name]
    widgets = [_metric_widget("Servers: CPU", scope.region, [cpu])]
    if database_identifier is not None:
        metrics = [["AWS/RDS", metric, "DBInstanceIdentifier", database_identifier] for metric in DATABASE_METRICS]
        widgets.append(_metric_widget("Database", scope.region, metrics))
    widgets.append(_log_widget(scope.region, scope.log_group_name))
    return {"widgets": widgets}


def _metric_widget(title: str, region: str, metrics: list[list[str]]) -> dict[str, object]:
    """Return a graph of metrics."""
    properties = {"title": title, "region": region, "metrics": metrics}
    return {"type": "metric", "width": HALF_WIDTH, "height": HEIGHT, "properties": properties}


def _log_widget(region: str, log_group_name: str) -> dict[str, object]:
    """Return a table with the latest lines of a log group."""
    query = f"SOURCE '{log_group_name}' | fields @timestamp, @message | sort @timestamp desc | limit 50"
    properties = {"title": "Log", "region": region, "query": query, "view": "table"}
    return {"type": "log", "width": FULL_WIDTH, "height": HEIGHT, "properties": properties}
