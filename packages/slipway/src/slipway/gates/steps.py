"""The steps of `make gates`, one row each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from slipway.gates.outcome import Finding, Outcome
from slipway.supply import audit, licences, match, sast, sbom, secrets
from slipway.supply.errors import SupplyError
from slipway.supply.policy import SupplyPolicy
from slipway.supply.repository import ScannedTree
from slipway.supply.tool import run


@dataclass(frozen=True)
class StepContext:
    """Resources available to a step."""

    repository: ScannedTree
    policy: SupplyPolicy
    today: date
    """Acceptances that end before this day are expired."""
    earlier: Mapping[str, Outcome]
    """Results of the steps that this one depends on, by name."""


@dataclass(frozen=True)
class Step:
    """One step."""

    name: str
    verb: str
    """Verb that runs this step alone, in the CLI and, for most, in the Makefile; steps may share one."""
    run: Callable[[StepContext], Outcome]
    after: tuple[str, ...] = ()
    """Names of steps whose results it needs."""
    supply: bool = True
    """True if it is part of the supply chain, and so of `supply.json`; other steps write their own report."""


def command(name: str, *words: str) -> Callable[[StepContext], Outcome]:
    """Return a step that runs a program: it passes with exit code 0, and its last output line is the summary.

    All output is written to `build/report/<name>.log`.

    Args:
        name: Name of the step.
        words: The program and its arguments.
    """

    def step(context: StepContext) -> Outcome:
        ran = run(words, folder=context.repository.root, environ=context.repository.environ)
        log = context.repository.report / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(ran.out + ran.err, encoding="utf-8")
        lines = [line for line in (ran.out + ran.err).splitlines() if line.strip()]
        last = lines[-1].strip() if lines else "wrote nothing"
        place = context.repository.relative(log)
        findings = [Finding(place, f"exit code {ran.code}", last)] if ran.code else []
        return Outcome.of(findings, last)

    return step


# The change review runs after `nag`, because it needs the assembly.
STEPS: tuple[Step, ...] = (
    Step("nag", "synth", command("nag", "cdk", "synth", "--quiet", "--strict"), supply=False),
    Step("audit-python", "audit", lambda it: audit.python(it.repository, it.policy.audit, today=it.today)),
    Step("audit-npm", "audit", lambda it: audit.javascript(it.repository, it.policy.audit, today=it.today)),
    Step("sast", "sast", lambda it: sast.check(it.repository, it.policy.sast, today=it.today)),
    Step("secrets", "secrets", lambda it: secrets.check(it.repository, it.policy.secrets, today=it.today)),
    Step("licences", "licences", lambda it: licences.check(it.repository, it.policy.licences)),
    Step("sbom", "sbom", lambda it: sbom.check(it.repository, it.policy.licences)),
    Step(
        "shipped",
        "shipped",
        lambda it: match.check(it.repository, it.earlier),
        after=("nag", "audit-python", "sast", "licences", "sbom"),
    ),
)


def chosen(names: Iterable[str], steps: tuple[Step, ...] = STEPS) -> tuple[Step, ...]:
    """Return the steps with these names or verbs, and their dependencies; all steps without names.

    Args:
        names: Names of steps or verbs.
        steps: The rows.

    Raises:
        SupplyError: A name is unknown.
    """
    by_name = {step.name: step for step in steps}
    wanted: set[str] = set()
    for name in names:
        meant = {step.name for step in steps if name in {step.name, step.verb}}
        if not meant:
            known = sorted({*by_name, *(step.verb for step in steps)})
            raise SupplyError(f"unknown step {name!r}; choose from {', '.join(known)}")
        wanted |= meant
    if not wanted:
        return steps
    while before := {name for step in wanted for name in by_name[step].after} - wanted:
        wanted |= before
    return tuple(step for step in steps if step.name in wanted)
