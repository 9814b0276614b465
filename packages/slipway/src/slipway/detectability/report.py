"""Report a survey: as text, as tables, as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from slipway.detectability.faults import HEALTHY_MS
from slipway.detectability.rollouts import Trigger
from slipway.detectability.simulation import SimulationOutcome
from slipway.detectability.survey import ENOUGH, WATCHED, Case, Survey, SurveyedFunction
from slipway.settings.shifts import MINUTE

_IN_CELLS = "caught before full traffic, and invocations affected until then: median (95th percentile)"
_AT_ONCE = "caught by no alarm; failed invocations per minute until a person acts"

BEGIN, END = "<!-- detectability -->", "<!-- /detectability -->"

_INVOKED_BY = {
    Trigger.REQUESTS: "requests",
    Trigger.QUEUE: "a queue",
    Trigger.STREAM: "a stream",
    Trigger.ASYNCHRONOUS: "asynchronous events",
}

_WATCHED = f"a failure of {WATCHED.errors * 100:g} %"


def all_at_once(finding: SurveyedFunction) -> bool:
    """Return True if a new version gets all traffic from the start."""
    return finding.rollout.shift.full_after == 0


def verdicts(findings: Sequence[SurveyedFunction]) -> Iterator[str]:
    """Yield the verdict on each function, or one verdict for functions of an environment that share it."""
    said: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        said.setdefault((finding.rollout.environment, verdict(finding)), []).append(finding.rollout.name)
    for (environment, text), names in said.items():
        yield f"{environment}, {_listed(names)}: {text}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def verdict(finding: SurveyedFunction) -> str:
    """Return how the function's canary handles the watched failure, and what would detect it."""
    rollout, found = finding.rollout, finding.verdict
    seen = f"at {_a_second(finding.rate)} {rollout.shift.name} sees {_WATCHED} in"
    if found.sees:
        return (
            f"{seen} {_percent(found.outcome.caught)} of deployments, and the failure affects "
            f"{_hurt(found.outcome)} until then."
        )
    if not rollout.alarms:
        return "the deployment group rolls back on no alarm, so no failure is detected at any rate."
    if all_at_once(finding):
        begin = (
            f"all traffic moves at once, so no alarm stops a new version; {_WATCHED} affects "
            f"{_number(finding.rate * 60 * WATCHED.harmful)} invocations per minute until a person acts."
        )
    else:
        begin = f"{seen} only {_percent(found.outcome.caught)} of deployments."
    return f"{begin} {_what_would(finding)}"


def _what_would(finding: SurveyedFunction) -> str:
    found = finding.verdict
    if found.quickest is not None and found.quickest_outcome is not None:
        text = (
            f"{found.quickest.name} would detect it in {_percent(found.quickest_outcome.caught)}, within "
            f"{found.quickest.full_after / MINUTE:g} minutes, and it would affect {_hurt(found.quickest_outcome)}."
        )
    else:
        text = "No predefined configuration detects it at this rate."
    if found.rate is not None:
        return f"{text} The current one would at {_a_second(found.rate)}."
    return text if found.quickest is not None or all_at_once(finding) else f"{text} More traffic would not help either."


def _percent(share: float) -> str:
    """Return a probability as text; 100 % only if it always happened."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{_number(round(share * 100, 1))} %"


def _number(value: float) -> str:
    return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


def _a_second(rate: float) -> str:
    return f"{_number(rate)} invocation{'' if rate == 1 else 's'} per second"


def _hurt(outcome: SimulationOutcome) -> str:
    middle, most = outcome.hurt_percentile(50), outcome.hurt_percentile(95)
    return f"{middle:,} invocation{'' if middle == 1 else 's'} (more than {most:,} in one of twenty deployments)"


def unseen(findings: Sequence[SurveyedFunction]) -> str | None:
    """Return what none of the alarms counts; None if the failures contain nothing of the kind."""
    cases = [case for finding in findings for case in finding.cases if case.fault.answered]
    if not cases or any(case.outcome.caught for case in cases):
        return None
    return (
        "Lambda does not count a function's own 5xx answers, or messages that it reports as failed in a batch, as "
        "errors: no alarm of these deployment groups counts them, whatever the traffic and the configuration."
    )


def blind(findings: Sequence[SurveyedFunction]) -> Iterator[str]:
    """Yield alarms of deployment groups that no simulated invocation can trigger, so they prove nothing."""
    for finding in findings:
        for alarm, strange in finding.rollout.blind:
            metrics = ", ".join(map(str, strange))
            who = f"{finding.rollout.environment}, {finding.rollout.name}"
            yield f"{who}: {alarm.name} watches {metrics}, which is not simulated."


def table(environment: str, findings: Sequence[SurveyedFunction]) -> Table:
    """Return an environment's probabilities and harm: a row per function, a column per failure.

    Args:
        environment: Its name.
        findings: Findings of the environment.
    """
    configurations = list(dict.fromkeys(finding.rollout.shift.name for finding in findings))
    what = _AT_ONCE if all(all_at_once(finding) for finding in findings) else _IN_CELLS
    title = f"{environment}, {', '.join(configurations)}: {what}"
    result = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("function", "invoked by", *(["configuration"] if len(configurations) > 1 else [])):
        result.add_column(name, overflow="fold")
    result.add_column("per second", justify="right")
    for case in findings[0].cases:
        result.add_column(escape(case.fault.name.replace("=", "\n")), justify="right", overflow="fold")
    for finding in findings:
        rollout = finding.rollout
        configuration = [rollout.shift.name] if len(configurations) > 1 else []
        cells = [_cell(finding, case) for case in finding.cases]
        result.add_row(rollout.name, _INVOKED_BY[rollout.trigger], *configuration, _number(finding.rate), *cells)
    return result


def _cell(finding: SurveyedFunction, case: Case) -> str:
    if all_at_once(finding):
        return _number(_per_minute(finding, case))
    style = "green" if case.outcome.caught >= ENOUGH else "yellow"
    return f"[{style}]{_percent(case.outcome.caught)}[/{style}]\n{_harm(case.outcome)}"


def _harm(outcome: SimulationOutcome) -> str:
    return f"{outcome.hurt_percentile(50):,} ({outcome.hurt_percentile(95):,})"


def _per_minute(finding: SurveyedFunction, case: Case) -> float:
    """Return the failed invocations per minute of a version with all traffic."""
    return round(finding.rate * 60 * case.fault.harmful, 6)


def markdown(findings: Sequence[SurveyedFunction], survey: Survey) -> str:
    """Return the documentation's part: the table of every environment, and the verdict on each function.

    Args:
        findings: Findings of all environments.
        survey: The survey that found them.
    """
    lines = [BEGIN, ""]
    for environment in dict.fromkeys(finding.rollout.environment for finding in findings):
        own = [finding for finding in findings if finding.rollout.environment == environment]
        head = ["function", "invoked by", "per second", *(f"`{case.fault.name}`" for case in own[0].cases)]
        configurations = ", ".join(dict.fromkeys(f"`{finding.rollout.shift.name}`" for finding in own))
        what = _AT_ONCE if all(all_at_once(finding) for finding in own) else _IN_CELLS
        lines += [
            f"### {environment}: {configurations}",
            "",
            f"{what[0].upper()}{what[1:]}.",
            "",
            _row(head),
            _row(["---"] * 2 + ["---:"] * (len(head) - 2)),
        ]
        for finding in own:
            rollout = finding.rollout
            cells = [_markdown_cell(finding, case) for case in finding.cases]
            lines.append(_row([rollout.name, _INVOKED_BY[rollout.trigger], _number(finding.rate), *cells]))
        lines += ["", *(f"- {text}" for text in verdicts(own)), ""]
    if note := unseen(findings):
        lines += [f"**{note}**", ""]
    lines += [f"{survey.runs} deployments per case, seed {survey.seed}.", "", END]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_cell(finding: SurveyedFunction, case: Case) -> str:
    if all_at_once(finding):
        return _number(_per_minute(finding, case))
    outcome = case.outcome
    chance = f"**{_percent(outcome.caught)}**" if outcome.caught >= ENOUGH else _percent(outcome.caught)
    return f"{chance}; {_harm(outcome)}"


def as_json(findings: Sequence[SurveyedFunction], survey: Survey) -> dict[str, Any]:
    """Return everything as JSON-compatible data."""
    return {
        "assumptions": {
            "runs": survey.runs,
            "seed": survey.seed,
            "metric_delay_seconds": survey.metric_delay,
            "arrivals": "poisson",
            "healthy_duration_ms": HEALTHY_MS,
            "enough": ENOUGH,
            "watched": WATCHED.name,
        },
        "functions": [_function(finding) for finding in findings],
    }


def _function(finding: SurveyedFunction) -> dict[str, Any]:
    rollout, found = finding.rollout, finding.verdict
    return {
        "environment": rollout.environment,
        "service": rollout.service,
        "function": rollout.function,
        "invoked_by": rollout.trigger,
        "invocations_per_second": finding.rate,
        "deployment_configuration": rollout.shift.name,
        "minutes_to_full_traffic": rollout.shift.full_after / MINUTE,
        "alarms": [alarm.name for alarm in rollout.alarms],
        "alarms_not_simulated": [alarm.name for alarm, _ in rollout.blind],
        "cases": [_case(finding, case) for case in finding.cases],
        "verdict": {
            "sees": found.sees,
            "caught": found.outcome.caught,
            "configuration_that_sees_it": found.quickest.name if found.quickest else None,
            "rate_that_sees_it": found.rate,
            "words": verdict(finding),
        },
    }


def _case(finding: SurveyedFunction, case: Case) -> dict[str, Any]:
    outcome = case.outcome
    return {
        "failure": case.fault.name,
        "caught_before_full_traffic": outcome.caught,
        "caught_interval_95": [round(bound, 4) for bound in outcome.interval],
        "minutes_until_rolled_back_median": outcome.minutes_median,
        "hurt_median": outcome.hurt_percentile(50),
        "hurt_p95": outcome.hurt_percentile(95),
        "hurt_per_minute_with_all_traffic": _per_minute(finding, case),
    }
