"""An in-memory Lambda."""

# ruff: noqa: N803

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from unit.rehearsal.aws.client import RefusedError, body
from unit.rehearsal.aws.identity import Who


@dataclass
class Function:
    """A function: the name of its handler, its role, and the behaviour of its versions."""

    role: str = "role"
    handler: str = "services.items.runtime.hooks.api_handler"
    versions: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    """Handlers by version; `$LATEST` serves versions that are not listed."""
    aliases: dict[str, tuple[str, dict[str, float]]] = field(default_factory=dict)
    """Main version and weights of the others, by alias."""
    log: str = ""
    """The function's log output."""


class Functions:
    """Lambda."""

    def __init__(self) -> None:
        self.all: dict[str, Function] = {}
        self.happened: list[tuple[str, str, Any]] = []
        """Calls in order: `invoke` with function:version and the event, or `route` with function:alias and the
        versions' weights."""

    def invocations(self) -> list[str]:
        """Return function and version of each invocation, in order."""
        return [what for kind, what, _ in self.happened if kind == "invoke"]

    def routes(self) -> list[dict[str, float]]:
        """Return the weights that an alias was given, in order."""
        return [weights for kind, _, weights in self.happened if kind == "route"]

    def _named(self, name: str) -> tuple[str, Function, str]:
        if name.startswith("arn:"):
            name = name.split(":", 6)[6]
        name, _, qualifier = name.partition(":")
        if name not in self.all:
            raise RefusedError("ResourceNotFoundException", f"Function not found: {name}")
        return name, self.all[name], qualifier

    def invoke(
        self,
        who: Who,
        *,
        FunctionName: str,
        Payload: bytes = b"{}",
        Qualifier: str = "",
        LogType: str = "None",
    ) -> dict[str, Any]:
        name, function, named = self._named(FunctionName)
        qualifier = Qualifier or named or "$LATEST"
        version = function.aliases[qualifier][0] if qualifier in function.aliases else qualifier
        event = json.loads(Payload)
        self.happened.append(("invoke", f"{name}:{version}", event))
        handler = function.versions.get(version) or function.versions.get("$LATEST") or (lambda _: None)
        answer: dict[str, Any] = {"StatusCode": 200}
        try:
            content = handler(event)
        except RefusedError:
            raise
        except Exception as error:  # noqa: BLE001  # what a function raises, Lambda tells
            answer["FunctionError"] = "Unhandled"
            content = {"errorMessage": str(error), "errorType": type(error).__name__}
        if LogType == "Tail":
            answer["LogResult"] = base64.b64encode(function.log.encode()).decode()
        return {**answer, "Payload": body(json.dumps(content).encode())}

    def get_function_configuration(self, who: Who, *, FunctionName: str) -> dict[str, Any]:
        name, function, _ = self._named(FunctionName)
        return {"FunctionName": name, "Handler": function.handler, "Role": function.role}

    def list_functions(self, who: Who) -> dict[str, Any]:
        return {"Functions": [{"FunctionName": name} for name in self.all]}

    def get_alias(self, who: Who, *, FunctionName: str, Name: str) -> dict[str, Any]:
        _, function, _ = self._named(FunctionName)
        if Name not in function.aliases:
            raise RefusedError("ResourceNotFoundException", f"Cannot find alias {Name}")
        main, weights = function.aliases[Name]
        return {"Name": Name, "FunctionVersion": main, "RoutingConfig": {"AdditionalVersionWeights": weights}}

    def update_alias(
        self,
        who: Who,
        *,
        FunctionName: str,
        Name: str,
        FunctionVersion: str,
        RoutingConfig: dict[str, Any],
    ) -> dict[str, Any]:
        name, function, _ = self._named(FunctionName)
        weights = RoutingConfig["AdditionalVersionWeights"]
        if FunctionVersion in weights:
            raise RefusedError("InvalidParameterValueException", "a version cannot be main and additional")
        if any(not 0 <= weight <= 1 for weight in weights.values()):
            raise RefusedError("ValidationException", "a weight is from 0 to 1")
        function.aliases[Name] = (FunctionVersion, weights)
        shares = {FunctionVersion: 1 - sum(weights.values()), **weights}
        self.happened.append(("route", f"{name}:{Name}", shares))
        return self.get_alias(who, FunctionName=FunctionName, Name=Name)
