"""Every verb of the command line, where it lives, and what it needs installed. Nothing of it is imported here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DELIVER, JUDGE, LOOK, PREPARE, SERVICES = "Deliver", "Judge", "Look", "Prepare", "Services"

COMMANDS = "commands.py"
"""File of a service with commands of its own: a typer app called `app`, mounted under the service's name."""


@dataclass(frozen=True)
class Verb:
    """One verb.

    Attributes:
        name: as it is typed.
        panel: the group in which the help shows it.
        summary: one line of the help.
        module: the module that is imported when the verb runs.
        attribute: the function, or the typer app, in it.
        extra: the extra of the package that brings what the module imports. Default: the base does.
        reads_project: whether it takes `--project` itself, and works from where it was started. Default: it is started
            in that folder.
        hidden: whether the help leaves it out, since a program calls it. Default: it is shown.
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
    _rehearsal("rehearse", DELIVER, "Play the delivery of a commit on this machine, of any app.", module=_PLAYER),
    _rehearsal("drill", DELIVER, "Play every fault, and say whether each ended as it has to.", module=_PLAYER),
    _rehearsal("remote", DELIVER, "Set up the remote `rehearsal`: a push to it plays the pipeline.", module=_PLAYER),
    Verb(
        "receive",
        DELIVER,
        "Play the pipeline for what was pushed to the remote.",
        _PLAYER,
        "receive",
        "rehearsal",
        hidden=True,
    ),
    _rehearsal("approve", DELIVER, "Approve what a rehearsal waits for.", module=_PLAYER),
    _rehearsal("reject", DELIVER, "Reject what a rehearsal waits for.", module=_PLAYER),
    _rehearsal("forget", DELIVER, "Remove the accounts of the rehearsal and all that they hold.", module=_PLAYER),
    _rehearsal("up", DELIVER, "Deploy an environment on the emulator, and call it."),
    Verb(
        "sandbox",
        DELIVER,
        "Give a developer or a branch an environment of its own, and take it away.",
        "slipway.sandbox.command",
        "app",
        "rehearsal",
    ),
    _rehearsal("watch", DELIVER, "Keep a service live on the emulator as it is saved, with logs and a debugger."),
    _rehearsal("down", DELIVER, "Stop the emulator of an environment."),
    Verb(
        "protect",
        DELIVER,
        "Protect the stateful stacks of an environment, and read back what is set.",
        "slipway.tasks.protection",
        "protect_environment",
    ),
    Verb(
        "open",
        DELIVER,
        "Open one stateful stack for its next update; the pipeline closes it again.",
        "slipway.tasks.protection",
        "open_command",
    ),
    Verb(
        "verify",
        DELIVER,
        "Test services where they are deployed.",
        "slipway.tasks.verification",
        "verify",
    ),
    Verb(
        "bake",
        DELIVER,
        "Watch the alarms of an environment, in the pipeline's build.",
        "slipway.tasks.bake",
        "bake",
    ),
    Verb(
        "rollback",
        DELIVER,
        "Take an environment back to its last good delivery, or a service's functions alone.",
        "slipway.rollback.command",
        "rollback",
    ),
    Verb(
        "restore",
        DELIVER,
        "Restore a service's data to a point in time beside the present, and compare.",
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
        "Review what a change does to data, permissions and protection.",
        "slipway.review.command",
        "review_change",
        reads_project=True,
    ),
    Verb(
        "gates",
        JUDGE,
        "Run what stops a bad change: the nag gate and the supply chain, or some steps of it.",
        "slipway.gates.command",
        "run_gates",
        "gates",
    ),
    Verb(
        "nag", JUDGE, "Ask rule packs of cdk-nag about an assembly of any CDK app.", "slipway.nag.command", "nag", "cdk"
    ),
    Verb(
        "rules",
        JUDGE,
        "Ask the rules about what only AWS would tell of any assembly.",
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
        "Write what speaks for a change and against it on one page.",
        "slipway.evidence.command",
        "write_evidence",
    ),
    Verb(
        "in-flight",
        JUDGE,
        "Refuse a change of the pipeline while another execution deploys.",
        "slipway.tasks.in_flight",
        "in_flight",
    ),
    _rehearsal("permissions", JUDGE, "Take each permission of each function away: a test has to fail."),
    _rehearsal("status", LOOK, "Say what runs on this machine."),
    _rehearsal("logs", LOOK, "Print what the functions of a service wrote, oldest first."),
    _rehearsal("call", LOOK, "Call a route with the signature, API key or token that it wants."),
    _rehearsal("dashboards", LOOK, "Draw the dashboards into docs/images."),
    _rehearsal("detectability", LOOK, "Say what the configured canaries see of a failing version."),
    _rehearsal("substitutions", LOOK, "Print what stands in for AWS on this machine, as Markdown."),
    _rehearsal("faults", LOOK, "Print what can go wrong in a rehearsal, as Markdown."),
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
        "Compare the memory of each function with what it used.",
        "slipway.sizing.command",
        "right_size",
        "rehearsal",
    ),
    Verb(
        "drift",
        LOOK,
        "Compare what is deployed with the templates, and name what was changed by hand.",
        "slipway.drift.command",
        "drift",
    ),
    Verb("build", PREPARE, "Build the assets into build/assets.", "slipway.build", "build_assets"),
    Verb(
        "bootstrap",
        PREPARE,
        "Print the commands that prepare the accounts, and write the policies they name.",
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
        "Put what the later builds of the pipeline run into build/handover.",
        "slipway.tasks.handover",
        "fill",
    ),
    Verb(
        "publish",
        PREPARE,
        "Keep the reports of the pipeline's build where an approver can open them.",
        "slipway.tasks.publish",
        "publish_reports",
    ),
    Verb(
        "docs",
        PREPARE,
        "Write the documents that follow from code and configuration.",
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
    Verb("init", PREPARE, "Write a new app around the tool.", "slipway.scaffold.command", "init"),
    Verb("service", PREPARE, "Add a service, or remove one.", "slipway.scaffold.command", "app"),
)
"""In the order in which the help shows them."""


def commands_of(root: Path, service: str) -> frozenset[str]:
    """Return the names of the commands that a service brings along.

    Args:
        root: the project.
        service: its name.

    Returns:
        Names as they are typed, of the functions that `app.command` decorates; empty if it brings none.
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
    """Yield the services of a project that have commands of their own.

    Args:
        root: the project.
    """
    for file in sorted((root / "services").glob(f"*/{COMMANDS}")):
        docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"), str(file))) or ""
        name = file.parent.name
        yield Verb(name, SERVICES, docstring.partition("\n")[0], f"services.{name}.{file.stem}", "app")
