"""Run the survey over a configuration and an assembly, and write the results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from slipway import files, project
from slipway.assembly.reader import is_assembly
from slipway.detectability import report
from slipway.detectability.faults import FailureMode
from slipway.detectability.picture import draw
from slipway.detectability.rollouts import Rollout, groups_of_others, read, stages, templates
from slipway.detectability.survey import FAULTS, Survey, SurveyedFunction
from slipway.emulator.environment import choose, services_of
from slipway.emulator.stages import stage_folder
from slipway.errors import RehearsalError
from slipway.settings import Environment, ServiceSettings, Settings

FOLDER = project.ROOT / "build" / "detectability"
PAGE = project.ROOT / "docs" / "detectability.md"
PICTURE = project.ROOT / "docs" / "images" / "detectability.svg"


def examine(
    settings: Settings,
    survey: Survey,
    *,
    environments: Sequence[str] = (),
    services: Sequence[str] = (),
    rate: float | None = None,
    faults: Sequence[FailureMode] = FAULTS,
    assembly: Path = project.ASSEMBLY,
) -> list[SurveyedFunction]:
    """Survey every function with a deployment group.

    Args:
        settings: The configuration, for the traffic.
        survey: Simulates the cases.
        environments: Only these environments. Default: all.
        services: Only these services. Default: all.
        rate: Invocations per second of every function. Default: those of the configuration.
        faults: Failures of the new version.
        assembly: The assembly. Default: `cdk.out`.

    Raises:
        RehearsalError: The environment or service does not exist, a stage is not synthesised, a deployment group cannot
            be read, or the configuration lacks a function's traffic.
    """
    names = environments or [environment.name for environment in settings.environments]
    return [
        survey.examine(rollout, _rate(environment, rollout) if rate is None else rate, faults)
        for environment in (choose(settings, name) for name in names)
        for service in services_of(environment, services)
        for rollout in _rollouts(assembly, environment, service)
    ]


def examine_assembly(
    assembly: Path, survey: Survey, *, rate: float, faults: Sequence[FailureMode] = FAULTS
) -> tuple[list[SurveyedFunction], list[str]]:
    """Survey every function with a deployment group of any app, from its assembly alone.

    Args:
        assembly: The assembly.
        survey: Simulates the cases.
        rate: Invocations per second of every function.
        faults: Failures of the new version.

    Returns:
        The findings by stage, and the deployment groups that move no function.

    Raises:
        RehearsalError: There is no assembly, or a deployment group cannot be read.
    """
    if not is_assembly(assembly):
        raise RehearsalError(f"{assembly} is not a cloud assembly; `cdk synth` writes one", exit_code=2)
    findings: list[SurveyedFunction] = []
    left_out: list[str] = []
    for stage, folder in stages(assembly):
        stacks = templates(folder)
        left_out += groups_of_others(stacks)
        findings += [survey.examine(rollout, rate, faults) for rollout in read(stacks, stage, stage)]
    return findings, left_out


def _rollouts(assembly: Path, environment: Environment, service: str) -> Iterator[Rollout]:
    yield from read(templates(stage_folder(assembly, environment.name, service)), environment.name, service)


def _rate(environment: Environment, rollout: Rollout) -> float:
    try:
        settings: ServiceSettings = getattr(environment.services, rollout.service)
        return settings.traffic.of(rollout.function)
    except KeyError as error:
        raise RehearsalError(
            f"config/{environment.name}.toml: services.{rollout.service}.traffic.{error.args[0]} is not a known "
            f"setting, so the invocations of {rollout.name} are unknown; add it, or pass --rate",
            exit_code=2,
        ) from None


def write(findings: Sequence[SurveyedFunction], survey: Survey, folder: Path = FOLDER) -> Sequence[Path]:
    """Write the results and the picture.

    Args:
        findings: At least one.
        survey: The survey that found them.
        folder: Output folder. Default: `build/detectability`.

    Returns:
        The files.
    """
    results, picture = folder / "results.json", folder / "detectability.svg"
    files.write_json(results, report.as_json(findings, survey))
    files.write_text(picture, draw(findings))
    return results, picture


def write_documentation(
    findings: Sequence[SurveyedFunction], survey: Survey, *, page: Path = PAGE, picture: Path = PICTURE
) -> Sequence[Path]:
    """Put the results into the documentation: between the markers of the page, and as its picture.

    Args:
        findings: Findings of all environments and services.
        survey: The survey that found them.
        page: The page.
        picture: Its picture.

    Returns:
        The files.

    Raises:
        RehearsalError: The page has no markers.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(report.BEGIN)
    _, end, after = rest.partition(report.END)
    if not begin or not end:
        raise RehearsalError(
            f"{page.name}: marker {report.BEGIN} or {report.END} is missing; add both around the results"
        )
    files.write_text(page, f"{before}{report.markdown(findings, survey).rstrip()}{after}")
    files.write_text(picture, draw(findings))
    return page, picture
