"""Waves of services that are deployed side by side, and the pipeline stages they become."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aws_cdk import aws_codepipeline as codepipeline

from slipway.service import Service
from slipway.settings import ConfigurationError, Problem, Settings
from slipway.settings.load import PIPELINE_FILE

Wave = Sequence[type[Service]]


def arrange(services: Sequence[type[Service]], settings: Settings) -> list[Wave]:
    """Return the services in the configured waves.

    Args:
        services: All of the app's services.
        settings: All of `config/`; without `waves`, a single wave contains every service.

    Raises:
        ConfigurationError: A wave contains a service that the app does not deploy, or a deployed service is in no wave.
    """
    waves = settings.pipeline.waves
    if not waves:
        return [services]
    known = {service.name: service for service in services}
    named = [name for wave in waves for name in wave]
    problems = [
        Problem(PIPELINE_FILE, "waves", repr(name), f"is not deployed by app.py; choose from {', '.join(known)}")
        for name in named
        if name not in known
    ]
    problems += [
        Problem(PIPELINE_FILE, "waves", "", f"no wave contains {name!r}, which app.py deploys; add it to one")
        for name in known
        if name not in named
    ]
    if problems:
        raise ConfigurationError(problems)
    return [[known[name] for name in wave] for wave in waves if wave]


def stages_of(pipeline: codepipeline.Pipeline, wave: str, *, only_stage: str | None) -> list[str]:
    """Return the names of the stages that CDK Pipelines created for a wave.

    A wave without steps and with one stage has that stage's name; a wave of more than fifty actions is split into
    `<name>.1`, `<name>.2`, …

    Args:
        pipeline: The pipeline; CDK Pipelines must have built it.
        wave: The wave's id.
        only_stage: Id of its stage, if it has only one.

    Raises:
        KeyError: The pipeline has no such stage.
    """
    pattern = re.compile(rf"({re.escape(wave)}|{re.escape(only_stage or wave)})(\.\d+)?")
    found = [stage.stage_name for stage in pipeline.stages if pattern.fullmatch(stage.stage_name)]
    if not found:
        raise KeyError(f"the pipeline has no stage of wave {wave!r}")
    return found
