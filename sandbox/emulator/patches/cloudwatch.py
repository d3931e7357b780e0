"""CloudWatch: alarms."""

from typing import Any

from ministack.services import cloudwatch

from sandbox.emulator.patches.hooks import Handler, gap, wrap
from sandbox.emulator.patches.query_protocol import list_parameter, to_xml

ALARM_FIELDS = [
    "AlarmName",
    "AlarmArn",
    "AlarmDescription",
    "ActionsEnabled",
    "OKActions",
    "AlarmActions",
    "InsufficientDataActions",
    "StateValue",
    "StateReason",
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Dimensions",
    "Period",
    "Unit",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
    "EvaluateLowSampleCountPercentile",
    "Metrics",
    "ThresholdMetricId",
    "AlarmRule",
]
SINGLE_METRIC_FIELDS = {"Period", "Statistic", "Unit"}  # an alarm on a metric math expression does not have these


@gap
def cloudwatch_describes_alarms_in_full() -> None:
    """DescribeAlarms returns every field of an alarm in the Query protocol too; ministack leaves most of them out."""

    def has(alarm: Any, field: str) -> bool:
        is_set = alarm.get(field) not in (None, "", [])
        return is_set and not (alarm.get("Metrics") and field in SINGLE_METRIC_FIELDS)

    def describe(original: Handler, parameters: Any, cbor: Any, is_cbor: Any, is_json: Any = False) -> Any:
        names = set(list_parameter(parameters, "AlarmNames.member", cloudwatch._p))
        if is_cbor or is_json or not names:
            return original(parameters, cbor, is_cbor, is_json)

        def select(alarms: Any) -> list[dict[str, Any]]:
            chosen = [alarm for name, alarm in alarms.items() if name in names]
            return [{field: alarm[field] for field in ALARM_FIELDS if has(alarm, field)} for alarm in chosen]

        result = {
            "CompositeAlarms": select(cloudwatch._composite_alarms),
            "MetricAlarms": select(cloudwatch._alarms),
        }
        return cloudwatch._xml(200, "DescribeAlarmsResponse", to_xml({"DescribeAlarmsResult": result}))

    wrap(cloudwatch, "_describe_alarms", describe)
