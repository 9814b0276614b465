"""Which services are deployed side by side, and which stages of the pipeline that gives."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aws_cdk import aws_codepipeline as codepipeline

from slipway.service import Service
from slipway.settings import ConfigurationError, Problem, Settings
from slipway.settings.load import PIPELINE_FILE

Wave = Sequence[type[Service]]


def arrange(services: Sequence[type[Service]], settings: Settings) -> list[Wave]:
    """The services in the configured waves.

    Args:
        services: all of the app's services.
        settings: all of `config/`; without `waves` there is one with every service.

    Raises:
        ConfigurationError: a wave names a service that the app does not deploy, or none names one that it does.
    """
    waves = settings.pipeline.waves
    if not waves:
        return [services]
    known = {service.name: service for service in services}
    named = [name for wave in waves for name in wave]
    problems = [
        Problem(PIPELINE_FILE, "waves", repr(name), f"is not deployed by app.py; there are {', '.join(known)}")
        for name in named
        if name not in known
    ]
    problems += [
        Problem(PIPELINE_FILE, "waves", "", f"no wave names {name!r}, which app.py deploys")
        for name in known
        if name not in named
    ]
    if problems:
        raise ConfigurationError(problems)
    return [[known[name] for name in wave] for wave in waves if wave]


def stages_of(pipeline: codepipeline.Pipeline, wave: str, *, only_stage: str | None) -> list[str]:
    """Names of the stages that CDK Pipelines made of a wave.

    A wave without steps and with one stage in it is called by that stage's name; one of more than fifty actions is cut
    into `<name>.1`, `<name>.2`, …

    Args:
        pipeline: the pipeline; CDK Pipelines must have built it.
        wave: the wave's id.
        only_stage: id of its stage, if it has only one.

    Raises:
        KeyError: there is none.
    """
    pattern = re.compile(rf"({re.escape(wave)}|{re.escape(only_stage or wave)})(\.\d+)?")
    found = [stage.stage_name for stage in pipeline.stages if pattern.fullmatch(stage.stage_name)]
    if not found:
        raise KeyError(f"no stage of {wave!r}")
    return found
