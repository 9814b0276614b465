"""The typed, validated model of `config/*.toml`.

Every figure that differs between environments is a field here and nowhere else. Models are frozen and strict: an
unknown key, a wrong type or an impossible number is an error, never a silent default. `docs/configuration.md` names the
defaults.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from slipway.settings.regions import known_region
from slipway.settings.shifts import Shift
from slipway.settings.time_zones import time_zone

AccountId = Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")]
Region = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$"), AfterValidator(known_region)]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254)]


def _each_once(emails: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse an address that is listed twice: SNS has one subscription per address."""
    for email, times in Counter(email.casefold() for email in emails).items():
        if times > 1:
            raise ValueError(f"lists {email!r} {times} times; list each address once")
    return emails


Emails = Annotated[tuple[Email, ...], AfterValidator(_each_once)]
CountryCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Origin = Annotated[str, StringConstraints(pattern=r"^(\*|https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?)$")]
TagValue = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
"""A name that other names are built from. `slipway.delivery.names` checks AWS's limits on the results."""

LogRetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
"""The periods that CloudWatch Logs accepts (PutRetentionPolicy, `retentionInDays`)."""


ROLLBACK_DAYS = 180
"""Longest time without a delivery after which an environment can still be rolled back, days.

A rollback uses the artifacts of the last successful execution of the stage
(https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html), so artifacts must not expire sooner.
The figure is our choice: half a year without a delivery to production is longer than any planned freeze.
"""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class EnvironmentKind(StrEnum):
    """Purpose of an environment. Every rule that differs between environments depends on this, never on a name."""

    DEVELOPMENT = "development"
    """Used only by the team."""
    TEST = "test"
    """Resembles production; tests may write to it."""
    PRODUCTION = "production"
    """Serves users: entered after an approval, protected against deletion, verified by reading only."""


class RemovalPolicy(StrEnum):
    """What happens to a stateful resource when it is removed from its template."""

    DESTROY = "destroy"
    RETAIN = "retain"


class LogLevel(StrEnum):
    """Levels of Lambda's JSON application log."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


class Tags(_Model):
    """Values of the tags on every resource; the app adds Service and Environment."""

    project: TagValue
    """Tag `Project`."""
    application: TagValue
    """Tag `Application`."""
    owner: TagValue
    """Tag `Owner`."""
    cost_center: TagValue
    """Tag `CostCenter`."""


class Stateful(_Model):
    """Protection of tables, buckets, keys and secrets."""

    removal_policy: RemovalPolicy = Field(strict=False)
    """What happens to a table, bucket or secret that is removed from its template; keys are always retained. `destroy`
    requires `disposable`.
    """
    deletion_protection: bool
    """True if tables can't be deleted; must be true in production."""
    termination_protection: bool
    """True if the stateful stacks can't be deleted; must be true in production."""
    disposable: bool = False
    """True if the environment's data is expendable: `make destroy` empties and deletes only such an environment."""
    key_deletion_window_days: Annotated[int, Field(ge=7, le=30)] = 30
    """Days between the request to delete a KMS key and its deletion."""


class Logs(_Model):
    """Log groups of functions and APIs."""

    retention_days: LogRetentionDays
    """Days that log events are kept."""
    level: LogLevel = Field(strict=False)
    """Lowest level that functions log."""


LEAST_CLIENT_ERROR_FLOOR = 60
"""Lower limit of `client_error_floor`. A service's smoke tests cause fewer than a third as many refusals."""


class AlarmSettings(_Model):
    """Recipients and thresholds of the alarms."""

    emails: Emails = Field(strict=False)
    """Addresses that every alarm notifies; at least one outside development."""
    runbooks: Annotated[str, StringConstraints(pattern=r"^https://[^\s]+[^/\s]$", max_length=400)]
    """Address of the rendered `docs/runbooks/`; each alarm's description links to its page there. Default
    (`slipway.settings.load`), with a CodeConnections source: the pipeline's repository and branch on GitHub.
    """
    client_error_percent: Annotated[int, Field(ge=1, le=100)] = 50
    """Share of an API's requests in five minutes answered with 4xx that triggers its alarm, percent."""
    client_error_floor: Annotated[int, Field(ge=LEAST_CLIENT_ERROR_FLOOR)] = 200
    """Minimum number of requests in five minutes for the share to count."""


class OnFailure(StrEnum):
    """What happens to the stage of an environment's services when it fails. The values are CodePipeline's own."""

    RETRY = "RETRY"
    ROLLBACK = "ROLLBACK"


class DeploymentWindow(_Model):
    """Days and hours during which changes may enter an environment, in the window's own time zone."""

    days: tuple[Literal["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"], ...] = Field(strict=False, min_length=1)
    """Days of the week on which changes may enter."""
    from_hour: Annotated[int, Field(ge=0, le=23)]
    """First hour of the window."""
    to_hour: Annotated[int, Field(ge=1, le=24)]
    """First hour after the window."""
    time_zone: str
    """Time zone, as CodePipeline accepts it (`slipway.settings.time_zones`): `Europe/Berlin`, `UTC-05:00`, `EST`."""

    @model_validator(mode="after")
    def _opens(self) -> Self:
        if self.to_hour <= self.from_hour:
            raise ValueError("to_hour must be later than from_hour: this window never opens")
        time_zone(self.time_zone)
        return self


def _is_shift(name: str) -> str:
    """Refuse a name that is not a deployment configuration of CodeDeploy for Lambda."""
    Shift.named(name)
    return name


class Deployment(_Model):
    """How a change enters the environment: CodeDeploy on the alias `live`, the bake time, windows."""

    strategy: Annotated[str, AfterValidator(_is_shift)]
    """CodeDeploy's name of the traffic shift, without its prefix. A shift that CodeDeploy doesn't predefine is named in
    the same way, and created: `Canary5Percent15Minutes`.
    """
    bake_minutes: Annotated[int, Field(ge=0)] = 0
    """Minutes that the environment's alarms must stay quiet after a deployment; 0 for no bake. `slipway.settings.load`
    refuses a bake longer than CodePipeline waits.
    """
    on_failure: OnFailure = Field(strict=False, default=OnFailure.ROLLBACK)
    """`RETRY` repeats the stage's actions once; `ROLLBACK` returns to the stage's last successful execution."""
    frozen: bool = False
    """True if no change may enter this environment until it is set to false again."""
    window: DeploymentWindow | None = None
    """Time window for changes. Default: always."""

    @property
    def shift(self) -> Shift:
        """Return how traffic moves to a new version."""
        return Shift.named(self.strategy)


class RestoreTest(_Model):
    """Weekly test that the newest backups can be restored; AWS Backup deletes what it restored."""

    day: Literal["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"] = "SUN"
    """Day of the week, UTC."""
    hour_utc: Annotated[int, Field(ge=0, le=23)] = 8
    """Hour at which the test may start, UTC; AWS Backup starts it within eight hours."""
    keep_hours: Annotated[int, Field(ge=1, le=168)] = 1
    """Hours that the restored table or bucket is kept for inspection."""


class Backup(_Model):
    """Daily backups of tables and buckets, into the service's own vault."""

    hour_utc: Annotated[int, Field(ge=0, le=23)] = 5
    """Hour at which backups start, UTC."""
    keep_days: Annotated[int, Field(ge=1, le=3_650)] = 35
    """Days that a recovery point is kept, even if the table or bucket is deleted."""
    restore_test: RestoreTest | None = None
    """Default: no tests. Each test restores every table and bucket, with the cost of that."""


class Drift(_Model):
    """Daily detection of manual changes, reported to the recipients of delivery notifications."""

    hour_utc: Annotated[int, Field(ge=0, le=23)] = 4
    """Hour at which it starts, UTC."""


class Attack(_Model):
    """Requests from outside that look for faults, after each deployment to a test environment (`slipway attack`)."""

    requests: Annotated[int, Field(ge=10, le=100_000)] = 400
    """Maximum number of requests to each service, besides those that try its authorization."""
    seconds: Annotated[int, Field(ge=5, le=1_200)] = 60
    """Maximum duration per service, seconds."""


class Performance(_Model):
    """Load on each service after a deployment to a test environment, and its limits (`slipway perform`)."""

    seconds: Annotated[int, Field(ge=10, le=600)] = 60
    """Duration of the load per service, seconds."""
    times: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Factor of the service's ordinary `traffic`. At least one task per second is run."""
    most_per_second: Annotated[float, Field(ge=1, le=1_000)] = 20.0
    """Maximum tasks per second for a service."""
    p95_ms: Annotated[int, Field(ge=1, le=30_000)] = 1_000
    """Maximum p95 of the response times, milliseconds."""
    error_percent: Annotated[float, Field(ge=0, le=100)] = 1.0
    """Maximum share of refused or failed requests, percent."""
    tolerance_percent: Annotated[int, Field(ge=1, le=1_000)] = 50
    """Maximum increase of the p95 over the last good run, percent."""


class Resilience(_Model):
    """Experiments of AWS FIS on functions, after a deployment to a test environment (`slipway experiment`)."""

    minutes: Annotated[int, Field(ge=2, le=10)] = 3
    """Minutes per experiment. The functions notice its start within a minute."""
    delay_ms: Annotated[int, Field(ge=100, le=10_000)] = 1_000
    """Delay of every invocation in the experiment with slow functions, milliseconds."""
    error_percent: Annotated[int, Field(ge=1, le=100)] = 10
    """Share of the invocations that fail in the experiments with failing functions, percent."""


class BodyRules(StrEnum):
    """Action of AWS WAF for a body that matches its rules for free text."""

    COUNT = "count"
    BLOCK = "block"


class Waf(_Model):
    """AWS WAF in front of REST APIs and at the edge."""

    enabled: bool
    """True if a web ACL protects REST APIs and the edge; must be true outside development."""
    requests_per_5_minutes: Annotated[int, Field(ge=10, le=2_000_000_000)]
    """Rate limit: requests per IP address in five minutes. 10 is WAF's own minimum."""
    body_rules: BodyRules = Field(strict=False, default=BodyRules.COUNT)
    """`count`: a body with HTML, a relative path or a URL is counted and logged; `block`: it is refused with 403,
    although the services' contracts accept any text.
    """


class Cors(_Model):
    """Origins that browsers may call from; `*` is allowed only in development."""

    origins: tuple[Origin, ...] = Field(strict=False, min_length=1)
    """Origins such as `https://www.example.com`, or `*`."""


class Throttle(_Model):
    """Requests per second and burst, as API Gateway counts them."""

    rate: Annotated[int, Field(ge=1, le=10_000)]
    """Requests per second, sustained."""
    burst: Annotated[int, Field(ge=1, le=5_000)]
    """Requests that may arrive at once."""


class OnDemand(_Model):
    """Pay per request."""

    mode: Literal["on-demand"]
    """Billing mode."""


class Provisioned(_Model):
    """Provisioned capacity with auto scaling: initial units, maximum and target."""

    mode: Literal["provisioned"]
    """Billing mode."""
    read: Annotated[int, Field(ge=1, le=40_000)]
    """Initial read units of the table."""
    write: Annotated[int, Field(ge=1, le=40_000)]
    """Initial write units of the table."""
    index_read: Annotated[int, Field(ge=1, le=40_000)]
    """Initial read units of each index."""
    index_write: Annotated[int, Field(ge=1, le=40_000)]
    """Initial write units of each index."""
    maximum: Annotated[int, Field(ge=1, le=40_000)]
    """Units to which each of them can scale."""
    target_utilization_percent: Annotated[int, Field(ge=20, le=90)] = 70
    """Utilisation that auto scaling aims for, percent."""
    cooldown_seconds: Annotated[int, Field(ge=0, le=3_600)] = 60
    """Pause between two scaling steps, seconds."""

    @model_validator(mode="after")
    def _maximum_holds_the_start(self) -> Self:
        if self.maximum < max(self.read, self.write, self.index_read, self.index_write):
            raise ValueError("maximum must be at least as large as each of read, write, index_read and index_write")
        return self


Capacity = Annotated[OnDemand | Provisioned, Field(discriminator="mode")]


class ProvisionedConcurrency(_Model):
    """Warm environments on `live`, scaled by target tracking."""

    minimum: Annotated[int, Field(ge=1, le=1_000)]
    """Environments that are always warm."""
    maximum: Annotated[int, Field(ge=1, le=1_000)]
    """Environments to which it can scale."""
    target_utilization: Annotated[float, Field(ge=0.1, le=0.9)] = 0.7
    """Utilisation that auto scaling aims for, as a fraction."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.maximum < self.minimum:
            raise ValueError("maximum must be at least minimum")
        return self


class FunctionSettings(_Model):
    """One Lambda function."""

    memory_mb: Annotated[int, Field(ge=128, le=10_240)]
    """Memory, megabytes. CPU is proportional to it."""
    timeout_seconds: Annotated[int, Field(ge=1, le=900)]
    """Longest duration of an invocation, seconds."""
    reserved_concurrency: Annotated[int, Field(ge=1, le=1_000)] | None = None
    """Concurrent executions; without it the function shares the account's pool (10 in a new account)."""
    provisioned_concurrency: ProvisionedConcurrency | None = None
    """Warm environments. Default: none."""
    snap_start: bool = False
    """Start published versions from a snapshot of the initialised function
    (https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html; docs/configuration.md says when it pays).
    """

    @model_validator(mode="after")
    def _one_way_to_start_fast(self) -> Self:
        if self.snap_start and self.provisioned_concurrency is not None:
            raise ValueError(
                "snap_start cannot be combined with provisioned_concurrency, which Lambda refuses on one function: "
                "leave one of them out"
            )
        return self

    @property
    def timeout(self) -> timedelta:
        """Return the time-out as a duration."""
        return timedelta(seconds=self.timeout_seconds)


LEAST_QUEUE_CONCURRENCY = 2
"""Minimum concurrency that Lambda accepts for an SQS mapping
(https://docs.aws.amazon.com/lambda/latest/dg/API_ScalingConfig.html).
"""

QUEUE_ROOM = 2
"""Executions of a queue reader reserved beyond the batches of its mapping: for the contract check of a new version,
which shares the reserved concurrency, and for a manual invocation. A throttled batch counts as received
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html).
"""


class QueueReaderSettings(FunctionSettings):
    """A Lambda function that reads a queue; fewer batches run at once than the function's concurrency."""

    @model_validator(mode="after")
    def _batches_leave_room(self) -> Self:
        least = LEAST_QUEUE_CONCURRENCY + QUEUE_ROOM
        if self.reserved_concurrency is not None and self.reserved_concurrency < least:
            raise ValueError(
                f"reserved_concurrency must be at least {least} for a function that reads a queue, or left out: "
                f"{LEAST_QUEUE_CONCURRENCY} batches are the fewest that Lambda starts, {QUEUE_ROOM} more runs are "
                "for contract checks, and a throttled batch counts as received"
            )
        return self

    @property
    def batches(self) -> int | None:
        """Return the maximum number of concurrent batches. None: Lambda's own limit of 1,000."""
        return None if self.reserved_concurrency is None else self.reserved_concurrency - QUEUE_ROOM


LATENCY_SHARE = 10
"""Fraction of the time-out that a new version's p99 may take: one part in this many. Default of the canary's alarm."""


class ApiFunctionSettings(FunctionSettings):
    """A Lambda function that answers a waiting caller."""

    latency_alarm_ms: Annotated[int, Field(ge=1, le=900_000)] | None = None
    """p99 of a new version at which its canary rolls back, milliseconds. Default: a tenth of the time-out."""

    @property
    def latency_threshold_ms(self) -> int:
        """Return the p99 at which a canary rolls back, milliseconds."""
        return self.latency_alarm_ms or self.timeout_seconds * 1000 // LATENCY_SHARE

    @model_validator(mode="after")
    def _latency_fits_the_time_out(self) -> Self:
        limit = self.timeout_seconds * 1000
        if not limit / 100 <= self.latency_threshold_ms < limit:
            raise ValueError(
                f"latency_alarm_ms must be at least a hundredth of the time-out and less than it, {limit / 100:g} to "
                f"{limit - 1} ms: no invocation takes longer, and ordinary work takes some time"
            )
        return self


PerSecond = Annotated[float, Field(gt=0, le=10_000)]
"""Requests per second. 10,000 is an account's default API Gateway limit in a region."""


class Traffic(_Model):
    """Expected traffic on an ordinary day, during the hours in which changes are delivered.

    `make detectability` derives from it what a canary can detect, and the rehearsal generates that much traffic. It
    deploys nothing. A service adds `<function>_invocations_per_second` for each function that no request reaches.
    """

    def of(self, function: str) -> float:
        """Return the invocations per second of a function.

        Args:
            function: Its key among the service's settings, such as `api`.

        Raises:
            KeyError: The function has no setting.
        """
        key = "requests_per_second" if function == "api" else f"{function}_invocations_per_second"
        if key not in type(self).model_fields:
            raise KeyError(key)
        return float(getattr(self, key))


class ApiTraffic(Traffic):
    """Traffic of a service with an API."""

    requests_per_second: PerSecond
    """Requests that reach the function behind the API: answers from the edge or a stage cache don't count."""


class Geo(_Model):
    """Countries that the edge serves, ISO 3166-1 alpha-2."""

    allow: tuple[CountryCode, ...] = Field(strict=False, min_length=1)
    """Codes of the countries, such as `GB`."""


class CustomDomain(_Model):
    """Custom domain name of the edge. Absent by default.

    The certificate is an ACM ARN in us-east-1, where CloudFront reads certificates.
    """

    name: Annotated[str, StringConstraints(pattern=r"^([a-z0-9-]+\.)+[a-z]{2,}$")]
    """The domain name, such as `api.example.com`."""
    certificate_arn: Annotated[
        str, StringConstraints(pattern=r"^arn:aws[a-z-]*:acm:us-east-1:[0-9]{12}:certificate/[0-9a-f-]+$")
    ]
    """ARN of its ACM certificate, in us-east-1."""
    hosted_zone_id: Annotated[str, StringConstraints(pattern=r"^Z[A-Z0-9]{1,31}$")]
    """Id of the Route 53 zone that gets the alias records."""
    hosted_zone_name: Annotated[str, StringConstraints(pattern=r"^([a-z0-9-]+\.)+[a-z]{2,}$")]
    """Name of that zone; `name` must be within it."""

    @model_validator(mode="after")
    def _name_is_in_the_zone(self) -> Self:
        if self.name != self.hosted_zone_name and not self.name.endswith(f".{self.hosted_zone_name}"):
            raise ValueError("name must be within hosted_zone_name")
        return self


class FlagAction(StrEnum):
    """Comparison of a condition: Powertools' values, except those that depend on the time.

    https://docs.aws.amazon.com/powertools/python/latest/utilities/feature_flags/#rules
    """

    EQUALS = "EQUALS"
    NOT_EQUALS = "NOT_EQUALS"
    STARTS_WITH = "STARTSWITH"
    ENDS_WITH = "ENDSWITH"
    IN = "KEY_IN_VALUE"
    NOT_IN = "KEY_NOT_IN_VALUE"
    GREATER_THAN = "KEY_GREATER_THAN_VALUE"
    LESS_THAN = "KEY_LESS_THAN_VALUE"


FlagName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class FlagCondition(_Model):
    """Compares a property of a request with a value."""

    action: FlagAction = Field(strict=False)
    """How the argument is compared with `value`."""
    key: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    """Name of the argument that the code passes to `is_on`."""
    value: str | int | float | bool | Annotated[tuple[str | int, ...], Field(strict=False, min_length=1)]
    """The value; a list for `KEY_IN_VALUE` and `KEY_NOT_IN_VALUE`."""

    @model_validator(mode="after")
    def _value_suits_action(self) -> Self:
        many = self.action in {FlagAction.IN, FlagAction.NOT_IN}
        if many is not isinstance(self.value, tuple):
            raise ValueError(f"value must be {'a list' if many else 'a single value'} for {self.action}")
        return self


class FlagRule(_Model):
    """Value of a flag if all conditions hold."""

    when_match: bool
    """Value of the flag if all conditions hold."""
    conditions: tuple[FlagCondition, ...] = Field(strict=False, min_length=1)
    """The conditions."""


class Flag(_Model):
    """One feature flag."""

    default: bool = False
    """Value if no rule matches."""
    rules: dict[FlagName, FlagRule] = Field(default_factory=dict)
    """Rules; the first one that matches decides."""


class FlagRollout(_Model):
    """How AppConfig deploys a change of the flags."""

    minutes: Annotated[int, Field(ge=0, le=1_440)] = 0
    """Minutes in which the change reaches all functions, evenly; 0 for at once."""
    bake_minutes: Annotated[int, Field(ge=0, le=1_440)] = 10
    """Minutes after the rollout in which the alarms can still roll the change back."""
    errors_per_minute: Annotated[int, Field(ge=1)] = 5
    """Errors or faults of a function per minute at which the change is rolled back."""
    watched: bool = True
    """True if the alarms roll a change back."""
    max_age_seconds: Annotated[int, Field(ge=15, le=3_600)] = 60
    """Seconds for which a function caches the flags."""


class ProbeSettings(_Model):
    """A function that sends the service's contract checks to its public address."""

    every_minutes: Annotated[int, Field(ge=1, le=60)]
    """Minutes between two runs. Each run costs an invocation and a few requests."""


class Objectives(_Model):
    """Service level objectives: shares of good requests over a rolling window."""

    availability: Annotated[float, Field(ge=90, le=99.999)]
    """Requests answered without 5xx, percent."""
    latency_ms: Annotated[int, Field(ge=1, le=29_000)]
    """Time limit of a good request, milliseconds."""
    latency_percent: Annotated[float, Field(ge=50, le=99.999)] = 99.0
    """Requests answered within `latency_ms`, percent."""
    window_days: Annotated[int, Field(ge=7, le=90)] = 28
    """Window of both objectives, days. Whole weeks give every weekday the same weight."""


class ServiceSettings(_Model):
    """Settings of a service. Each service defines a subclass in `services/<name>/settings.py`."""

    development_only: ClassVar[tuple[str, ...]] = ()
    """Dotted keys of switches that may be on only in a development environment, such as `user_pool.test_user`."""

    traffic: Traffic
    flags: dict[FlagName, Flag] = Field(default_factory=dict)
    """Feature flags of the service. Default: none; then AppConfig is not deployed."""
    flag_rollout: FlagRollout = FlagRollout()


class ApiServiceSettings(ServiceSettings):
    """Settings of a service with an API, whose function is `api`."""

    longest_seconds: ClassVar[int]
    """Longest useful time-out of the function behind this kind of API, seconds."""
    longest_because: ClassVar[str]
    """Reason for that limit, for the error message."""

    throttle: Throttle
    traffic: ApiTraffic
    api: ApiFunctionSettings
    probe: ProbeSettings | None = None
    """Checks the service at its public address, on a schedule. Default: no probe; it costs money (docs/cost.md)."""
    slo: Objectives | None = None
    """Service level objectives. Default: none, and no alarms on them."""

    @model_validator(mode="after")
    def _expected_traffic_is_let_in(self) -> Self:
        if self.traffic.requests_per_second > self.throttle.rate:
            raise ValueError(
                f"traffic.requests_per_second must be at most throttle.rate, {self.throttle.rate}: the API refuses more"
            )
        return self

    @model_validator(mode="after")
    def _function_answers_before_the_api_gives_up(self) -> Self:
        if self.api.timeout_seconds > self.longest_seconds:
            raise ValueError(f"api.timeout_seconds must be at most {self.longest_seconds}: {self.longest_because}")
        return self


class RestServiceSettings(ApiServiceSettings):
    """Settings of a service with a REST API."""

    longest_seconds = 30
    longest_because = "a REST API times out after 29 s"


class HttpServiceSettings(ApiServiceSettings):
    """Settings of a service with an HTTP API."""

    longest_seconds = 60
    longest_because = "an HTTP API times out after 30 s"


class UsagePlan(_Model):
    """Rate, burst and quota of one API key."""

    rate: Annotated[int, Field(ge=1, le=10_000)]
    """Requests per second, sustained."""
    burst: Annotated[int, Field(ge=1, le=5_000)]
    """Requests that may arrive at once."""
    quota_per_day: Annotated[int, Field(ge=1, le=100_000_000)]
    """Requests per day."""


class StageCache(_Model):
    """API Gateway's cache of a stage."""

    size_gb: Literal["0.5", "1.6", "6.1", "13.5", "28.4", "58.2", "118", "237"]
    """Cache size, gigabytes: one of those that API Gateway offers."""
    ttl_seconds: Annotated[int, Field(ge=1, le=3_600)]
    """Seconds that an answer is cached."""


class UserPool(_Model):
    """Cognito user pool and client."""

    password_minimum_length: Annotated[int, Field(ge=8, le=99)]
    """Minimum length of a password."""
    self_sign_up: bool
    """True if people may create their own accounts; only in development."""
    password_flow: bool
    """True if the client may send the password itself (USER_PASSWORD_AUTH), besides SRP."""
    threat_protection: bool
    """True if threat protection is enforced; it needs the Plus plan."""
    test_user: bool
    """True if the deployment creates a user with a generated password, for tests."""


ServiceModel = TypeVar("ServiceModel", bound=ServiceSettings)


class Services(_Model):
    """Settings by service. `slipway.settings.services.compose` adds one field per service."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the services."""
        return tuple(type(self).model_fields)


class NagPackName(StrEnum):
    """The rule packs of cdk-nag 3."""

    AWS_SOLUTIONS = "AwsSolutions"
    SERVERLESS = "Serverless"
    NIST_800_53_R5 = "NIST.800.53.R5"
    HIPAA = "HIPAA.Security"
    PCI_DSS_321 = "PCI.DSS.321"


class Gates(_Model):
    """Rule packs that judge these stacks; AwsSolutions and Serverless are mandatory."""

    packs: tuple[Annotated[NagPackName, Field(strict=False)], ...] = Field(strict=False)
    """The packs, each once."""

    @model_validator(mode="after")
    def _always(self) -> Self:
        missing = {NagPackName.AWS_SOLUTIONS, NagPackName.SERVERLESS} - set(self.packs)
        if missing:
            raise ValueError(f"packs must include {', '.join(sorted(missing))}")
        if len(set(self.packs)) < len(self.packs):
            raise ValueError("packs must list each pack only once")
        return self


def _is_app(name: str) -> str:
    """Refuse a name that would make AWS names derived from it ambiguous."""
    if name.endswith("-") or "pipeline" in name or "bootstrap" in name:
        raise ValueError(
            f"{name!r} must not end with a dash, or contain `pipeline` or `bootstrap`: other names are built from it"
        )
    return name


APP = "slipway"
"""Default name of the app; `name` in `pipeline.toml` overrides it."""


class Place(_Model):
    """An account and region, and the settings of everything in it.

    `app` and `bucket_prefix` come from the pipeline's file, where `app` is called `name`.
    """

    app: Annotated[Slug, AfterValidator(_is_app)] = APP
    """Name of the app. The names of its pipeline, event bus and step roles begin with it, so that several apps can
    share a tools account (`slipway.delivery.names`).
    """
    bucket_prefix: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")] = APP
    """Prefix of the services' bucket names. Default: the app's name."""
    group: Slug | None = None
    """The group of services. Default: all services."""
    name: Slug
    account: AccountId
    """Id of the AWS account."""
    region: Region
    """Region of the stacks."""
    tags: Tags
    stateful: Stateful
    logs: Logs
    secret_rotation_days: Annotated[int, Field(ge=1, le=1_000)] = 30
    """Days between two rotations of a secret."""
    name_salt: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{0,64}$")] = ""
    """Salt of the bucket names. Without it, anybody who knows the account id can compute the names and claim them
    before the first deployment; changing the salt changes the bucket names.
    """
    gates: Gates

    def unique_id(self, service: str) -> str:
        """Return eight characters for names that must be unique across accounts.

        Args:
            service: Name of the service that the name is for.

        Returns:
            The head of a SHA-256 of account, region, environment, service and, if set, `name_salt`: the same at every
            synth.
        """
        parts = (self.account, self.region, self.name, service, *([self.name_salt] if self.name_salt else []))
        return hashlib.sha256("/".join(parts).encode()).hexdigest()[:8]


class SandboxOrigin(_Model):
    """Additional settings of a sandbox (`slipway.settings.sandbox`)."""

    of: Slug
    """The development environment with its settings."""
    expires: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")] | None = None
    """Time of its deletion. Default: never, as on this machine."""


class Environment(Place):
    """One environment, with its services. `slipway.settings.load` checks the rules that span several keys.

    `name` comes from the file's own name, `tools_account` and `tools_region` from the pipeline's file.
    """

    kind: EnvironmentKind = Field(strict=False)
    """Purpose of the environment; every rule that differs between environments depends on it."""
    sandbox: SandboxOrigin | None = None
    """Set for a sandbox. Default: none; the pipeline delivers to the environment."""
    leads: bool = True
    """True if this group deploys what an account has only once; the first group does."""
    tools_account: AccountId
    """Account of the pipeline: its roles may verify and protect the deployment here."""
    tools_region: Region
    """Region of the pipeline: events are sent to its bus there."""
    alarms: AlarmSettings
    backup: Backup | None = None
    """Backups. Default: none beyond point-in-time recovery and object versions."""
    drift: Drift | None = None
    """Daily drift detection. Default: none; `slipway drift` checks immediately."""
    deployment: Deployment
    attack: Attack | None = None
    """Attack after a deployment. Default: none."""
    performance: Performance | None = None
    """Load after a deployment. Default: none."""
    resilience: Resilience | None = None
    """Experiments. Default: none, and no function has AWS FIS's extension."""
    waf: Waf
    cors: Cors
    services: Services

    @model_validator(mode="after")
    def _attack_passes_the_firewall(self) -> Self:
        limit = self.waf.requests_per_5_minutes
        if self.attack and self.waf.enabled and self.attack.requests > limit:
            raise ValueError(f"attack.requests must be at most waf.requests_per_5_minutes, {limit}: more is blocked")
        return self

    @model_validator(mode="after")
    def _delay_is_no_failure(self) -> Self:
        if self.resilience is None:
            return self
        for name, service in self.services:
            for function, settings in service:
                if isinstance(settings, FunctionSettings) and self.resilience.delay_ms > settings.timeout_seconds * 500:
                    raise ValueError(
                        f"resilience.delay_ms must be at most half of services.{name}.{function}.timeout_seconds: "
                        "a longer delay could make the function time out"
                    )
        return self

    def settings_of(self, model: type[ServiceModel]) -> ServiceModel:
        """Return the settings of the service with this model.

        Raises:
            KeyError: No service of the environment has it.
        """
        for _, settings in self.services:
            if isinstance(settings, model):
                return settings
        raise KeyError(model.__name__)


class SourceKind(StrEnum):
    """Kind of the repository that the pipeline takes commits from."""

    CODE_CONNECTIONS = "codeconnections"
    CODE_COMMIT = "codecommit"
    S3 = "s3"


class CodeConnectionsSource(_Model):
    """A repository at a Git host, through AWS CodeConnections."""

    kind: Literal["codeconnections"]
    """Kind of the source."""
    repository: Annotated[str, StringConstraints(pattern=r"^[\w.-]+(/[\w.-]+)+$")]
    """Owner and name, such as `owner/repository`."""
    branch: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    """Branch whose pushes start the pipeline."""
    ignored_paths: tuple[Annotated[str, StringConstraints(min_length=1, max_length=255)], ...] = Field(
        strict=False, default=(), max_length=8
    )
    """Glob patterns: a push that changes only matching files starts no execution. CodePipeline accepts eight."""
    connection_arn: Annotated[
        str,
        StringConstraints(
            pattern=r"^arn:aws[a-z-]*:(codeconnections|codestar-connections):[a-z0-9-]+:[0-9]{12}:connection/[0-9a-f-]+$"
        ),
    ]
    """ARN of the connection in the tools account."""


class CodeCommitSource(_Model):
    """A CodeCommit repository in the tools account."""

    kind: Literal["codecommit"]
    """Kind of the source."""
    repository: Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,100}$")]
    """Name of the repository."""
    branch: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    """Branch whose pushes start the pipeline."""


class S3Source(_Model):
    """A zip in a versioned bucket of the tools account."""

    kind: Literal["s3"]
    """Kind of the source."""
    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    """Name of the bucket."""
    key: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    """Key of the zip; a new version of it starts the pipeline."""


Source = Annotated[CodeConnectionsSource | CodeCommitSource | S3Source, Field(discriminator="kind")]


class ReviewPolicy(StrEnum):
    """Policy for the review of changes before delivery."""

    REQUIRED = "required"
    OFF = "off"


Qualifier = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,10}$")]


class PipelineGates(Gates):
    """Gates for the pipeline's own stack, and for every change that it delivers."""

    review: ReviewPolicy = Field(strict=False, default=ReviewPolicy.REQUIRED)
    """What the pipeline does if it cannot review a change; `off` only for an S3 source, which has no history."""


class Approval(_Model):
    """The manual approval."""

    emails: Emails = Field(strict=False, default=())
    """Addresses of the approvers."""
    timeout_hours: Annotated[int, Field(ge=1, le=1_440)] = 24
    """Hours without an answer after which the execution fails, so that the queue moves on."""


class Notifications(_Model):
    """Recipients of failures, successes, approvals and rollbacks."""

    emails: Emails = Field(strict=False, min_length=1)
    """Addresses that are notified."""
    webhook_secret_arn: (
        Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:\S{1,512}$")]
        | None
    ) = None
    """ARN of a secret in the tools account whose entire text is the chat webhook's URL. Default: no chat."""


class Group(_Model):
    """Services that are delivered by their own pipeline (docs/scaling.md)."""

    services: tuple[Slug, ...] = Field(strict=False, min_length=1)
    """Names of the services; each belongs to one group."""
    qualifier: Qualifier
    """Qualifier of the group's CDK bootstrap stacks: their policies name only its pipeline."""


class PipelineSettings(Place):
    """The tools account and the pipeline in it."""

    qualifier: Qualifier = "hnb659fds"
    """Qualifier of the CDK bootstrap stacks in every account."""
    permissions_boundary: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+=,.@_-]+$", max_length=128)]
    """Name of the managed policy that bounds every role of every account; `make bootstrap` creates it. Default
    (`slipway.settings.load`): `<name>-bootstrap-permissions-boundary`.
    """
    key_alias: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    """Alias of the pipeline's key. Default (`slipway.settings.load`): `<name>-pipeline`."""
    trust_for_lookup: bool = True
    """True if the tools account may read the others, as running `cdk diff` there needs."""
    gates: PipelineGates
    source: Source
    environments: tuple[Slug, ...] = Field(strict=False, min_length=1)
    """Environments in the order in which a change moves through them; each names a file beside this one."""
    side_by_side: tuple[Annotated[tuple[Slug, ...], Field(strict=False, min_length=2)], ...] = Field(
        strict=False, default=()
    )
    """Lists of environments that are deployed at the same time, in the stages of the first of them: production in two
    regions, for example. Default: one environment after the other."""
    approval_before: tuple[Slug, ...] = Field(strict=False)
    """Environments that wait for a manual approval. Default (`slipway.settings.load`): the first of each run of
    production environments."""
    waves: tuple[Annotated[tuple[Slug, ...], Field(strict=False)], ...] = Field(strict=False, default=())
    """Services deployed side by side, wave by wave, in every environment. Default: all in one wave."""
    groups: dict[Slug, Group] = Field(default_factory=dict)
    """Groups of services, each with its own pipeline. Default: one pipeline for all services."""
    approval: Approval
    notifications: Notifications
    share_accounts: bool = False
    """True if two environments may share an account."""
    artifact_days: Annotated[int, Field(ge=ROLLBACK_DAYS, le=3_650)] = 400
    """Days that artifacts and reports are kept; a rollback needs those of the execution that it returns to."""


class Settings(_Model):
    """All of `config/`."""

    pipeline: PipelineSettings
    environments: tuple[Environment, ...]

    def environment(self, name: str) -> Environment:
        """Return the environment of that name.

        Raises:
            KeyError: It does not exist.
        """
        for environment in self.environments:
            if environment.name == name:
                return environment
        raise KeyError(name)

    @property
    def turns(self) -> tuple[tuple[Environment, ...], ...]:
        """Return the environments in the pipeline's order; those that are deployed side by side are together."""
        turns: list[tuple[Environment, ...]] = []
        for environment in self.environments:
            if turns and self.leader(environment.name) == turns[-1][0].name:
                turns[-1] = (*turns[-1], environment)
            else:
                turns.append((environment,))
        return tuple(turns)

    def leader(self, name: str) -> str:
        """Return the environment whose stages deploy an environment: itself, or the first of those beside it."""
        return next((names[0] for names in self.pipeline.side_by_side if name in names), name)

    def of_kind(self, kind: EnvironmentKind) -> tuple[Environment, ...]:
        """Return the environments of a kind, in the pipeline's order."""
        return tuple(environment for environment in self.environments if environment.kind is kind)
