"""Authorise a function's reads of AppConfig's configurations with IAM, which the emulator doesn't.

The data plane is signed as `appconfig`, so the emulator mistakes its calls for the control plane's, which lacks those
paths.

A session names its configuration when it starts; after that its token stands for it
(https://docs.aws.amazon.com/appconfig/latest/userguide/retrieving-simplified-methods.html). IAM checks both calls on
`application/<id>/environment/<id>/configuration/<id>`
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsappconfig.html), whether the caller gave ids
or names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from ministack.core import iam_actions
from ministack.services import appconfig

from slipway.emulator.extensions.patches import wrap

_SERVICES = frozenset({"appconfig", "appconfigdata"})
_ACTIONS: Mapping[tuple[str, str], str] = {
    ("POST", "/configurationsessions"): "appconfig:StartConfigurationSession",
    ("GET", "/configuration"): "appconfig:GetLatestConfiguration",
}


def _action(original: Callable[..., str | None], service: str, method: str, path: str, *rest: Any) -> str | None:
    if service in _SERVICES and (action := _ACTIONS.get((method, path))):
        return action
    return original(service, method, path, *rest)


def _resource_arn(original: Callable[..., str], service: str, method: str, path: str, headers: Any, *rest: Any) -> str:
    if service not in _SERVICES or (method, path) not in _ACTIONS:
        return original(service, method, path, headers, *rest)
    body, query, region, account = (*rest, "", "")[:4]
    named = _named(json.loads(body or b"{}")) if method == "POST" else _of_session(_token(query))
    return "*" if named is None else f"arn:aws:appconfig:{region}:{account}:{named}"


def _named(request: Mapping[str, Any]) -> str | None:
    """Return the resource of the configuration that a session is started for, or None."""
    application = appconfig._resolve_application_id(request.get("ApplicationIdentifier", ""))
    if not application:
        return None
    environment = appconfig._resolve_environment_id(application, request.get("EnvironmentIdentifier", ""))
    profile = appconfig._resolve_configuration_profile_id(
        application, request.get("ConfigurationProfileIdentifier", "")
    )
    return _resource(application, environment, profile) if environment and profile else None


def _of_session(token: str) -> str | None:
    session = appconfig._sessions.get(token)
    if session is None:
        return None
    return _resource(
        session["ApplicationIdentifier"], session["EnvironmentIdentifier"], session["ConfigurationProfileIdentifier"]
    )


def _resource(application: str, environment: str, profile: str) -> str:
    return f"application/{application}/environment/{environment}/configuration/{profile}"


def _token(query: Any) -> str:
    found = parse_qs(query).get("configuration_token") if isinstance(query, str) else query.get("configuration_token")
    return str(found[0] if isinstance(found, list) else found)


def install() -> None:
    """Install the replacements.

    Raises:
        UnknownEmulatorError: It is another version of the emulator.
    """
    parameters = ("service", "method", "path", "headers", "body", "query_params")
    wrap(iam_actions, "extract_iam_action", _action, *parameters)
    wrap(iam_actions, "extract_resource_arn", _resource_arn, *parameters, "region", "account_id")
