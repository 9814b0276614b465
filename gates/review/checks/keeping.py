"""What keeps data: retention, recovery, encryption, protection; and what keeps a function its share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gates.review.assembly import Json
from gates.review.checks.registry import ANY, Context, both, fields, number, objects, on, shown, truth
from gates.review.findings import Finding, Severity, found
from gates.review.resources import Difference, Pair, Resource

FOREVER = float("inf")


@dataclass(frozen=True)
class Period:
    """A time for which something is kept.

    Args:
        path: the property.
        unset: what it means where it is not set.
        unit: of the figure.
        off: the figure that means nothing is kept, or for ever.
        kind: kind of the finding when it gets shorter.
    """

    path: str
    unset: float
    unit: str = "days"
    off: tuple[float, float] | None = None
    kind: str = "retention-shortened"


PERIODS: Final[Mapping[str, tuple[Period, ...]]] = {
    "AWS::DocDB::DBCluster": (Period("BackupRetentionPeriod", 1),),
    "AWS::DynamoDB::Table": (Period("PointInTimeRecoverySpecification.RecoveryPeriodInDays", 35),),
    "AWS::Events::Archive": (Period("RetentionDays", FOREVER, off=(0, FOREVER)),),
    "AWS::KMS::Key": (Period("PendingWindowInDays", 30, kind="protection-dropped"),),
    "AWS::Kinesis::Stream": (Period("RetentionPeriodHours", 24, "hours"),),
    "AWS::Logs::LogGroup": (Period("RetentionInDays", FOREVER),),
    "AWS::Neptune::DBCluster": (Period("BackupRetentionPeriod", 1),),
    "AWS::RDS::DBCluster": (Period("BackupRetentionPeriod", 1),),
    "AWS::RDS::DBInstance": (Period("BackupRetentionPeriod", 1),),
    "AWS::Redshift::Cluster": (Period("AutomatedSnapshotRetentionPeriod", 1),),
    "AWS::SQS::Queue": (Period("MessageRetentionPeriod", 345_600, "seconds"),),
    "AWS::Synthetics::Canary": (Period("FailureRetentionPeriod", 31), Period("SuccessRetentionPeriod", 31)),
}
"""Figures that say how long something is kept, with AWS's own defaults."""


@on(*PERIODS)
def periods(pair: Pair, _: Context) -> Iterator[Finding]:
    """Periods that get shorter."""
    if not (sides := both(pair)):
        return
    for period in PERIODS[pair.type]:
        old, new = (_length(side, period) for side in sides)
        if old is None or new is None or new < old:
            if sides[0].get(period.path) == sides[1].get(period.path):
                continue
            was, is_now = ("for ever" if value == FOREVER else shown(value) for value in (old, new))
            what = f"{period.path} goes from {was} to {is_now} {period.unit}"
            severity = Severity.MEDIUM if period.kind == "protection-dropped" else None
            yield found(period.kind, sides[1], what, severity=severity, detail=period.path)


def _length(resource: Resource, period: Period) -> float | None:
    value = resource.get(period.path)
    if value is None:
        return period.unset
    length = number(value)
    return period.off[1] if period.off is not None and length == period.off[0] else length


_RECOVERY: Final[Mapping[str, str]] = {
    "PointInTimeRecoveryEnabled": "point-in-time recovery goes off",
    "BackupPolicy.Status": "automatic backups go off",
    "VersioningConfiguration.Status": "versioning is suspended: what is overwritten is gone",
}
"""Settings of recovery by the end of their path."""


@on(ANY)
def backups(pair: Pair, _: Context) -> Iterator[Finding]:
    """Recovery that is switched off."""
    if not (sides := both(pair)):
        return
    before, after = sides
    for difference in pair.differences:
        for path, old, new in _leaves(difference):
            where = ".".join(path)
            what = next((text for end, text in _RECOVERY.items() if where.endswith(end)), None)
            if what is not None and truth(old) and not truth(new):
                yield found("backup-dropped", after, what, detail=where)
    for name in ("ReplicationConfiguration", "ObjectLockConfiguration"):
        if before.get(name) and not after.get(name):
            yield found("backup-dropped", after, f"{name} goes", detail=name)


@on("AWS::Backup::BackupPlan", "AWS::Backup::BackupSelection", "AWS::DLM::LifecyclePolicy")
def backup_plans(pair: Pair, _: Context) -> Iterator[Finding]:
    """Backup plans that go or keep less."""
    before, after = pair.before, pair.after
    if before is not None and after is None:
        yield found("backup-dropped", before, f"{before.type} is removed")
        return
    if not (sides := both(pair)) or pair.type != "AWS::Backup::BackupPlan":
        return
    before, after = sides
    ones, others = (
        {str(rule.get("RuleName")): rule for rule in side.entries("BackupPlan.BackupPlanRule")} for side in sides
    )
    for name, rule in ones.items():
        if name not in others:
            yield found("backup-dropped", after, f"the rule {name} goes", detail=name)
            continue
        old, new = (
            FOREVER if days is None else days
            for days in (number(fields(one.get("Lifecycle")).get("DeleteAfterDays")) for one in (rule, others[name]))
        )
        if new < old:
            what = f"the rule {name} keeps backups {shown(new)} days instead of {shown(old)}"
            yield found("retention-shortened", after, what, detail=name)
        if rule.get("ScheduleExpression") != others[name].get("ScheduleExpression"):
            what = f"the rule {name} runs at other times"
            yield found("retention-shortened", after, what, severity=Severity.LOW, detail=f"{name}-schedule")


@on("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable")
def expiry(pair: Pair, _: Context) -> Iterator[Finding]:
    """Items that begin to expire."""
    if not (sides := both(pair)):
        return
    before, after = sides
    spec = "TimeToLiveSpecification"
    if not truth(after.get(f"{spec}.Enabled")):
        return
    attribute = after.get(f"{spec}.AttributeName")
    if not truth(before.get(f"{spec}.Enabled")) or before.get(f"{spec}.AttributeName") != attribute:
        yield found("retention-shortened", after, f"items expire by their attribute {attribute}", detail="ttl")


# What of a rule says to which objects it applies.
_SCOPE = ("Prefix", "TagFilters", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "Filter", "Status")


@on("AWS::S3::Bucket")
def lifecycle_rules(pair: Pair, _: Context) -> Iterator[Finding]:
    """Objects and versions that go earlier."""
    if not (sides := both(pair)):
        return
    before, after = sides
    rules = "LifecycleConfiguration.Rules"
    if before.get(rules) == after.get(rules):
        return
    known = {str(rule.get("Id", index)): rule for index, rule in enumerate(before.entries(rules))}
    for index, rule in enumerate(after.entries(rules)):
        name = str(rule.get("Id", index))
        old = known.get(name, {})
        if rule == old or rule.get("Status") != "Enabled":
            continue
        for what, days in _ages(rule).items():
            was = _ages(old).get(what, FOREVER) if old.get("Status") == "Enabled" else FOREVER
            if days < was:
                since = "for ever" if was == FOREVER else f"{shown(was)} days"
                text = f"{what} go after {shown(days)} days instead of being kept {since} (rule {name})"
                yield found("retention-shortened", after, text, detail=f"{name}-{what.replace(' ', '-')}")
            elif any(rule.get(part) != old.get(part) for part in _SCOPE):
                text = f"{what} go after {shown(days)} days where they did not (rule {name})"
                yield found(
                    "retention-shortened",
                    after,
                    text,
                    severity=Severity.MEDIUM,
                    detail=f"{name}-{what.replace(' ', '-')}",
                )


def _ages(rule: Mapping[str, Any]) -> dict[str, float]:
    """When things of a lifecycle rule go, in days."""
    noncurrent = rule.get("NoncurrentVersionExpiration")
    old_versions = noncurrent.get("NoncurrentDays") if isinstance(noncurrent, Mapping) else None
    found_ages = {
        "objects": number(rule.get("ExpirationInDays")),
        "old versions": number(old_versions or rule.get("NoncurrentVersionExpirationInDays")),
        # A date is sooner than any number of days.
        "objects at a date": 0.0 if rule.get("ExpirationDate") else None,
    }
    return {what: days for what, days in found_ages.items() if days is not None}


_KEYS: Final = frozenset(
    name.lower()
    for name in (
        "EncryptionKey",
        "EncryptionKeyArn",
        "EncryptionKeyId",
        "KmsArn",
        "KmsKey",
        "KmsKeyArn",
        "KmsKeyId",
        "KmsKeyIdentifier",
        "KmsMasterKeyId",
        "SSEKMSKeyId",
    )
)
"""Names of properties that hold the key, in small letters: AWS writes them in every way."""

_SWITCHES: Final = frozenset(
    {
        "AtRestEncryptionEnabled",
        "BucketKeyEnabled",
        "CacheDataEncrypted",
        "EnableKeyRotation",
        "Encrypted",
        "EncryptionEnabled",
        "EnforceHTTPS",
        "SSEEnabled",
        "SqsManagedSseEnabled",
        "StorageEncrypted",
        "TransitEncryptionEnabled",
    }
)
_HARMLESS = frozenset({"BucketKeyEnabled"})
_NESTED_SWITCHES: Final = (
    ("EncryptionAtRestOptions", "Enabled"),
    ("NodeToNodeEncryptionOptions", "Enabled"),
    ("EncryptionConfiguration", "Enabled"),
)


@on(ANY)
def encryption(pair: Pair, context: Context) -> Iterator[Finding]:
    """Keys and switches of encryption, by the names that AWS gives them."""
    if not (sides := both(pair)):
        return
    after = sides[1]
    for difference in pair.differences:
        for path, old, new in _leaves(difference):
            name = path[-1] if path else ""
            where = ".".join(path)
            holds_key = name.lower() in _KEYS or (name == "Id" and len(path) > 1 and path[-2] == "EncryptionKey")
            if holds_key and old:
                if not new:
                    yield found("encryption-dropped", after, f"{where} goes: no customer key any more", detail=where)
                elif str(old) != context.rename(str(new)):
                    what = f"the key is {shown(new)} instead of {shown(old)}"
                    yield found("key-changed", after, what, detail=where)
            elif name in _SWITCHES - _HARMLESS or path[-2:] in _NESTED_SWITCHES:
                if truth(old) and not truth(new):
                    yield found("encryption-dropped", after, f"{where} goes off", detail=where)
            elif name == "SSEAlgorithm" and str(old).startswith("aws:kms") and not str(new).startswith("aws:kms"):
                yield found("encryption-dropped", after, f"{where} goes from {old} to {shown(new)}", detail=where)


def _leaves(difference: Difference) -> Iterator[tuple[tuple[str, ...], Json, Json]]:
    """The single values of a difference: a whole object that goes is all of its members."""
    old, new = dict(_flat(difference.before, ())), dict(_flat(difference.after, ()))
    for path in sorted({*old, *new}):
        yield (*difference.path, *path), old.get(path), new.get(path)


def _flat(value: Json, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Json]]:
    match value:
        case Mapping():
            for key, inner in value.items():
                yield from _flat(inner, (*path, str(key)))
        case list():
            for index, inner in enumerate(value):
                yield from _flat(inner, (*path, str(index)))
        case _:
            yield path, value


_PROTECTIONS: Final = frozenset(
    {
        "DeletionProtection",
        "DeletionProtectionEnabled",
        "DisableApiTermination",
        "EnableTerminationProtection",
        "TerminationProtected",
    }
)


@on(ANY)
def protection(pair: Pair, _: Context) -> Iterator[Finding]:
    """Protection from deletion that goes off."""
    if not (sides := both(pair)):
        return
    for difference in pair.differences:
        for path, old, new in _leaves(difference):
            if path and path[-1] in _PROTECTIONS and truth(old) and not truth(new):
                yield found("protection-dropped", sides[1], f"{path[-1]} goes off", detail=".".join(path))


@on("AWS::SecretsManager::RotationSchedule")
def rotation(pair: Pair, _: Context) -> Iterator[Finding]:
    """Secrets that rotate no more, or less often."""
    before, after = pair.before, pair.after
    if before is not None and after is None:
        yield found("protection-dropped", before, "the secret rotates no more")
        return
    if not (sides := both(pair)):
        return
    path = "RotationRules.AutomaticallyAfterDays"
    old, new = (number(side.get(path)) for side in sides)
    if old is not None and (new is None or new > old):
        what = f"the secret rotates every {shown(new)} days instead of {shown(old)}"
        yield found("protection-dropped", sides[1], what, severity=Severity.MEDIUM, detail=path)


@on("AWS::Lambda::Function")
def concurrency(pair: Pair, _: Context) -> Iterator[Finding]:
    """Executions that a function has for itself."""
    if not (sides := both(pair)):
        return
    name = "ReservedConcurrentExecutions"
    old, new = (number(side.get(name)) for side in sides)
    if old is not None and new is None:
        yield found("concurrency-dropped", sides[1], f"its {shown(old)} reserved executions go", detail=name)
    elif old is not None and new is not None and new < old:
        what = f"it has {shown(new)} executions at once instead of {shown(old)}"
        yield found("concurrency-dropped", sides[1], what, severity=Severity.LOW, detail=name)


@on("AWS::ApplicationAutoScaling::ScalableTarget", "AWS::ApplicationAutoScaling::ScalingPolicy")
def scaling(pair: Pair, _: Context) -> Iterator[Finding]:
    """Capacity that no longer follows the load."""
    before = pair.before
    if before is not None and pair.after is None:
        scaled = shown(before.get("ResourceId") or before.get("PolicyName"))
        yield found("concurrency-dropped", before, f"{scaled} scales no more")
        return
    if not (sides := both(pair)):
        return
    for name in ("MinCapacity", "MaxCapacity"):
        old, new = (number(side.get(name)) for side in sides)
        if old is not None and new is not None and new < old:
            what = f"{name} goes from {shown(old)} to {shown(new)}"
            yield found("concurrency-dropped", sides[1], what, severity=Severity.LOW, detail=name)


_FAILURES: Final[Mapping[str, tuple[str, ...]]] = {
    "AWS::Lambda::EventInvokeConfig": ("DestinationConfig.OnFailure",),
    "AWS::Lambda::EventSourceMapping": ("DestinationConfig.OnFailure", "FunctionResponseTypes"),
    "AWS::Lambda::Function": ("DeadLetterConfig",),
    "AWS::SNS::Subscription": ("RedrivePolicy",),
    "AWS::SQS::Queue": ("RedrivePolicy",),
}


@on(*_FAILURES, "AWS::Events::Rule")
def failures(pair: Pair, _: Context) -> Iterator[Finding]:
    """What failed and is no longer kept."""
    if not (sides := both(pair)):
        return
    before, after = sides
    for path in _FAILURES.get(pair.type, ()):
        if before.get(path) and not after.get(path):
            yield found("failures-dropped", after, f"{path} goes", detail=path)
    left = {str(target.get("Id")): target for target in objects(after.get("Targets"))}
    for target in objects(before.get("Targets")):
        name = str(target.get("Id"))
        if target.get("DeadLetterConfig") and name in left and not left[name].get("DeadLetterConfig"):
            yield found("failures-dropped", after, f"events that {name} did not take are lost", detail=name)
