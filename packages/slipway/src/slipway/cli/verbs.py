"""Every verb of the command line, its module and its extra. This module imports none of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DELIVER, JUDGE, LOOK, PREPARE, SERVICES = "Deliver", "Judge", "Look", "Prepare", "Services"

COMMANDS = "commands.py"
"""File with a service's own commands: a typer app called `app`, mounted under the service's name."""


@dataclass(frozen=True)
class Verb:
    """One verb.

    Attributes:
        name: Name on the command line.
        panel: The group in which the help shows it.
        summary: One line of the help.
        module: The module that is imported when the verb runs.
        attribute: The function, or the typer app, in it.
        extra: Extra of the package with the module's dependencies. Default: none.
        reads_project: True if it handles `--project` itself and keeps its working directory. Default: it starts in that
            folder.
        hidden: True if the help omits it, because only programs call it. Default: False.
    """

    name: str
    panel: str
    summary: str
    module: str
    attribute: str
    extra: str = ""
    reads_project: bool = False
    hidden: bool = False


def _rehearsal(name: str, panel: str, summary: str, *, module: str = "slipway.rehearsal.cli") -> Verb:
    return Verb(name, panel, summary, module, name, "rehearsal")


_PLAYER = "slipway.rehearsal.verbs"

VERBS: tuple[Verb, ...] = (
    _rehearsal("rehearse", DELIVER, "Play the delivery of a commit of any app on this machine.", module=_PLAYER),
    _rehearsal("drill", DELIVER, "Play every fault, and check that each ends as expected.", module=_PLAYER),
    _rehearsal("remote", DELIVER, "Set up the remote `rehearsal`: a push to it plays the pipeline.", module=_PLAYER),
    Verb(
        "receive",
        DELIVER,
        "Play the pipeline for a commit pushed to the remote.",
        _PLAYER,
        "receive",
        "rehearsal",
        hidden=True,
    ),
    _rehearsal("approve", DELIVER, "Approve the waiting step of a rehearsal.", module=_PLAYER),
    _rehearsal("reject", DELIVER, "Reject the waiting step of a rehearsal.", module=_PLAYER),
    _rehearsal("forget", DELIVER, "Delete the rehearsal's accounts and everything in them.", module=_PLAYER),
    _rehearsal("up", DELIVER, "Deploy an environment on the emulator, and call it."),
    Verb(
        "sandbox",
        DELIVER,
        "Create and delete an environment for a developer or a branch.",
        "slipway.sandbox.command",
        "app",
        "rehearsal",
    ),
    _rehearsal("watch", DELIVER, "Redeploy a service on the emulator at every save, with logs and a debugger."),
    _rehearsal("down", DELIVER, "Stop the emulator of an environment."),
    Verb(
        "protect",
        DELIVER,
        "Protect the stateful stacks of an environment, and read the settings back.",
        "slipway.tasks.protection",
        "protect_environment",
    ),
    Verb(
        "open",
        DELIVER,
        "Unprotect one stateful stack for its next update; the pipeline protects it again.",
        "slipway.tasks.protection",
        "open_command",
    ),
    Verb(
        "verify",
        DELIVER,
        "Test deployed services.",
        "slipway.tasks.verification",
        "verify",
    ),
    Verb(
        "attack",
        DELIVER,
        "Attack the services of a test environment from outside.",
        "slipway.attack.command",
        "attack",
        "attack",
    ),
    Verb(
        "perform",
        DELIVER,
        "Load the services of a test environment, and check their latency and errors.",
        "slipway.performance.command",
        "perform",
        "performance",
    ),
    Verb(
        "experiment",
        DELIVER,
        "Run AWS FIS's experiments on the services of a test environment, and check their answers.",
        "slipway.resilience.experiment",
        "experiment",
        "resilience",
    ),
    _rehearsal(
        "resilience",
        DELIVER,
        "Break services' dependencies on this machine, and check that the services degrade as promised.",
        module="slipway.resilience.command",
    ),
    Verb(
        "bake",
        DELIVER,
        "Watch the alarms of an environment during its bake, in a build of the pipeline.",
        "slipway.tasks.bake",
        "bake",
    ),
    Verb(
        "rollback",
        DELIVER,
        "Roll an environment back to its last good delivery, or only a service's functions.",
        "slipway.rollback.command",
        "rollback",
    ),
    Verb(
        "restore",
        DELIVER,
        "Restore a service's data to a point in time, alongside the current data, and compare.",
        "slipway.restore.command",
        "restore",
    ),
    Verb(
        "destroy",
        DELIVER,
        "Empty and delete an environment that its file declares disposable.",
        "slipway.tasks.destruction",
        "destroy",
    ),
    Verb(
        "review",
        JUDGE,
        "Review the effects of a change on data, permissions and protection.",
        "slipway.review.command",
        "review_change",
        reads_project=True,
    ),
    Verb(
        "gates",
        JUDGE,
        "Run the gates that stop a bad change: nag and supply chain, or only some steps.",
        "slipway.gates.command",
        "run_gates",
        "gates",
    ),
    Verb("nag", JUDGE, "Run cdk-nag's rule packs on an assembly of any CDK app.", "slipway.nag.command", "nag", "cdk"),
    Verb(
        "rules",
        JUDGE,
        "Check an assembly of any CDK app for mistakes that otherwise only a deployment shows.",
        "slipway.nag.command",
        "rules",
        "cdk",
    ),
    Verb(
        "lint", JUDGE, "Run cfn-lint on every template of an assembly.", "slipway.gates.lint", "lint_assembly", "gates"
    ),
    Verb(
        "evidence",
        JUDGE,
        "Write the evidence for and against a change on one page.",
        "slipway.evidence.command",
        "write_evidence",
    ),
    Verb(
        "in-flight",
        JUDGE,
        "Fail if this commit changes the pipeline while another execution is deploying.",
        "slipway.tasks.in_flight",
        "in_flight",
    ),
    _rehearsal("permissions", JUDGE, "Remove each permission of each function in turn, and check that a test fails."),
    _rehearsal("status", LOOK, "Show what runs on this machine."),
    _rehearsal("logs", LOOK, "Print the logs of a service's functions, oldest first."),
    _rehearsal("call", LOOK, "Call a route with the signature, API key or token that it requires."),
    _rehearsal("dashboards", LOOK, "Draw the dashboards into the services' folders."),
    _rehearsal("detectability", LOOK, "Show which failures of a new version the configured canaries detect."),
    _rehearsal("substitutions", LOOK, "Print what replaces AWS services on this machine, as Markdown."),
    _rehearsal("faults", LOOK, "Print the faults that a rehearsal can play, as Markdown."),
    Verb(
        "cost",
        LOOK,
        "Estimate the monthly price of the environments and of the pipeline.",
        "slipway.cost.command",
        "cost",
    ),
    Verb(
        "right-size",
        LOOK,
        "Compare the memory of each function with its usage.",
        "slipway.sizing.command",
        "right_size",
        "rehearsal",
    ),
    Verb(
        "drift",
        LOOK,
        "Compare deployed resources with the templates, and list manual changes.",
        "slipway.drift.command",
        "drift",
    ),
    Verb(
        "slo",
        LOOK,
        "Print how much of the error budgets is left, and how fast they burn.",
        "slipway.objectives.command",
        "slo",
        "rehearsal",
    ),
    Verb(
        "fleet",
        LOOK,
        "Print every service in every environment, with active alarms and error budgets.",
        "slipway.fleet.command",
        "fleet",
        "rehearsal",
    ),
    Verb("build", PREPARE, "Build the assets into build/assets.", "slipway.build", "build_assets"),
    Verb(
        "bootstrap",
        PREPARE,
        "Print the commands that prepare the accounts, and write their policies.",
        "slipway.accounts.bootstrap.command",
        "print_commands",
    ),
    Verb(
        "doctor",
        PREPARE,
        "Check configuration, versions and, with credentials, the accounts.",
        "slipway.accounts.doctor.command",
        "doctor",
    ),
    Verb(
        "handover",
        PREPARE,
        "Collect the files of the pipeline's later builds in build/handover.",
        "slipway.tasks.handover",
        "fill",
    ),
    Verb(
        "publish",
        PREPARE,
        "Upload the reports of the pipeline's build for the approver.",
        "slipway.tasks.publish",
        "publish_reports",
    ),
    Verb(
        "docs",
        PREPARE,
        "Write the documents derived from code and configuration.",
        "slipway.documents",
        "write_documents",
        "rehearsal",
    ),
    Verb(
        "openapi",
        PREPARE,
        "Write the OpenAPI document of every service from its routes.",
        "slipway.openapi",
        "write_openapi",
    ),
    Verb("init", PREPARE, "Create a new app that uses the tool.", "slipway.scaffold.command", "init"),
    Verb("service", PREPARE, "Add a service, or remove one.", "slipway.scaffold.command", "app"),
)
"""The verbs, in the order of the help."""


def commands_of(root: Path, service: str) -> frozenset[str]:
    """Return the names of a service's own commands.

    Args:
        root: The project.
        service: Its name.

    Returns:
        Names, as typed, of the functions that `app.command` decorates; it may be empty.
    """
    file = root / "services" / service / COMMANDS
    if not file.is_file():
        return frozenset()
    functions = [each for each in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(each, ast.FunctionDef)]
    return frozenset(
        each.name.replace("_", "-")
        for each in functions
        if any(ast.unparse(decorator).startswith("app.command") for decorator in each.decorator_list)
    )


def service_verbs(root: Path) -> Iterator[Verb]:
    """Yield a verb for each service of a project that has its own commands.

    Args:
        root: The project.
    """
    for file in sorted((root / "services").glob(f"*/{COMMANDS}")):
        docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"), str(file))) or ""
        name = file.parent.name
        yield Verb(name, SERVICES, docstring.partition("\n")[0], f"services.{name}.{file.stem}", "app")
