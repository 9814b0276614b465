"""Check safeguards of data: retention, recovery, encryption, protection; and a function's reserved capacity."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from slipway.review.checks.registry import ANY, CheckContext, both, fields, number, objects, on, shown, truth
from slipway.review.findings import ChangeFinding, Severity, found
from slipway.review.resources import Pair, ReviewedResource, differences

FOREVER = float("inf")


@dataclass(frozen=True)
class Period:
    """A retention period.

    Args:
        path: The property. Without a default of AWS, retention is unlimited.
        unit: Unit of the value.
        off: The value that means no retention, or unlimited retention.
        kind: Kind of the finding if it gets shorter.
    """

    path: str
    unit: str = "days"
    off: tuple[float, float] | None = None
    kind: str = "retention-shortened"


PERIODS: Final[Mapping[str, tuple[Period, ...]]] = {
    "AWS::DocDB::DBCluster": (Period("BackupRetentionPeriod"),),
    "AWS::DynamoDB::Table": (Period("PointInTimeRecoverySpecification.RecoveryPeriodInDays"),),
    "AWS::Events::Archive": (Period("RetentionDays", off=(0, FOREVER)),),
    "AWS::KMS::Key": (Period("PendingWindowInDays", kind="protection-dropped"),),
    "AWS::Kinesis::Stream": (Period("RetentionPeriodHours", "hours"),),
    "AWS::Logs::LogGroup": (Period("RetentionInDays"),),
    "AWS::Neptune::DBCluster": (Period("BackupRetentionPeriod"),),
    "AWS::RDS::DBCluster": (Period("BackupRetentionPeriod"),),
    "AWS::RDS::DBInstance": (Period("BackupRetentionPeriod"),),
    "AWS::Redshift::Cluster": (Period("AutomatedSnapshotRetentionPeriod"),),
    "AWS::SQS::Queue": (Period("MessageRetentionPeriod", "seconds"),),
    "AWS::Synthetics::Canary": (Period("FailureRetentionPeriod"), Period("SuccessRetentionPeriod")),
}
"""Retention periods by resource type."""


@on(*PERIODS, judges=lambda path: any(path == tuple(one.path.split(".")) for kind in PERIODS.values() for one in kind))
def periods(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check for periods that get shorter."""
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


def _length(resource: ReviewedResource, period: Period) -> float | None:
    value = resource.setting(period.path)
    if value is None:
        return FOREVER
    length = number(value)
    return period.off[1] if period.off is not None and length == period.off[0] else length


_RECOVERY: Final[Mapping[str, str]] = {
    "PointInTimeRecoveryEnabled": "point-in-time recovery is switched off",
    "BackupPolicy.Status": "automatic backups are switched off",
    "VersioningConfiguration.Status": "versioning is suspended: overwritten objects are lost",
}
"""Settings of recovery by the end of their path."""


@on(
    ANY,
    judges=lambda path: (
        any(".".join(path).endswith(end) for end in _RECOVERY)
        or path[0] in {"ReplicationConfiguration", "ObjectLockConfiguration"}
    ),
)
def backups(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check for recovery that is switched off."""
    if not (sides := both(pair)):
        return
    before, after = sides
    for leaf in pair.settings:
        what = next((text for end, text in _RECOVERY.items() if leaf.name.endswith(end)), None)
        if what is not None and truth(leaf.before) and not truth(leaf.after):
            yield found("backup-dropped", after, what, detail=leaf.name)
    for name in ("ReplicationConfiguration", "ObjectLockConfiguration"):
        if before.get(name) and not after.get(name):
            yield found("backup-dropped", after, f"{name} goes", detail=name)
    for name, what in (("Replicas", "the replica in"), ("ReplicaRegions", "the copy in")):
        left = {str(one.get("Region")) for one in after.entries(name)}
        for region in sorted({str(one.get("Region")) for one in before.entries(name)} - left):
            yield found("backup-dropped", after, f"{what} {region} is removed", detail=f"{name}-{region}")


_STRICT: Final = ("COMPLIANCE", "GOVERNANCE")
"""Modes of a lock, the strictest first."""


@on("AWS::S3::Bucket", judges="ObjectLockConfiguration ObjectLockEnabled")
def object_lock(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check the retention of objects that cannot be deleted, and who can lift it."""
    if not (sides := both(pair)):
        return
    rule = "ObjectLockConfiguration.Rule.DefaultRetention"
    old, new = (_locked_days(side, rule) for side in sides)
    if new < old:
        what = f"new objects can be deleted after {shown(new)} days instead of {shown(old)}"
        yield found("retention-shortened", sides[1], what, detail="ObjectLock")
    was, is_now = (side.get(f"{rule}.Mode") for side in sides)
    if was == _STRICT[0] != is_now:
        what = f"the lock of new objects is {shown(is_now)} instead of {was}: privileged users can lift it"
        yield found("protection-dropped", sides[1], what, detail="ObjectLockMode")


def _locked_days(bucket: ReviewedResource, rule: str) -> float:
    years = number(bucket.get(f"{rule}.Years"))
    return years * 365 if years is not None else number(bucket.get(f"{rule}.Days")) or 0


@on("AWS::Backup::BackupVault", judges="LockConfiguration")
def vault_lock(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check the retention of backups that cannot be deleted."""
    if not (sides := both(pair)):
        return
    before, after = sides
    lock = "LockConfiguration"
    if before.get(lock) and not after.get(lock):
        yield found(
            "protection-dropped", after, "the lock of the vault is removed: backups can be deleted", detail=lock
        )
        return
    for name, shorter in (("MinRetentionDays", True), ("MaxRetentionDays", True), ("ChangeableForDays", False)):
        old, new = (number(side.get(f"{lock}.{name}")) for side in sides)
        if old == new or not before.get(lock):
            continue
        if old is None or new is None or (new < old) == shorter:
            what = f"{name} of the vault's lock is {shown(new)} instead of {shown(old)}"
            yield found("protection-dropped", after, what, detail=name)


@on(
    "AWS::Backup::BackupPlan",
    "AWS::Backup::BackupSelection",
    "AWS::DLM::LifecyclePolicy",
    judges="BackupPlan/BackupPlanRule/*/Lifecycle/DeleteAfterDays BackupPlan/BackupPlanRule/*/RuleName "
    "BackupPlan/BackupPlanRule/*/ScheduleExpression BackupSelection/Conditions BackupSelection/ListOfTags "
    "BackupSelection/NotResources BackupSelection/Resources",
)
def backup_plans(pair: Pair, context: CheckContext) -> Iterator[ChangeFinding]:
    """Check for backup plans that are removed, keep less or omit something."""
    before, after = pair.before, pair.after
    if before is not None and after is None:
        yield found("backup-dropped", before, f"{before.type} is removed")
        return
    if not (sides := both(pair)):
        return
    before, after = sides
    if pair.type == "AWS::Backup::BackupSelection":
        yield from _left_out(before, after, context)
        return
    ones, others = (
        {str(rule.get("RuleName")): rule for rule in side.entries("BackupPlan.BackupPlanRule")} for side in sides
    )
    for name, rule in ones.items():
        if name not in others:
            yield found("backup-dropped", after, f"the rule {name} is removed", detail=name)
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


def _left_out(before: ReviewedResource, after: ReviewedResource, context: CheckContext) -> Iterator[ChangeFinding]:
    """Yield resources that a selection no longer backs up, unless another one does."""
    selection = "BackupSelection"
    left = {
        context.rename(str(name))
        for other in context.matching.after.by_type.get(after.type, ())
        for name in other.items(f"{selection}.Resources")
    }
    for name in before.items(f"{selection}.Resources"):
        if str(name) not in left:
            text = shown(name)
            yield found("backup-dropped", after, f"{text} is no longer backed up", detail=f"resource-{text}")
    for part in ("ListOfTags", "Conditions"):
        old, new = (side.get(f"{selection}.{part}") for side in (before, after))
        if any(differences(old, new, is_set=lambda _: True)):
            what = f"it backs up resources with {shown(new)} instead of {shown(old)}"
            yield found("backup-dropped", after, what, detail=part)
    more = set(map(str, after.items(f"{selection}.NotResources"))) - set(
        map(str, before.items(f"{selection}.NotResources"))
    )
    for text in map(shown, sorted(more)):
        yield found("backup-dropped", after, f"{text} is excluded", detail=f"without-{text}")


@on("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", judges="TimeToLiveSpecification")
def expiry(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check for items that begin to expire."""
    if not (sides := both(pair)):
        return
    before, after = sides
    spec = "TimeToLiveSpecification"
    if not truth(after.get(f"{spec}.Enabled")):
        return
    attribute = after.get(f"{spec}.AttributeName")
    if not truth(before.get(f"{spec}.Enabled")) or before.get(f"{spec}.AttributeName") != attribute:
        what = f"items expire by their attribute {attribute}"
        # If nothing expired before, items that happen to have the attribute are deleted within two days.
        severity = Severity.HIGH if truth(before.get(f"{spec}.Enabled")) else Severity.CRITICAL
        yield found("retention-shortened", after, what, severity=severity, detail="ttl")


# Keys of a rule that select its objects.
_SCOPE = ("Prefix", "TagFilters", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "Filter", "Status")


@on(
    "AWS::S3::Bucket",
    judges=" ".join(
        f"LifecycleConfiguration/Rules/*/{name}"
        for name in (*_SCOPE, "ExpirationInDays", "ExpirationDate", "NoncurrentVersionExpiration")
    ),
)
def lifecycle_rules(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check for objects and versions that are deleted earlier."""
    if not (sides := both(pair)):
        return
    before, after = sides
    rules = "LifecycleConfiguration.Rules"
    # An unchanged rule has no new effect, whatever its position or name.
    ones, others = ([_unnamed(rule) for rule in side.entries(rules)] for side in sides)
    if before.get(rules) == after.get(rules):
        return
    known = {str(rule.get("Id", index)): rule for index, rule in enumerate(before.entries(rules))}
    for index, rule in enumerate(after.entries(rules)):
        name = str(rule.get("Id", index))
        if others[index] in ones or rule.get("Status") != "Enabled":
            continue
        old = known.get(name) or _twin(rule, before.entries(rules))
        for what, days in _ages(rule).items():
            was = _ages(old).get(what, FOREVER) if old.get("Status") == "Enabled" else FOREVER
            detail = f"{name}-{what.replace(' ', '-')}"
            if days < was:
                since = "for ever" if was == FOREVER else f"{shown(was)} days"
                text = f"{what} are deleted after {shown(days)} days instead of being kept {since} (rule {name})"
                # Old versions serve to undo mistakes; objects are the data itself.
                severity = Severity.CRITICAL if was == FOREVER and what != _OLD_VERSIONS else None
                yield found("retention-shortened", after, text, severity=severity, detail=detail)
            elif any(rule.get(part) != old.get(part) for part in _SCOPE):
                text = f"{what} are deleted after {shown(days)} days, and were not before (rule {name})"
                yield found("retention-shortened", after, text, severity=Severity.MEDIUM, detail=detail)


_OLD_VERSIONS: Final = "old versions"


def _twin(rule: Mapping[str, Any], rules: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the rule for the same objects; an empty one without a match."""
    return next((one for one in rules if all(one.get(part) == rule.get(part) for part in _SCOPE)), {})


def _unnamed(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in rule.items() if name != "Id"}


def _ages(rule: Mapping[str, Any]) -> dict[str, float]:
    """Return when a lifecycle rule deletes objects, in days."""
    noncurrent = rule.get("NoncurrentVersionExpiration")
    old_versions = noncurrent.get("NoncurrentDays") if isinstance(noncurrent, Mapping) else None
    found_ages = {
        "objects": number(rule.get("ExpirationInDays")),
        _OLD_VERSIONS: number(old_versions or rule.get("NoncurrentVersionExpirationInDays")),
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
"""Names of properties that contain the key, in lower case, because AWS's spelling varies."""

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


def _holds_key(path: tuple[str, ...]) -> bool:
    return path[-1].lower() in _KEYS or path[-2:] == ("EncryptionKey", "Id")


def _is_switch(path: tuple[str, ...]) -> bool:
    return path[-1] in _SWITCHES - _HARMLESS or path[-2:] in _NESTED_SWITCHES


@on(ANY, judges=lambda path: _holds_key(path) or _is_switch(path) or path[-1] == "SSEAlgorithm")
def encryption(pair: Pair, context: CheckContext) -> Iterator[ChangeFinding]:
    """Check keys and switches of encryption, by AWS's names for them."""
    if not (sides := both(pair)):
        return
    after = sides[1]
    for leaf in pair.settings:
        where, old, new = leaf.name, leaf.before, leaf.after
        if _holds_key(leaf.path) and old:
            if not new:
                yield found(
                    "encryption-dropped", after, f"{where} is removed: no customer key is used any more", detail=where
                )
            elif str(old) != context.rename(str(new)):
                what = f"the key is {shown(new)} instead of {shown(old)}"
                yield found("key-changed", after, what, detail=where)
        elif _is_switch(leaf.path):
            if truth(old) and not truth(new):
                yield found("encryption-dropped", after, f"{where} is switched off", detail=where)
        elif leaf.path[-1] == "SSEAlgorithm" and str(old).startswith("aws:kms") and not str(new).startswith("aws:kms"):
            yield found("encryption-dropped", after, f"{where} goes from {old} to {shown(new)}", detail=where)


_PROTECTIONS: Final = frozenset(
    {
        "DeletionProtection",
        "DeletionProtectionEnabled",
        "DisableApiTermination",
        "EnableTerminationProtection",
        "TerminationProtected",
    }
)


@on(ANY, judges=lambda path: path[-1] in _PROTECTIONS)
def protection(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check for deletion protection that is switched off."""
    if not (sides := both(pair)):
        return
    for leaf in pair.settings:
        if leaf.path[-1] in _PROTECTIONS and truth(leaf.before) and not truth(leaf.after):
            yield found("protection-dropped", sides[1], f"{leaf.path[-1]} is switched off", detail=leaf.name)


@on("AWS::SecretsManager::RotationSchedule", judges="RotationRules")
def rotation(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check for secrets that no longer rotate, or less often."""
    before, after = pair.before, pair.after
    if before is not None and after is None:
        yield found("protection-dropped", before, "the secret no longer rotates")
        return
    if not (sides := both(pair)):
        return
    ones, others = (fields(side.get("RotationRules")) for side in sides)
    if ones == others:
        return
    old, new = map(_rotates_after, (ones, others))
    if new is None or (old is not None and new > old):
        every = f"every {shown(new)} days" if new is not None else f"by {shown(others.get('ScheduleExpression'))}"
        was = f"every {shown(old)} days" if old is not None else f"by {shown(ones.get('ScheduleExpression'))}"
        what = f"the secret rotates {every} instead of {was}"
        yield found("protection-dropped", sides[1], what, severity=Severity.MEDIUM, detail="RotationRules")


_RATE: Final = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_DAYS: Final = {"minute": 1 / 1440, "hour": 1 / 24, "day": 1.0}


def _rotates_after(rules: Mapping[str, Any]) -> float | None:
    """Return the days between two rotations; None if only a calendar defines them.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html
    """
    if (days := number(rules.get("AutomaticallyAfterDays"))) is not None:
        return days
    if (rate := _RATE.fullmatch(str(rules.get("ScheduleExpression")))) is not None:
        return int(rate[1]) * _DAYS[rate[2]]
    return None


@on("AWS::Lambda::Function", judges="ReservedConcurrentExecutions")
def concurrency(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check a function's reserved executions."""
    if not (sides := both(pair)):
        return
    name = "ReservedConcurrentExecutions"
    old, new = (number(side.get(name)) for side in sides)
    if new == 0 != old:
        what = "it cannot run: its reserved concurrency is 0"
        yield found("service-stopped", sides[1], what, detail=name)
    elif old is not None and new is None:
        yield found("concurrency-dropped", sides[1], f"its {shown(old)} reserved executions are removed", detail=name)
    elif old is not None and new is not None and new < old:
        what = f"it has {shown(new)} concurrent executions instead of {shown(old)}"
        yield found("concurrency-dropped", sides[1], what, severity=Severity.LOW, detail=name)


@on(
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    judges="MaxCapacity MinCapacity",
)
def scaling(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check for capacity that no longer follows the load."""
    before = pair.before
    if before is not None and pair.after is None:
        scaled = shown(before.get("ResourceId") or before.get("PolicyName"))
        yield found("concurrency-dropped", before, f"{scaled} no longer scales")
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


@on(
    *_FAILURES,
    "AWS::Events::Rule",
    judges="DeadLetterConfig DestinationConfig/OnFailure FunctionResponseTypes RedrivePolicy "
    "Targets/*/DeadLetterConfig",
)
def failures(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check for failed work that is no longer kept."""
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
            yield found("failures-dropped", after, f"events that {name} failed to process are lost", detail=name)
