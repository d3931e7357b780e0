"""Creates the alarms of a database."""

from collections.abc import Mapping
from typing import NamedTuple

import pulumi
from pulumi_aws.cloudwatch.metric_alarm import MetricAlarm
from pulumi_aws.rds.instance import Instance

GIB = 1024**3
PERIOD_SECONDS, PERIODS = 300, 3


class _Threshold(NamedTuple):
    """A metric and the value that it must not pass."""

    metric: str
    comparison: str
    value: float
    meaning: str


def database_thresholds(storage_gb: int) -> dict[str, _Threshold]:
    """Return when a database is in trouble, by the alarm's part of the resource name."""
    return {
        "cpu": _Threshold("CPUUtilization", "GreaterThanThreshold", 80, "percent of the instance's CPU"),
        "storage": _Threshold(
            "FreeStorageSpace", "LessThanThreshold", storage_gb * GIB * 0.1, "bytes free: a tenth of the first size"
        ),
        "memory": _Threshold("FreeableMemory", "LessThanThreshold", GIB / 8, "bytes of memory left"),
    }


def database_alarms(
    name: str,
    instance: Instance,
    *,
    storage_gb: int,
    topic_arn: pulumi.Input[str],
    tags: Mapping[str, str],
    parent: pulumi.Resource,
) -> None:
    """Create an alarm for CPU, for storage and for memory."""
    for part, threshold in database_thresholds(storage_gb).items():
        description = f"{name}: {threshold.metric} against {threshold.value:g} {threshold.meaning}, for 15 minutes"
        MetricAlarm(
            f"{name}-{part}",
            alarm_description=description,
            namespace="AWS/RDS",
            metric_name=threshold.metric,
            dimensions={"DBInstanceIdentifier": instance.identifier},
            statistic="Average",
            period=PERIOD_SECONDS,
            evaluation_periods=PERIODS,
            threshold=threshold.value,
            comparison_operator=threshold.comparison,
            alarm_actions=[topic_arn],
            ok_actions=[topic_arn],
            tags=tags,
            opts=pulumi.ResourceOptions(parent=parent),
        )
