"""Check the commands of a pipeline's builds, and that their scripts exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

import yaml

from slipway.review.assembly import Json
from slipway.review.findings import ChangeFinding, found
from slipway.review.resources import ReviewedResource, Side

_ASSETS: Final = "FileAsset: "
"""Prefix of the resolved specification of a project that publishes files."""

_PUBLISH = re.compile(r"""cdk-assets --path "[\w./ -]+" (?:--verbose )?publish "[^"`$;&|<>\\]+\"""")
_INSTALL = re.compile(r"npm install -g (?:aws-cdk|cdk-assets)(?:@[\w.^~-]+)?")

_PROJECT: Final = "AWS::CodeBuild::Project"
_PIPELINE: Final = "AWS::CodePipeline::Pipeline"


def build_commands(specification: Json) -> Iterator[str]:
    """Yield every command of a build specification, including those of `finally`; none if it cannot be read.

    https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html

    Args:
        specification: Its text, JSON or YAML.
    """
    try:
        content = yaml.safe_load(str(specification).removeprefix(_ASSETS))
    except yaml.YAMLError:
        return
    phases = content.get("phases") if isinstance(content, Mapping) else None
    for phase in phases.values() if isinstance(phases, Mapping) else ():
        for part in ("commands", "finally"):
            commands = phase.get(part, ()) if isinstance(phase, Mapping) else ()
            for command in commands if isinstance(commands, list) else [commands]:
                if command:
                    yield str(command)


def publishes(command: str) -> bool:
    """Return True if a command only publishes one asset, as CDK Pipelines writes it."""
    return _PUBLISH.fullmatch(command) is not None


def installs_tool(command: str) -> bool:
    """Return True if a command only installs CDK's CLI or its publisher, as CDK Pipelines writes it."""
    return _INSTALL.fullmatch(command) is not None


def is_publisher(project: ReviewedResource | None) -> bool:
    """Return True if a project publishes assets: all of them, or one each, which is CDK Pipelines' default.

    Such a project changes with every asset, which by itself is irrelevant.

    Args:
        project: The build project; None if it is not in the assembly.
    """
    if project is None or project.type != _PROJECT:
        return False
    return any(map(publishes, build_commands(project.get("Source.BuildSpec"))))


def missing_files(after: Side, is_file: Callable[[str], bool]) -> Iterator[ChangeFinding]:
    """Yield a finding for each command of a pipeline's build that names a file which the commit doesn't have.

    Only builds of the pipeline's source are checked, because the inputs of others are unknown here.

    Args:
        after: The new assembly.
        is_file: Returns True if the commit has a file, by its path from the root.
    """
    for project in after.by_type.get(_PROJECT, ()):
        if project.get("Source.Type") != "CODEPIPELINE" or not _gets_the_source(project, after):
            continue
        for command in build_commands(project.get("Source.BuildSpec")):
            for path in _named(command):
                if not is_file(path):
                    what = f"the build runs `{command}`, but the commit has no file {path}"
                    yield found("build-broken", project, what, detail=path)


def _gets_the_source(project: Any, after: Side) -> bool:
    """Return True if a pipeline passes only its own source to a project."""
    for pipeline in after.by_type.get(_PIPELINE, ()):
        actions = [
            action
            for stage in pipeline.entries("Stages")
            for action in stage.get("Actions", ())
            if isinstance(action, Mapping)
        ]
        sources = {
            str(artifact.get("Name"))
            for action in actions
            if (action.get("ActionTypeId") or {}).get("Category") == "Source"
            for artifact in action.get("OutputArtifacts", ())
        }
        for action in actions:
            names = str((action.get("Configuration") or {}).get("ProjectName"))
            primary: Mapping[str, Any] = next(iter(action.get("InputArtifacts", ())), {})
            if project.logical_id in names and primary.get("Name") in sources:
                return True
    return False


def _named(command: str) -> Iterator[str]:
    """Yield the files that a command runs by a path from the root: `.ci/run`, `bash scripts/build.sh`."""
    try:
        words = shlex.split(command, comments=True)
    except ValueError:
        return
    if "cd" in words:
        return
    first = True
    for word in words:
        if word in {"&&", "||", ";", "|", "then", "do", "else"}:
            first = True
            continue
        if not first or "=" in word or word in {"bash", "sh", "env", "exec", "time", "if", "!", "set", "-eu", "-e"}:
            continue
        first = False
        path = word.rstrip(";")
        if "/" in path and not path.startswith(("/", "~", "$", "-")) and not set(path) & set("$*?`{"):
            yield str(PurePosixPath(path))
