"""The kinds of findings with their reasons, and the finding itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from slipway.review.resources import ReviewedResource


class Severity(StrEnum):
    """Severity of a finding. A critical one stops the change, unless a waiver in the same change names it."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"

    @property
    def rank(self) -> int:
        """Rank, 0 for the gravest."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class FindingKind:
    """A kind of finding.

    Args:
        severity: Default severity.
        why: Why it matters.
        do: What to do about it.
    """

    severity: Severity
    why: str
    do: str


_CRITICAL, _HIGH, _MEDIUM, _LOW, _INFO = Severity

KINDS: Final[Mapping[str, FindingKind]] = {
    # Replacement and removal
    "stateful-replaced": FindingKind(
        _CRITICAL,
        "CloudFormation creates a new, empty one and deletes or abandons the old one with its contents",
        "keep the property as it was; or add a second resource, move the data, then remove the first",
    ),
    "stateful-may-be-replaced": FindingKind(
        _CRITICAL,
        "CloudFormation may create a new, empty one and delete or abandon the old one with its contents",
        "keep the property as it was, or check a change set in an account before continuing",
    ),
    "stateful-removed": FindingKind(
        _CRITICAL,
        "its contents are deleted with it, or remain unmanaged",
        "keep it in the template; to delete it, empty or back it up first and waive this finding",
    ),
    "address-replaced": FindingKind(
        _HIGH,
        "its users refer to the old one, which no longer exists",
        "keep the property as it was, or notify every caller before continuing",
    ),
    "replaced": FindingKind(
        _LOW, "a new one is created before the old one is deleted", "check that both may exist at the same time"
    ),
    "may-be-replaced": FindingKind(
        _LOW,
        "in some cases a new one is created and the old one deleted",
        "check the change set in a development account",
    ),
    "name-taken": FindingKind(
        _HIGH,
        "the new one is created before the old one is deleted, and both have the same name, so the deployment fails",
        "give it another name in the same change",
    ),
    "type-changed": FindingKind(
        _HIGH,
        "CloudFormation cannot change the type under a logical id, so the deployment fails",
        "give the new resource its own id",
    ),
    "orphaned": FindingKind(
        _LOW,
        "it is retained when it is removed from the template: it still exists, costs money, and is unmanaged",
        "delete it manually once it is not needed, or import it again",
    ),
    "stack-removed": FindingKind(
        _HIGH,
        "CDK Pipelines deletes no stacks: it stays deployed, and nothing updates it any more",
        "delete the stack manually once it is not needed; until then it costs money and serves requests",
    ),
    "renamed": FindingKind(
        _LOW,
        "for CloudFormation a different logical id is a different resource: it creates a new one and deletes the "
        "old one",
        "keep the old logical id (`overrideLogicalId` of its CfnElement), or move the resource with `cdk refactor`",
    ),
    "not-rolled-back": FindingKind(
        _MEDIUM,
        "a rollback of the stage would delete it, which the stack policy denies: the rollback fails at this stack, "
        "and later stacks stay as the failed change left them",
        "deliver it in its own change, before the code that uses it; where a rollback was refused, allow the "
        "deletion in the stack policy, or leave the resource out of it (ResourcesToSkip)",
    ),
    "pipeline-restarted": FindingKind(
        _MEDIUM,
        "every running execution is canceled after its actions in progress: an environment may be left half "
        "deployed, without bake or rollback, and approvals are requested again",
        "deliver it while nothing is being deployed",
    ),
    "version-not-renewed": FindingKind(
        _HIGH,
        "a version keeps the variables that it was published with: its alias continues to use the deleted resource",
        "change the function in the same change; slipway.blocks.identity does so for functions made by ServiceFunction",
    ),
    "reader-not-updated": FindingKind(
        _HIGH,
        "CloudFormation does not update a stack when an output of another one changes: it keeps the old value",
        "change the stack that reads it in the same change, or deploy it again afterwards",
    ),
    "update-refused": FindingKind(
        _HIGH,
        "AWS refuses the update: the deployment fails, and the stage is rolled back",
        "make the change in steps that AWS accepts, or add a new resource beside the old one",
    ),
    "index-removed": FindingKind(
        _CRITICAL,
        "every query on it fails at once, before any canary; a rollback must rebuild it from all items",
        "deliver code that no longer queries it, then remove the index and waive this finding",
    ),
    "value-regenerated": FindingKind(
        _HIGH,
        "AWS generates a new value, and everything that still uses or was signed with the old one stops working",
        "keep the property as it was; rotate the secret if you want a new value",
    ),
    "unknown-type": FindingKind(
        _MEDIUM,
        "the registry's schemas lack the type, so the review cannot tell if the change replaces it",
        "check a change set in an account, or upgrade cfn-lint",
    ),
    # What the review cannot read
    "nested-unread": FindingKind(
        _HIGH,
        "the assembly does not contain the nested stack's template, so its changes are unknown",
        "synthesise the nested stack with the app (NestedStack), or check its own change set",
    ),
    "rewritten": FindingKind(
        _HIGH,
        "CloudFormation rewrites the template at the deployment, so the effect of the change is unknown",
        "check the processed template of a change set, or write the macro's result",
    ),
    "unresolved": FindingKind(
        _MEDIUM,
        "only the deployment knows the value, so the effect of the change is unknown",
        "give the value in the template, or check it in the deployed stack",
    ),
    "conditioned": FindingKind(
        _LOW,
        "with the parameters' defaults it is kept; if the stack has other values, CloudFormation deletes it",
        "check the parameters of the deployed stacks, or keep the resource without a condition",
    ),
    "undecided": FindingKind(
        _MEDIUM,
        "only the deployment decides the conditions, and not every combination of them was compared",
        "give the parameters values, or narrow them with AllowedValues",
    ),
    # Permissions
    "access-widened": FindingKind(
        _MEDIUM,
        "it gains permissions that it did not have",
        "grant the exact actions on the exact resources that it needs",
    ),
    "access-added": FindingKind(_LOW, "a new identity comes with permissions", "check that it needs each of them"),
    "access-narrowed": FindingKind(_INFO, "callers that still rely on it fail", "check that no caller relies on it"),
    "trust-widened": FindingKind(
        _HIGH,
        "another principal may assume this role with all its permissions",
        "name exactly who assumes it, and when",
    ),
    "resource-policy-widened": FindingKind(
        _MEDIUM,
        "a principal gains permissions on it",
        "name exactly who, what, and under which condition",
    ),
    "key-policy-widened": FindingKind(
        _HIGH,
        "a principal that may use the key can read everything encrypted with it",
        "name exactly who uses it, and through which service (kms:ViaService, encryption context)",
    ),
    "boundary-loosened": FindingKind(
        _CRITICAL,
        "the boundary prevents a role from having more permissions than the deployment may grant",
        "keep the permissions boundary on every role",
    ),
    "other-role": FindingKind(
        _MEDIUM, "it runs with a different role, which has more permissions", "compare the permissions of the two roles"
    ),
    # Exposure
    "public-access": FindingKind(
        _CRITICAL,
        "anybody on the internet may reach it",
        "block public access; let a distribution or a signed URL serve it",
    ),
    "open-route": FindingKind(
        _CRITICAL,
        "anybody may call it without authentication",
        "keep its authorization, or replace it by another",
    ),
    "key-not-required": FindingKind(
        _HIGH,
        "without a key there is no quota and no known caller",
        "require the key again, or authorize in another way",
    ),
    "authorizer-loosened": FindingKind(
        _HIGH, "it accepts callers that it refused before", "accept only the issuers, audiences and scopes that call it"
    ),
    "cors-widened": FindingKind(
        _MEDIUM, "scripts of other origins may call it in a visitor's name", "name the origins that need it"
    ),
    "network-opened": FindingKind(
        _HIGH, "more of the network reaches it", "allow the exact peers: a security group, not a range of addresses"
    ),
    "geo-widened": FindingKind(
        _HIGH, "requests from countries that were refused are answered", "list the intended countries"
    ),
    "waf-loosened": FindingKind(
        _HIGH, "requests that the firewall blocked are allowed", "keep the rules and the association"
    ),
    "tls-lowered": FindingKind(
        _HIGH, "older protocols are vulnerable to interception", "keep TLS 1.2 or newer, and HTTPS only"
    ),
    "sign-in-loosened": FindingKind(
        _HIGH, "accounts are easier to create or to take over", "keep the policy; loosen it only in development"
    ),
    "logging-dropped": FindingKind(
        _MEDIUM, "actions can no longer be traced to callers afterwards", "keep the log, or name its replacement"
    ),
    "throttle-raised": FindingKind(
        _LOW, "one caller may use up more of the shared capacity", "check it against concurrency and capacity behind it"
    ),
    # Destinations of data, and availability
    "destination-changed": FindingKind(
        _HIGH,
        "everything that was sent to the old destination goes to the new one, with all data and secrets",
        "check who owns the new destination, and that it may receive the data",
    ),
    "cache-key-narrowed": FindingKind(
        _HIGH,
        "requests that differ only in the removed part of the key get the same answer",
        "keep everything in the key that answers depend on",
    ),
    "key-disabled": FindingKind(
        _CRITICAL,
        "everything that is encrypted under the key is unreadable while it is disabled",
        "keep the key enabled; to retire it, encrypt again under another key first",
    ),
    "service-stopped": FindingKind(
        _CRITICAL, "every caller is refused from then on", "keep it enabled; stop a service in a separate change"
    ),
    "route-removed": FindingKind(
        _HIGH,
        "every caller that still uses it gets an error",
        "deprecate it first, and remove it once the access log shows no caller",
    ),
    "consumer-stopped": FindingKind(
        _HIGH,
        "new items are not processed, and are lost after their source's retention",
        "keep the mapping as it was, or name its replacement in the same change",
    ),
    "runtime-changed": FindingKind(
        _MEDIUM,
        "code that relies on the old setting fails in the new version, or from its next start on",
        "check that the code of this commit needs the new setting and doesn't use the old one",
    ),
    "flag-changed": FindingKind(
        _MEDIUM,
        "requests take a different path through the deployed code, in all versions at once and without a canary",
        "check that this environment should have it now, and that the alarms of the flags would detect a failure",
    ),
    "interface-changed": FindingKind(
        _MEDIUM,
        "callers or the code behind the API may not be written for the new format",
        "check it against the published contract and its clients",
    ),
    "limit-lowered": FindingKind(
        _LOW,
        "requests within the old limit may be refused, cut off or slower",
        "check it against the largest load of the last weeks",
    ),
    "unjudged": FindingKind(
        _LOW,
        "no rule of the review covers this setting, so its effect was not checked",
        "read the user guide about it; add a rule, or a reason why it is harmless",
    ),
    # What watches
    "alarm-removed": FindingKind(
        _HIGH,
        "nobody is notified any more of the condition that it watched",
        "keep it, or name the alarm that replaces it",
    ),
    "alarm-loosened": FindingKind(_MEDIUM, "it triggers later, or not at all", "say why the old threshold was wrong"),
    "alarm-silenced": FindingKind(
        _HIGH, "it changes its state and notifies nobody", "keep its actions and leave them enabled"
    ),
    "subscriber-removed": FindingKind(_MEDIUM, "its recipients are no longer notified", "check that somebody else is"),
    # Safeguards of a new version
    "canary-loosened": FindingKind(
        _HIGH,
        "a bad version receives more requests before it is detected",
        "keep the canary; change its pace only in development",
    ),
    "rollback-loosened": FindingKind(
        _HIGH,
        "a bad version stays deployed although it is known to be bad",
        "keep the rollback and every alarm of the group",
    ),
    "hook-removed": FindingKind(_HIGH, "a version takes traffic without passing a test", "keep the hook"),
    # What keeps data
    "retention-shortened": FindingKind(
        _HIGH, "older data is deleted at the next sweep, for good", "export what is needed, then shorten"
    ),
    "expiry-dropped": FindingKind(
        _LOW,
        "data that should be deleted is kept: it costs money, and may have to be deleted by law",
        "keep the expiry, or check the promises about the data",
    ),
    "backup-dropped": FindingKind(
        _HIGH,
        "lost or overwritten data cannot be restored",
        "keep recovery on; it is needed to undo mistakes",
    ),
    "encryption-dropped": FindingKind(
        _HIGH, "anyone with access to the disk or the account can read it", "keep the customer key, and its rotation"
    ),
    "key-changed": FindingKind(
        _MEDIUM,
        "data encrypted under the old key is readable only as long as that key exists",
        "keep the old key until no data is encrypted with it",
    ),
    "protection-dropped": FindingKind(
        _HIGH, "one command or one bad change deletes it with its data", "keep the protection, and the policy Retain"
    ),
    "concurrency-dropped": FindingKind(
        _MEDIUM,
        "it shares the concurrency of all functions, and may starve others or be starved",
        "keep the reservation, or say what it was for",
    ),
    "failures-dropped": FindingKind(
        _MEDIUM, "failed work is lost unnoticed", "keep the dead letters or the destination"
    ),
    # Between stacks
    "output-removed": FindingKind(
        _HIGH,
        "another stack reads it: its deployment, or the rollback of one, fails",
        "remove it one release after its last reader",
    ),
    "broken-reference": FindingKind(
        _HIGH, "CloudFormation refuses a template that refers to a missing resource", "refer to an existing resource"
    ),
    "assembly-unread": FindingKind(
        _MEDIUM,
        "a newer CDK wrote it, and the review has not compared the parts that it doesn't know",
        "read CDK's release notes about it; a newer version of the review may know it",
    ),
    "not-looked-up": FindingKind(
        _MEDIUM,
        "the deployed templates will differ from the compared ones",
        "run `cdk synth` once with credentials, and commit cdk.context.json",
    ),
    # The pipeline
    "approval-removed": FindingKind(
        _CRITICAL,
        "changes reach the environment without a review by a person",
        "keep the approval before the stage that it guards",
    ),
    "approval-changed": FindingKind(
        _LOW, "later executions wait while an answer is pending", "check that the queue moves on"
    ),
    "stage-removed": FindingKind(
        _HIGH,
        "its work is no longer done, and nothing reports that",
        "check what replaces it: tests, protection, a bake",
    ),
    "condition-loosened": FindingKind(
        _HIGH,
        "a deployment continues that would have been stopped or rolled back before",
        "keep the condition, or name its replacement",
    ),
    "source-changed": FindingKind(
        _HIGH, "the deployed code comes from a different source", "check who may push there, and after which review"
    ),
    "transition-enabled": FindingKind(
        _MEDIUM, "an environment that was frozen accepts changes again", "check that the reason no longer applies"
    ),
    "self-mutation-removed": FindingKind(
        _CRITICAL,
        "no later commit changes the pipeline any more, not even one that reverts this",
        "keep the pipeline's own update; to recover, deploy the pipeline's stack manually (`cdk deploy`)",
    ),
    "build-broken": FindingKind(
        _CRITICAL,
        "the build fails at this command for every later commit, even one that fixes it",
        "name a file of this commit; to recover, deploy the pipeline's stack manually (`cdk deploy`)",
    ),
    "build-changed": FindingKind(
        _HIGH, "the build has the permissions to deploy, and its commands change", "read the new commands"
    ),
    "pipeline-loosened": FindingKind(
        _MEDIUM,
        "executions may overtake each other, or a changed pipeline continues with its old definition",
        "keep the execution mode QUEUED, and the restart when the pipeline changes",
    ),
}
"""Every kind of finding by its name."""


@dataclass(frozen=True, kw_only=True)
class ChangeFinding:
    """An effect of a change that a person has to know.

    Args:
        kind: One of `KINDS`.
        severity: Its severity.
        stage: `prod-<service>`, …; `pipeline`.
        stack: Name of the stack.
        resource: Path of the construct.
        what: What changes, in one sentence.
        details: Additional lines.
        detail: Distinguishes it from others of the kind on the same resource; stable across syntheses.
        do: Specific advice, if the kind's is not enough.
    """

    kind: str
    severity: Severity
    stage: str
    stack: str
    resource: str
    what: str
    details: tuple[str, ...] = ()
    detail: str = ""
    do: str = ""

    @property
    def id(self) -> str:
        """Return the id that a waiver names: kind, resource and detail, stable across syntheses."""
        return f"{self.kind}:{self.resource}" + (f"#{self.detail}" if self.detail else "")

    @property
    def why(self) -> str:
        """Why it matters."""
        return KINDS[self.kind].why

    @property
    def advice(self) -> str:
        """Return what to do."""
        return self.do or KINDS[self.kind].do

    @property
    def order(self) -> tuple[int, str, str, str]:
        """Sort key: the gravest first, then by place."""
        return (self.severity.rank, self.stage, self.resource, self.id)


def found(
    kind: str,
    resource: ReviewedResource,
    what: str,
    *,
    severity: Severity | None = None,
    detail: str = "",
    details: tuple[str, ...] = (),
    do: str = "",
) -> ChangeFinding:
    """Return a finding on a resource.

    Args:
        kind: One of `KINDS`.
        resource: The resource.
        what: What changes.
        severity: Its severity. Default: the kind's.
        detail: Distinguishes it from others of the kind on the same resource.
        details: Additional lines.
        do: Advice that replaces the kind's.
    """
    return ChangeFinding(
        kind=kind,
        severity=severity or KINDS[kind].severity,
        stage=resource.stack.stage,
        stack=resource.stack.key.name,
        resource=resource.path,
        what=what,
        detail=detail,
        details=details,
        do=do,
    )
