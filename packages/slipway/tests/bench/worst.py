"""The cost of the largest requests and pages, each in a process limited to the function's memory.

The functions run as they are shipped, botocore included; DynamoDB, S3 and Secrets Manager are a server on this machine
with the largest responses of those services: a megabyte per query, an object of the maximum accepted size.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.rows import Row
from slipway import settings as config
from slipway.testing.shipped import LambdaFolder
from slipway_runtime.bodies import DATA_LIMITS

# "At 1,769 MB, a function has the equivalent of one vCPU."
# (docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html)
_MB_OF_A_CORE = 1769
# Of a function's timeout; the rest is a reserve for other delays
_SHARE_OF_TIMEOUT = 0.1
_QUERY_BYTES = 1024 * 1024
_OWNER, _ID = "a11ce000-0000-4000-8000-000000000000", "11111111-1111-4111-8111-111111111111"
_KEY = "k" * 40

_SCRIPT = """
import json, resource, sys, time
limit, module, requests = int(sys.argv[1]), sys.argv[2], sys.argv[3]
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
import importlib
handler = importlib.import_module(module).handler

class Context:
    function_name = "api"
    function_version = "7"
    memory_limit_in_mb = limit >> 20
    invoked_function_arn = "arn:aws:lambda:us-east-1:111111111111:function:api:live"
    aws_request_id = "1"
    def get_remaining_time_in_millis(self):
        return 29000

said = []
for line in open(requests, encoding="utf-8"):
    name, status, text = json.loads(line)
    for again in range(2):
        started = time.process_time()
        # As Lambda's own runtime does: an event comes as JSON, an answer goes as JSON.
        answer = handler(json.loads(text), Context())
        carried = json.dumps(answer, ensure_ascii=False).encode()
        taken = time.process_time() - started
    assert answer["statusCode"] == status, (name, answer["statusCode"], answer["body"][:300])
    said.append([name, taken, len(carried)])
# Not ru_maxrss, which begins with what the process that started this one had.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
sys.stderr.write("\\n" + json.dumps({"peak_kb": peak, "requests": said}))
"""


@dataclass(frozen=True)
class _Request:
    name: str
    status: int
    event: dict[str, Any]


def measure(
    folder: LambdaFolder, service: str, *, variables: Mapping[str, str], work: Path, memory_mb: int | None = None
) -> list[Row]:
    """Send the most expensive requests to a service's `api` function, with no more memory than when deployed.

    Args:
        folder: The unpacked function.
        service: Its name.
        variables: The function's environment variables.
        work: An empty folder.
        memory_mb: Memory limit of the process. Default: the smallest that any environment gives the function.

    Raises:
        RuntimeError: A request failed, for example because the memory is too small.
    """
    settings = [getattr(environment.services, service).api for environment in config.load().environments]
    memory = memory_mb or min(each.memory_mb for each in settings)
    timeout = min(each.timeout_seconds for each in settings)
    events = work / "events"
    with events.open("w", encoding="utf-8") as file:
        for request in _REQUESTS[service]():
            file.write(json.dumps([request.name, request.status, json.dumps(request.event)]) + "\n")
    with _aws(service) as endpoint:
        said = folder.run(
            _SCRIPT,
            str(memory * 2**20),
            f"services.{service}.runtime.api",
            str(events),
            variables={**variables, "AWS_ENDPOINT_URL": endpoint},
        )
    told = json.loads(said.rpartition("\n")[2])
    rows = [
        Row(
            f"worst of {service}, peak memory",
            told["peak_kb"] / 1024,
            "MB",
            float(memory),
            f"enforced: RLIMIT_DATA is the {memory} MB of the function",
        )
    ]
    for name, seconds, size in told["requests"]:
        rows.append(
            Row(
                f"worst {name}",
                seconds * _MB_OF_A_CORE / memory,
                "s",
                timeout * _SHARE_OF_TIMEOUT,
                f"{seconds * 1000:.0f} ms of a core here, at the share of {memory} MB; {size / 1e6:.2f} MB answered",
            )
        )
    return rows


def _values(size: int, count: int) -> str:
    """Return data with this number of values and at most this number of bytes."""
    width = min(size // count - 1, 38)
    return '{"a":[' + ",".join(["7" * width] * (count - 4)) + "]}"


def _faulty() -> str:
    """Return data in which every value is invalid, deeply nested below long names."""
    levels = 18
    return ('{"' + "k" * 100 + '":') * levels + "[" + ",".join(["NaN"] * 9_000) + "]" + "}" * levels


def _rest(method: str, path: str, *, body: str | None = None, **headers: str) -> dict[str, Any]:
    path, _, query = path.partition("?")
    given = dict(part.split("=") for part in query.split("&")) if query else None
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": given,
        "multiValueQueryStringParameters": {name: [value] for name, value in given.items()} if given else None,
        "requestContext": {"requestId": "1", "stage": "live", "path": f"/live{path}", "identity": {}},
        "body": body,
        "isBase64Encoded": False,
    }


def _http(method: str, path: str, body: str | None = None) -> dict[str, Any]:
    claims = {"token_use": "access", "sub": _OWNER}
    event: dict[str, Any] = {
        "version": "2.0",
        "rawPath": path,
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "http": {"method": method, "path": path},
            "requestId": "1",
            "stage": "$default",
            "authorizer": {"jwt": {"claims": claims}},
        },
        "isBase64Encoded": False,
    }
    return event | ({"body": body} if body is not None else {})


def _of_items() -> Iterator[_Request]:
    json_type = {"Content-Type": "application/json"}
    edge = {"X-Origin-Verify": "o" * 32}
    body = f'{{"name":"x","data":{_values(DATA_LIMITS.size, DATA_LIMITS.values)}}}'
    ones = '{"name":"x","data":{"a":[' + ",".join(["1"] * 131_000) + "]}}"
    yield _Request("POST /items", 201, _rest("POST", "/items", body=body, **json_type))
    yield _Request(
        "POST /items with a key", 201, _rest("POST", "/items", body=body, **json_type, **{"Idempotency-Key": "k"})
    )
    faulty = f'{{"name":"x","data":{_faulty()}}}'
    yield _Request("POST /items, refused for its faults", 400, _rest("POST", "/items", body=faulty, **json_type))
    yield _Request("POST /items, refused for its values", 413, _rest("POST", "/items", body=ones, **json_type))
    yield _Request("GET /items?limit=1", 200, _rest("GET", "/items?limit=1", **edge))
    yield _Request("GET /items?limit=100", 200, _rest("GET", "/items?limit=100", **edge))


def _of_ingest() -> Iterator[_Request]:
    headers = {"Content-Type": "application/json", "x-api-key": _KEY}
    body = json.dumps({"payload": _payload("ingest").decode()}, ensure_ascii=False)
    ones = '{"payload":[' + ",".join(["1"] * 3_000_000) + "]}"
    yield _Request("POST /data", 201, _rest("POST", "/data", body=body, **headers))
    yield _Request("POST /data, refused for its values", 413, _rest("POST", "/data", body=ones, **headers))
    yield _Request("GET /data", 200, _rest("GET", f"/data?id={_ID}", **headers))


def _of_processing() -> Iterator[_Request]:
    body = f'{{"data":{_values(DATA_LIMITS.size, DATA_LIMITS.values)}}}'
    yield _Request("POST /validate", 200, _http("POST", "/validate", body))
    faulty = f'{{"data":{_faulty()}}}'
    yield _Request("POST /validate, refused for its faults", 400, _http("POST", "/validate", faulty))
    yield _Request("POST /process", 202, _http("POST", "/process", body))
    yield _Request("GET /process/{id}", 200, _http("GET", f"/process/{_ID}"))
    yield _Request(
        "GET /results?limit=100", 200, _http("GET", "/results") | {"queryStringParameters": {"limit": "100"}}
    )


_REQUESTS = {"items": _of_items, "ingest": _of_ingest, "processing": _of_processing}


class _Aws(BaseHTTPRequestHandler):
    """The largest responses of the services that a function calls."""

    protocol_version = "HTTP/1.1"
    answers: Mapping[str, bytes]
    payload: bytes

    def do_POST(self) -> None:
        """Answer for DynamoDB, Secrets Manager and Lambda."""
        self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers.get("X-Amz-Target", ".Invoke").rpartition(".")[2]
        self._answer(self.answers.get(operation, b"{}"), 202 if operation == "Invoke" else 200)

    def do_GET(self) -> None:
        """Return an S3 object."""
        self._answer(self.payload)

    def do_PUT(self) -> None:
        """Accept an S3 object."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(b"")

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def _answer(self, content: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def _aws(service: str) -> Iterator[str]:
    payload = _payload(service)
    kind = type("_Aws", (_Aws,), {"answers": _answers(service, payload), "payload": payload})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _payload(service: str) -> bytes:
    if service == "ingest":
        # The app may not have this service
        from services.ingest.runtime.model import PAYLOAD_BYTES

        return ("я" * (PAYLOAD_BYTES // 2)).encode()
    # Letters that become three each, up to the size allowed before
    return ('{"a":"' + "\u0399\u0308\u0301" * (DATA_LIMITS.size // 2 - 20) + '"}').encode()


def _answers(service: str, payload: bytes) -> dict[str, bytes]:
    secret = {"SecretString": json.dumps({"key": "k" * 64, "header": "o" * 32})}
    return {
        "GetSecretValue": json.dumps(secret).encode(),
        "GetItem": json.dumps({"Item": _record(service, payload)}).encode(),
        "Query": json.dumps(_query(service)).encode(),
    }


def _record(service: str, payload: bytes) -> dict[str, Any]:
    instant = "2026-11-29T12:00:00.000000Z"
    texts = {"id": _ID, "created_at": instant, "updated_at": instant, "digest": "d" * 64}
    if service == "ingest":
        from services.ingest.runtime.model import owner_of

        texts |= {"owner": owner_of(_KEY), "status": "pending", "sha256": hashlib.sha256(payload).hexdigest()}
    else:
        texts |= {"owner": _OWNER, "status": "processed", "recency": f"{instant}#{_ID}"}
    return {name: {"S": text} for name, text in texts.items()} | {
        "expires_at": {"N": "9999999999"},
        "size": {"N": str(len(payload))},
    }


def _query(service: str) -> dict[str, Any]:
    if service != "items":
        return {"Items": [_record(service, b"")] * 101}
    # As many values as fit into a megabyte: one-digit numbers
    data = '{"a":[' + ",".join(["1"] * (DATA_LIMITS.values - 4)) + "]}"
    instant = "2026-11-29T12:00:00.000000Z"
    texts = {"name": "x", "description": "", "data": data, "status": "active"}
    item = {name: {"S": text} for name, text in (texts | {"created_at": instant, "updated_at": instant}).items()}
    count = _QUERY_BYTES // (len(data) + 200)
    items = [item | {"id": {"S": f"{number:036d}"}, "version": {"N": "1"}} for number in range(count, 0, -1)]
    return {"Items": items, "LastEvaluatedKey": {"id": {"S": "1"}}}
