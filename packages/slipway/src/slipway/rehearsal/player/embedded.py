"""Read metrics from functions' logs, in CloudWatch's embedded metric format.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from slipway.cloudwatch import Metric


@dataclass(frozen=True)
class Counted:
    """Values of one metric in one log line.

    Attributes:
        metric: The metric.
        values: The values, each counted once.
        unit: CloudWatch's name of the unit; None if the line has none.
    """

    metric: Metric
    values: tuple[float, ...]
    unit: str | None


def counted(log: str) -> tuple[Counted, ...]:
    """Return the metrics in a log.

    Args:
        log: The log. Lines without metrics and truncated lines are skipped.
    """
    return tuple(each for line in log.splitlines() if '"_aws"' in line for each in _of(line))


def _of(line: str) -> Iterator[Counted]:
    try:
        document = json.loads(line)
        directives = document["_aws"]["CloudWatchMetrics"]
    except (ValueError, KeyError, TypeError):
        return
    for directive in directives:
        for names in directive["Dimensions"]:
            dimensions = {name: str(document[name]) for name in names}
            for metric in directive["Metrics"]:
                found: Any = document[metric["Name"]]
                yield Counted(
                    Metric.of(directive["Namespace"], metric["Name"], dimensions),
                    tuple(float(value) for value in (found if isinstance(found, list) else [found])),
                    metric.get("Unit"),
                )
