"""The matrix of configurations: the three committed environments, and others that the model allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import specimen
from slipway.settings import Environment, Settings

SPECIMEN: Settings = specimen.SETTINGS

_PROVISIONED = {
    "mode": "provisioned",
    "read": 7,
    "write": 6,
    "index_read": 4,
    "index_write": 3,
    "maximum": 90,
    "target_utilization_percent": 55,
    "cooldown_seconds": 120,
}
_CUSTOM_DOMAIN = {
    "name": "items.example.com",
    "certificate_arn": "arn:aws:acm:us-east-1:777788889999:certificate/11111111-2222-3333-4444-555555555555",
    "hosted_zone_id": "Z0123456789ABCDEFGHIJ",
    "hosted_zone_name": "example.com",
}


def changed(environment: Environment, changes: Mapping[str, Any]) -> Environment:
    """Return an environment with some keys changed, validated like a file; None deletes a key."""
    document = environment.model_dump(mode="json", exclude_none=True)
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = document
        for parent in parents:
            place = place[parent]
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return type(environment).model_validate(document)


def _matrix() -> dict[str, Environment]:
    dev, staging, prod = (SPECIMEN.environment(name) for name in ("dev", "staging", "prod"))
    return {
        "dev": dev,
        "staging": staging,
        "prod": prod,
        "dev, provisioned": changed(dev, {"services.catalog.capacity": _PROVISIONED}),
        "prod, on demand": changed(prod, {"services.catalog.capacity": {"mode": "on-demand"}}),
        "dev, behind WAF": changed(dev, {"waf.enabled": True, "waf.requests_per_5_minutes": 777}),
        "prod, own domain": changed(prod, {"services.catalog.custom_domain": _CUSTOM_DOMAIN}),
        "dev, new account": changed(
            dev,
            {
                "services.catalog.api.reserved_concurrency": None,
                "services.catalog.stream.reserved_concurrency": None,
                "alarms.emails": [],
            },
        ),
        "dev, warm": changed(
            dev,
            {
                "services.catalog.api.provisioned_concurrency": {"minimum": 2, "maximum": 4},
                "services.catalog.stream.snap_start": True,
            },
        ),
        "dev, Frankfurt": changed(dev, {"region": "eu-central-1"}),
        "dev, GovCloud": changed(dev, {"region": "us-gov-west-1"}),
        "dev, linear": changed(dev, {"deployment.strategy": "Linear10PercentEvery1Minute"}),
        "dev, own canary": changed(dev, {"deployment.strategy": "Canary5Percent15Minutes"}),
        "staging, own linear": changed(staging, {"deployment.strategy": "Linear25PercentEvery2Minutes"}),
        "prod, all at once": changed(
            prod, {"deployment.strategy": "AllAtOnce", "services.catalog.api.latency_alarm_ms": 1234}
        ),
        "prod, watched and tested": changed(
            prod, {"drift": {"hour_utc": 3}, "backup.restore_test": {"day": "SAT", "hour_utc": 9}}
        ),
        "staging, experiments": changed(staging, {"resilience": {"minutes": 4, "delay_ms": 700, "error_percent": 25}}),
        "dev, several origins": changed(
            dev, {"cors.origins": ["https://one.example.com", "http://localhost:3000", "https://two.example.com"]}
        ),
    }


ENVIRONMENTS: Mapping[str, Environment] = _matrix()
"""Every variant, by the name shown in test ids."""


def variants(where: Callable[[Environment], bool]) -> list[str]:
    """Return the names of the variants that satisfy `where`, for `parametrize(…, indirect=True)`."""
    return [name for name, environment in ENVIRONMENTS.items() if where(environment)]


def pipeline_settings(environments: tuple[Environment, ...] | None = None, **changes: Any) -> Settings:
    """Return the committed settings with some keys of `pipeline.toml` changed.

    Args:
        environments: Environments in the pipeline's order. Default: the three committed ones.
        changes: Values of keys in the pipeline's file.
    """
    environments = SPECIMEN.environments if environments is None else environments
    document = SPECIMEN.pipeline.model_dump(mode="json", exclude_none=True) | {
        "environments": [environment.name for environment in environments]
    }
    pipeline = type(SPECIMEN.pipeline).model_validate(document | changes)
    return Settings(pipeline=pipeline, environments=environments)


def _pipelines() -> dict[str, Settings]:
    dev, staging, prod = SPECIMEN.environments
    tools = SPECIMEN.pipeline
    fourth = changed(staging, {"name": "preview", "account": "444444444444"})
    twin = changed(prod, {"name": "prod-eu", "region": "eu-central-1"})
    beside = changed(staging, {"account": dev.account})
    at_home = changed(dev, {"account": tools.account})
    frankfurt = {"region": "eu-central-1"}
    bucket = {"kind": "s3", "bucket": "a-source-bucket", "key": "slipway.zip"}
    names = {"app": "acme-shop", "bucket_prefix": "acme-shop"}
    return {
        "committed": SPECIMEN,
        "another name": pipeline_settings(
            (changed(dev, names), changed(prod, names)),
            **names,
            qualifier="acme",
            permissions_boundary="acme-shop-bootstrap-permissions-boundary",
            key_alias="acme-shop-pipeline",
        ),
        "codecommit": pipeline_settings(source={"kind": "codecommit", "repository": "slipway", "branch": "trunk"}),
        "s3": pipeline_settings(source=bucket),
        "staging approved too": pipeline_settings(approval_before=["staging", "prod"]),
        "no approval": pipeline_settings((dev, staging), approval_before=[]),
        "one environment": pipeline_settings((dev,), approval_before=[]),
        "four environments": pipeline_settings((dev, fourth, staging, prod)),
        "own canary": pipeline_settings((changed(dev, {"deployment.strategy": "Canary5Percent15Minutes"}), prod)),
        "prod in Frankfurt": pipeline_settings((dev, staging, changed(prod, frankfurt))),
        "watched and tested": pipeline_settings(
            (changed(dev, {"drift": {}}), changed(prod, {"drift": {"hour_utc": 3}, "backup.restore_test": {}}))
        ),
        "experiments": pipeline_settings((dev, changed(staging, {"resilience": {}}), prod)),
        "prod in two regions": pipeline_settings((prod, twin), share_accounts=True),
        "prod in two regions side by side": pipeline_settings(
            (prod, twin), share_accounts=True, side_by_side=[["prod", "prod-eu"]]
        ),
        "two environments in one account": pipeline_settings((dev, beside), share_accounts=True, approval_before=[]),
        "everything in one account": pipeline_settings((at_home,), share_accounts=True, approval_before=[]),
        "pipeline in Frankfurt": pipeline_settings(
            (
                changed(dev, {"tools_region": "eu-central-1"}),
                changed(prod, {"tools_region": "eu-central-1"} | frankfurt),
            ),
            region="eu-central-1",
            source=bucket,
        ),
    }


PIPELINES: Mapping[str, Settings] = _pipelines()
"""Every pipeline configuration, by the name shown in test ids."""
