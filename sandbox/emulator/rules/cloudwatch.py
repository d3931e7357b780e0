"""CloudWatch: alarms, and how long logs are kept."""

from typing import Any

from ministack.services import cloudwatch, cloudwatch_logs

from sandbox.emulator.rules.hooks import Refusal, rule

API = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference"
LOGS = "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference"
SHORT_PERIODS = frozenset({1, 5, 10, 20, 30})  # seconds; longer ones are multiples of a minute
DAY, HOUR = 86400, 3600
RETENTION_DAYS = frozenset(
    {1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
)


def numbers(parameters: Any, data: Any, *names: str) -> list[int | None]:
    """Return numbers of a request in whichever protocol it came."""
    texts = [(data or {}).get(name) if data else cloudwatch._p(parameters, name) for name in names]
    return [int(str(text)) if str(text or "").isdecimal() else None for text in texts]


@rule(cloudwatch, "_put_metric_alarm", source=f"{API}/API_PutMetricAlarm.html")
def alarm_periods(parameters: Any, data: Any, *_protocol: Any) -> Refusal | None:
    """An alarm's periods are multiples of a minute and cover a day at most, or a week if they are hours."""
    period, count, bad = numbers(parameters, data, "Period", "EvaluationPeriods", "DatapointsToAlarm")
    if period and period not in SHORT_PERIODS and period % 60:
        return Refusal("InvalidParameterValue", "The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60")
    longest = 7 * DAY if period and period >= HOUR else DAY
    if period and count and period * count > longest:
        return Refusal("ValidationError", f"Metrics cannot be checked across more than {longest} seconds")
    if bad and count and bad > count:
        return Refusal("ValidationError", "DatapointsToAlarm must be less than or equal to EvaluationPeriods")
    return None


@rule(cloudwatch_logs, "_put_retention_policy", source=f"{LOGS}/API_PutRetentionPolicy.html")
def retention(data: Any) -> Refusal | None:
    """Logs are kept for certain numbers of days."""
    days = data.get("retentionInDays")
    if days in RETENTION_DAYS:
        return None
    return Refusal("InvalidParameterException", f"Invalid retention value: {days}")
