"""The file of prices and assumptions."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from slipway.cost.errors import CostError

PRICES_FILE = Path(__file__).with_name("prices.toml")


def _decimal(value: object) -> object:
    # TOML writes a whole number as an integer. A boolean is an integer to Python, but isn't an amount.
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


Amount = Annotated[Decimal, BeforeValidator(_decimal), Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[Decimal, BeforeValidator(_decimal), Field(gt=0, allow_inf_nan=False)]
Share = Annotated[Decimal, BeforeValidator(_decimal), Field(ge=0, le=1, allow_inf_nan=False)]
Page = Annotated[str, StringConstraints(pattern=r"^https://(aws|docs\.aws)\.amazon\.com/\S+$")]
Unit = Annotated[str, StringConstraints(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Price(_Strict):
    """A price as on AWS's page: `usd` for `per` times `unit`."""

    usd: Amount
    per: Positive = Decimal(1)
    unit: Unit

    def of(self, quantity: Decimal | int) -> Decimal:
        """Return US dollars for a quantity in the price's unit."""
        return self.usd * Decimal(quantity) / self.per


class _Section(_Strict):
    source: Page


class _Kms(_Section):
    key: Price
    rotation: Price
    requests: Price


class _Secrets(_Section):
    secret: Price
    requests: Price


class _CloudWatch(_Section):
    alarm: Price
    alarm_high_resolution: Price
    alarm_composite: Price
    dashboard: Price
    metric: Price
    logs_ingested: Price
    logs_stored: Price


class _Waf(_Section):
    web_acl: Price
    rule: Price
    requests: Price


class _DynamoDb(_Section):
    read_capacity: Price
    write_capacity: Price
    read_requests: Price
    write_requests: Price
    storage: Price
    point_in_time_recovery: Price


class _LambdaRates(_Strict):
    duration: Price
    provisioned_concurrency: Price


class _Lambda(_Section):
    requests: Price
    ephemeral_storage: Price
    snapshot_cache: Price
    snapshot_restore: Price
    arm64: _LambdaRates
    x86_64: _LambdaRates


class _ApiGateway(_Section):
    rest_requests: Price
    http_requests: Price
    cache: Annotated[dict[str, Price], Field(description="by size of the cache cluster in GB")]


class _CloudFront(_Section):
    requests: Price
    data_out: Price


class _Sns(_Section):
    publishes: Price
    fifo_publishes: Price
    fifo_payload: Price
    email_deliveries: Price


class _Sqs(_Section):
    requests: Price
    fifo_requests: Price


class _S3(_Section):
    storage: Price
    puts: Price


class _Backup(_Section):
    dynamodb_storage: Price
    s3_storage: Price
    dynamodb_restores: Price
    s3_restores: Price


class _Fis(_Section):
    action: Price


class _AppConfig(_Section):
    requests: Price
    received: Price


class _XRay(_Section):
    traces: Price


class _DataTransfer(_Section):
    out: Price


class _Cognito(_Section):
    user: Annotated[dict[str, Price], Field(description="a monthly active user, by plan of the pool")]


class _CodePipeline(_Section):
    v1_pipeline: Price
    v2_action: Price


class _CodeBuild(_Section):
    minute: Annotated[dict[str, dict[str, Price]], Field(description="by environment type, then by compute type")]


class Prices(_Strict):
    """All prices, by the AWS service whose page lists them."""

    kms: _Kms
    secrets_manager: _Secrets
    cloudwatch: _CloudWatch
    waf: _Waf
    dynamodb: _DynamoDb
    lambda_: Annotated[_Lambda, Field(alias="lambda")]
    api_gateway: _ApiGateway
    cloudfront: _CloudFront
    sns: _Sns
    sqs: _Sqs
    s3: _S3
    backup: _Backup
    fis: _Fis
    app_config: _AppConfig
    x_ray: _XRay
    data_transfer: _DataTransfer
    cognito: _Cognito
    codepipeline: _CodePipeline
    codebuild: _CodeBuild


class Assumptions(_Strict):
    """Quantities that no template contains. `prices.toml` lists the values with their reasons."""

    requests_per_month: Annotated[dict[str, Amount], Field(description="by environment; `default` for the others")]
    read_share: Share
    create_share: Share
    cache_hit_ratio: Share
    response_bytes: Amount
    api_duration_ms: Amount
    event_duration_ms: Amount
    occasional_duration_ms: Amount
    occasional_invocations_per_month: Amount
    function_log_bytes: Amount
    access_log_bytes: Amount
    execution_log_bytes: Amount
    waf_log_bytes: Amount
    waf_logged_share: Share
    log_storage_ratio: Share
    retention_days_when_unset: Positive
    custom_metrics_per_function: Amount
    trace_share: Share
    cold_start_share: Share
    flag_pollers: Amount
    secret_reads_per_request: Amount
    bucket_key_share: Share
    kms_reuse_seconds: Positive
    key_rotations: Annotated[Decimal, BeforeValidator(_decimal), Field(ge=0, le=2)]
    read_units_per_read: Amount
    write_units_per_write: Amount
    bookkeeping_writes_per_write: Amount
    stored_gb_per_table: Amount
    stored_gb_per_bucket: Amount
    notifications_per_month: Amount
    message_bytes: Amount
    active_users_per_million_requests: Amount
    queue_requests_per_message: Amount
    runs_per_month: Amount
    build_minutes: Amount
    build_log_mb: Amount
    artifact_mb_per_run: Amount
    action_minutes: Annotated[dict[str, Amount], Field(description="by the provider of the action")]

    def requests(self, environment: str) -> Decimal:
        """Return the viewers' requests per month to each service of an environment."""
        return self.requests_per_month.get(environment, self.requests_per_month["default"])


class PriceFile(_Strict):
    """Contents of `prices.toml`.

    Args:
        as_of: Date of the figures.
        region: Region of the prices.
        prices: The prices.
        assumptions: Quantities that no template contains.
    """

    as_of: date
    region: Unit
    prices: Prices
    assumptions: Assumptions


_Table = dict[str, Any]
_Model = TypeVar("_Model", bound=BaseModel)


def load_prices(path: Path = PRICES_FILE, overrides: Iterable[str] = ()) -> PriceFile:
    """Read the price file.

    Args:
        path: The file.
        overrides: `key=value` for assumptions, dotted for those in a table (`requests_per_month.prod=5000000`).

    Raises:
        CostError: The file or an override is invalid. The message names the key.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError:
        raise CostError(f"{path} does not exist; pass another file with --prices") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CostError(f"{path} cannot be read ({error})") from None
    except tomllib.TOMLDecodeError as error:
        raise CostError(f"{path.name} is not valid TOML ({error})") from None
    file = _validate(raw, path.name)
    known = set(Assumptions.model_fields)
    for override in overrides:
        key, equals, text = override.partition("=")
        first, *rest = key.split(".")
        if not equals or first not in known or len(rest) > 1:
            raise CostError(f"--set {override}: write key=number with a key of [assumptions] in {path.name}")
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise CostError(f"--set {override}: {text!r} is not a number") from None
        if rest:
            table = raw["assumptions"][first]
            if not isinstance(table, dict):
                raise CostError(f"--set {override}: {first} is one number, not a table")
            table[rest[0]] = number
        else:
            raw["assumptions"][first] = number
        file = _validate(raw, f"--set {override}")
    return file


def _validate(raw: _Table, name: str) -> PriceFile:
    try:
        file = PriceFile.model_validate(raw)
    except ValidationError as error:
        first, *others = error.errors(include_url=False)
        key = ".".join(str(part) for part in first["loc"])
        found = "" if first["type"] in ("missing", "extra_forbidden") else f", found {first['input']!r}"
        more = f" (and {len(others)} more)" if others else ""
        raise CostError(f"{name}: {key}: {first['msg'].lower()}{found}{more}") from None
    if "default" not in file.assumptions.requests_per_month:
        raise CostError(f"{name}: assumptions.requests_per_month.default: field required")
    return file
