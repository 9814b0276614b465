"""The CDK CLI, pinned in `package.json`, run against the emulator: bootstrap, and the deployment of an assembly."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from botocore.exceptions import ClientError

from slipway.emulator.server import Emulator
from slipway.emulator.stages import EmulatedStack
from slipway.errors import RehearsalError
from slipway.process import Progress, follow
from slipway.project import ROOT

CDK = ROOT / "node_modules" / ".bin" / "cdk"

# `data-stack | 3/9 | 10:26:21 AM | CREATE_COMPLETE | AWS::S3::Bucket | Pipeline/stage/Data/Bucket (Bucket83)`
_EVENT = re.compile(
    r"^(?P<stack>\S+) \|\s*(?P<count>[\d/ ]+)\|[^|]*\|\s*(?P<status>[A-Z_]+)\s*\|\s*(?P<type>\S+)\s*\|\s*(?P<what>.*)$"
)


class Deployer:
    """Deploys assemblies to one emulator.

    Args:
        emulator: The emulator.
        qualifier: Qualifier of the bootstrap stack.
        trust: The account whose pipeline deploys here; its roles are trusted as they would be on AWS.
    """

    def __init__(self, emulator: Emulator, *, qualifier: str, trust: str) -> None:
        self._emulator, self._qualifier, self._trust = emulator, qualifier, trust
        self._log = emulator.folder / "cdk.log"

    def bootstrap(self, regions: Iterable[str], progress: Progress) -> bool:
        """Run `cdk bootstrap` in every region that is not bootstrapped yet.

        Args:
            regions: Regions that the account is deployed to.
            progress: Called with a description of each step.

        Returns:
            True if there was anything to do.
        """
        waiting = [region for region in regions if not self._is_bootstrapped(region)]
        for region in waiting:
            self._cdk(
                [
                    *("bootstrap", f"aws://{self._emulator.account}/{region}"),
                    *("--qualifier", self._qualifier, "--trust", self._trust, "--trust-for-lookup", self._trust),
                    *("--cloudformation-execution-policies", "arn:aws:iam::aws:policy/AdministratorAccess"),
                ],
                progress,
            )
        return bool(waiting)

    def _is_bootstrapped(self, region: str) -> bool:
        parameters = self._emulator.in_region(region).session().client("ssm")
        with suppress(parameters.exceptions.ParameterNotFound):
            parameters.get_parameter(Name=f"/cdk-bootstrap/{self._qualifier}/version")
            return True
        return False

    def deploy(self, assembly: Path, progress: Progress) -> None:
        """Deploy every stack of an assembly in dependency order, skipping unchanged ones.

        Stacks are updated directly, not by change set: for a change only of outputs, the emulator's change sets report
        no changes.

        Args:
            assembly: Its folder.
            progress: Called with a description of each step.

        Raises:
            RehearsalError: A resource failed. The message contains the first reason.
        """
        self._cdk(
            ["deploy", "--app", str(assembly), "--all", "--require-approval", "never", "--method", "direct"], progress
        )

    def outputs(self) -> dict[str, dict[str, str]]:
        """Return the outputs of every stack of the account: stack → output → value."""
        formation = self._emulator.session().client("cloudformation")
        return {
            stack["StackName"]: {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
            for page in formation.get_paginator("describe_stacks").paginate()
            for stack in page["Stacks"]
        }

    def stale(
        self,
        stacks: Iterable[EmulatedStack],
        before: Mapping[str, Mapping[str, str]],
        marks: Mapping[str, str],
    ) -> dict[str, str]:
        """Return the stacks that still use the former value of another stack's output.

        CloudFormation reads the outputs of other stacks when it updates a stack, and a stack whose own template did not
        change is not updated.

        Args:
            stacks: The deployed stacks.
            before: Result of `outputs()` before the deployment.
            marks: The current marks of the stacks.

        Returns:
            A new mark for each of them (see `slipway.emulator.stages.translate_stage`).
        """
        after = self.outputs()
        new_marks = {}
        for stack in stacks:
            changed = [
                f"{producer}.{output}={after.get(producer, {}).get(output)}"
                for producer, output in sorted(stack.references)
                if output in before.get(producer, {})
                and before[producer][output] != after.get(producer, {}).get(output)
            ]
            if changed:
                content = "\n".join((marks.get(stack.name, ""), *changed))
                new_marks[stack.name] = hashlib.sha256(content.encode()).hexdigest()[:16]
        return new_marks

    def unknown_types(self, names: Iterable[str]) -> set[str]:
        """Return the resource types that the emulator does not support, according to its `ValidateTemplate`."""
        template = {"Resources": {f"R{index}": {"Type": name} for index, name in enumerate(sorted(set(names)))}}
        formation = self._emulator.session().client("cloudformation")
        try:
            formation.validate_template(TemplateBody=json.dumps(template))
        except ClientError as error:
            found = re.search(r"Unrecognized resource types: \[([^]]*)\]", error.response["Error"].get("Message", ""))
            if found is None:
                raise
            return {name.strip() for name in found.group(1).split(",")}
        return set()

    def _cdk(self, arguments: list[str], progress: Progress) -> None:
        def on_line(line: str) -> None:
            if event := _EVENT.match(line):
                progress(f"{event['stack']}  {event['count'].strip()}  {event['type']}")

        environment = {**self._emulator.environment(), "CI": "true", "CDK_DISABLE_CLI_TELEMETRY": "true"}
        options = ["--progress", "events", "--notices", "false", "--ci"]
        if arguments[0] == "bootstrap":
            options = ["--notices", "false", "--ci"]
        command = [str(CDK), *arguments, *options]
        # Not in the repository's root, because its cdk.json would make the CLI synthesise the app again.
        folder = self._emulator.folder
        code, lines = follow(command, environment=environment, log=self._log, progress=on_line, folder=folder)
        if code != 0:
            raise RehearsalError(f"{failure(lines)} (full log: {self._log})")


def failure(lines: list[str]) -> str:
    """Return the reason in the CDK CLI's output.

    Args:
        lines: Its output.

    Returns:
        The first failed resource with its reason, or the last line that mentions an error.
    """
    for line in lines:
        event = _EVENT.match(line)
        if event and event["status"].endswith("_FAILED") and "cancelled" not in event["what"]:
            return f"{event['stack']}: {event['type']} {event['what']}"
    # A failed asset: the CLI ends with a summary that gives no reason.
    if unpublished := [line for line in lines if ": fail: " in line]:
        return unpublished[0]
    # The last lines only repeat exit codes, the app's and make's; the reason was printed before them.
    said = [line for line in lines if line and "Subprocess exited" not in line and not line.startswith("make")]
    errors = [line for line in said if re.search(r"error|fail|refused|unable|not ", line, re.IGNORECASE)]
    return (errors or said or ["cdk wrote nothing"])[-1].strip()
