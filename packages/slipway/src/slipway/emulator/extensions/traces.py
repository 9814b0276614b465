"""X-Ray segments that Lambda writes: one per traced invocation, under the function's role.

https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html. The subsegments that a function's SDK sends to the
daemon in its environment aren't kept: there is no daemon.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import lambda_svc

from slipway.emulator.extensions import apis
from slipway.emulator.extensions.functions import Record, actor
from slipway.emulator.extensions.patches import wrap

KEPT = 1000
"""Number of traces that are kept; older ones are dropped."""

_header: ContextVar[str | None] = ContextVar("trace_header", default=None)
_ROOT, _PARENT = re.compile(r"Root=([\w-]+)"), re.compile(r"Parent=(\w+)")
_traces: OrderedDict[tuple[str, str, str], Record] = OrderedDict()
_lock = threading.Lock()


def _trace_header(original: Callable[..., Any], config: Record, inbound_trace_header: str | None = None) -> Any:
    header = original(config, inbound_trace_header)
    _header.set(header)
    return header


def _execute(original: Callable[..., Any], func: Record, event: Any) -> Record:
    _header.set(None)
    began = time.time()
    result: Record = original(func, event)
    config = func.get("config") or func
    header = _header.get()
    if header is not None and (config.get("TracingConfig") or {}).get("Mode") == "Active":
        _put(config, header, began, failed=bool(result.get("error")))
    return result


def _put(config: Record, header: str, began: float, *, failed: bool) -> None:
    root, parent = _ROOT.search(header), _PARENT.search(header)
    if root is None:
        return
    lambda_ = actor(config)
    if lambda_.refusal("xray:PutTraceSegments", "*") is None:
        segment = {
            "name": config["FunctionName"],
            "id": parent[1] if parent else "0" * 16,
            "trace_id": root[1],
            "start_time": began,
            "end_time": time.time(),
            "origin": "AWS::Lambda::Function",
            "resource_arn": config["FunctionArn"],
            **({"fault": True} if failed else {}),
        }
        with _lock:
            _traces[get_account_id(), get_region(), root[1]] = segment
            while len(_traces) > KEPT:
                _traces.popitem(last=False)
    # The daemon's own metadata, which no API of X-Ray shows.
    lambda_.refusal("xray:PutTelemetryRecords", "*")


def _own() -> list[Record]:
    here = (get_account_id(), get_region())
    with _lock:
        return [segment for (account, region, _), segment in _traces.items() if (account, region) == here]


def _get_trace_summaries(request: dict[str, Any]) -> dict[str, Any]:
    start, end = float(request["StartTime"]), float(request["EndTime"])
    summaries = [
        {
            "Id": segment["trace_id"],
            "StartTime": segment["start_time"],
            "Duration": segment["end_time"] - segment["start_time"],
            "HasFault": "fault" in segment,
            "ServiceIds": [{"Name": segment["name"], "Type": segment["origin"]}],
            "ResourceARNs": [{"ARN": segment["resource_arn"]}],
        }
        for segment in _own()
        if start <= segment["start_time"] <= end
    ]
    return {"TraceSummaries": summaries, "TracesProcessedCount": len(summaries)}


def _batch_get_traces(request: dict[str, Any]) -> dict[str, Any]:
    found = {segment["trace_id"]: segment for segment in _own()}
    wanted = request.get("TraceIds", [])
    traces = [
        {
            "Id": name,
            "Duration": found[name]["end_time"] - found[name]["start_time"],
            "Segments": [{"Id": found[name]["id"], "Document": json.dumps(found[name])}],
        }
        for name in wanted
        if name in found
    ]
    return {"Traces": traces, "UnprocessedTraceIds": [name for name in wanted if name not in found]}


def install() -> None:
    """Make the emulator write traces.

    Raises:
        UnknownEmulatorError: It is another version of the emulator.
    """
    wrap(lambda_svc, "_xray_trace_id_for_invocation", _trace_header, "config", "inbound_trace_header")
    wrap(lambda_svc, "_execute_function", _execute, "func", "event")
    apis.add("xray", {"GetTraceSummaries": _get_trace_summaries, "BatchGetTraces": _batch_get_traces})
