"""An app that does not use this tool: CDK's defaults, outputs as variables, a canary without contract checks."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

from slipway.errors import RehearsalError
from slipway.rehearsal import verbs
from slipway.rehearsal.app import FILE, App
from slipway.rehearsal.app_rehearsal import AppOptions, AppRehearsed, rehearse_app
from slipway.rehearsal.player.approvals import ApprovalAnswer
from slipway.rehearsal.player.records import PlayStatus
from slipway.rehearsal.show import Show

APP = """
import sys
import aws_cdk as cdk
from aws_cdk import aws_cloudwatch, aws_codecommit, aws_codedeploy, aws_lambda, pipelines

class Service(cdk.Stage):
    def __init__(self, scope, name, account):
        super().__init__(scope, name, env=cdk.Environment(account=account, region="eu-west-1"))
        stack = cdk.Stack(self, "App")
        code = aws_lambda.Code.from_inline(sys.argv[1])
        function = aws_lambda.Function(
            stack, "Orders", code=code, handler="index.handler", runtime=aws_lambda.Runtime.PYTHON_3_12
        )
        alias = function.add_alias("live")
        alarm = alias.metric_errors(period=cdk.Duration.minutes(1)).create_alarm(
            stack, "Errors", threshold=1, evaluation_periods=1
        )
        aws_codedeploy.LambdaDeploymentGroup(
            stack, "Group", alias=alias, alarms=[alarm],
            deployment_config=aws_codedeploy.LambdaDeploymentConfig.CANARY_10_PERCENT_5_MINUTES,
        )
        self.name = cdk.CfnOutput(stack, "FunctionName", value=function.function_name)

app = cdk.App(outdir=sys.argv[2])
env = cdk.Environment(account="444444444444", region="eu-west-1")
stack = cdk.Stack(app, "Delivery", env=env)
source = pipelines.CodePipelineSource.code_commit(aws_codecommit.Repository(stack, "R", repository_name="r"), "main")
pipeline = pipelines.CodePipeline(
    stack, "Pipeline", self_mutation=False, cross_account_keys=True,
    synth=pipelines.ShellStep("Synth", input=source, commands=["ls cdk.out"]),
)
dev = Service(pipeline.node.scope, "Dev", "111111111111")
pipeline.add_stage(dev, post=[pipelines.ShellStep(
    "Look", env_from_cfn_outputs={"NAME": dev.name}, commands=["echo function $NAME", 'test -n "$NAME"']
)])
pipeline.add_stage(Service(pipeline.node.scope, "Prod", "222222222222"), pre=[pipelines.ManualApprovalStep("Ask")])
app.synth()
"""

SOUND = "def handler(event, context):\n    return 'fine'\n"
BROKEN = "def handler(event, context):\n    raise RuntimeError('broken')\n"


def _commit(folder: Path, code: str) -> None:
    subprocess.run([sys.executable, "app.py", code, "cdk.out"], cwd=folder, check=True, capture_output=True)
    for command in (("add", "--all"), ("commit", "--quiet", "--message", "A change")):
        identity = ("-c", "user.name=x", "-c", "user.email=x@localhost")
        subprocess.run(["git", *identity, *command], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> AppRehearsed:
    """Rehearse a healthy commit, then one whose function fails."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "app.py").write_text(APP, encoding="utf-8")
    (folder / "orders.json").write_text(json.dumps([{"order": 1}, {"order": 2}]), encoding="utf-8")
    requests = '[[requests]]\nfunction = "Dev-App-Orders*"\nfile = "orders.json"\n'
    (folder / FILE).write_text(requests, encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", "."], cwd=folder, check=True)
    _commit(folder, SOUND)
    app = App.read(folder)
    launched = folder.parent / "launched"
    (folder / "cdk.out").rename(launched)
    _commit(folder, BROKEN)
    options = AppOptions(folder.parent / "home", revisions=("HEAD~1", "HEAD"))
    app = App(app.folder, launched, requests=app.requests)
    with (folder.parent / "shown.txt").open("w", encoding="utf-8") as shown:
        show = Show(Console(file=shown, width=160))
        with ThreadPoolExecutor(1) as pool:
            # The answer comes from another process, as with `slipway approve`
            over = threading.Event()
            answers = pool.submit(_approve, app, options.home, over)
            try:
                return rehearse_app(app, options, show=show, ask=lambda _: None)
            finally:
                over.set()
                assert answers.result() == ["Prod/Ask"]


def _approve(app: App, home: Path, over: threading.Event) -> list[str]:
    """Approve every waiting approval until the rehearsal is over."""
    answered = []
    while not over.wait(0.5):
        with suppress(RehearsalError):
            answered.append(verbs.answer(verbs.running_app(app, home), ApprovalAnswer.APPROVED, "looks good"))
    return answered


def test_a_commit_is_delivered_to_every_account(rehearsed: AppRehearsed) -> None:
    run = rehearsed.runs[0]
    assert (run.record.verdict.split(" in ")[0], run.record.delivered) == (
        f"delivered {run.record.commit[:12]} to Prod",
        True,
    )
    accounts = {action.account for stage in run.record.executions[-1].stages for action in stage.actions}
    assert accounts == {"tools", "Delivery-Dev", "Delivery-Prod"}


def test_a_failing_version_is_rolled_back_by_its_canary(rehearsed: AppRehearsed) -> None:
    last = rehearsed.runs[1].record.executions[-1]
    assert last.stopped is not None
    assert last.stopped.name == "Dev"
    (deployment,) = [each for action in last.stopped.actions for each in action.deployments]
    assert deployment.status is PlayStatus.FAILED
    assert deployment.failed_new == deployment.met_new > 0
    assert "Errors became active in minute" in deployment.reason
