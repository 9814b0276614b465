"""Revisions of an app that uses nothing of this project: its own lock files, `cdk.json` and command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from slipway.review.outcome import ReviewOutcome
from slipway.review.run import review
from slipway.revisions.errors import SynthesisError
from slipway.revisions.recipes import Recipe
from unit.review.assemblies import resource

pytestmark = pytest.mark.programs


NOW = datetime(2026, 11, 20, tzinfo=UTC)

# An app in a custom language: it writes what `content.json` says, as the CDK library would
APP = """
import json, os, sys
from pathlib import Path
content = json.loads(Path("content.json").read_text())
if "fails" in content:
    print("Error: " + content["fails"], file=sys.stderr)
    print("    at Object.<anonymous> (/app/main.ts:1:1)", file=sys.stderr)
    print("Node.js v24.0.0", file=sys.stderr)
    sys.exit(1)
out = Path(content.get("outdir") or os.environ["CDK_OUTDIR"])
out.mkdir(parents=True, exist_ok=True)
context = json.loads(os.environ["CDK_CONTEXT_JSON"]) if "CDK_CONTEXT_JSON" in os.environ else \\
    json.loads(Path(os.environ["CONTEXT_OVERFLOW_LOCATION"]).read_text())
if "topic" in context:
    content["resources"]["Topic"] = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": context["topic"]}}
if Path("node_modules/version").exists():
    content["resources"]["Packages"] = {
        "Type": "AWS::SSM::Parameter", "Properties": {"Value": Path("node_modules/version").read_text()}
    }
(out / "svc.template.json").write_text(json.dumps({"Resources": content["resources"]}))
manifest = {"version": "31.0.0", "artifacts": {"svc": {
    "type": "aws:cloudformation:stack", "environment": "aws://unknown-account/unknown-region",
    "properties": {"templateFile": "svc.template.json"}}}}
(out / "manifest.json").write_text(json.dumps(manifest))
sys.exit(content.get("code", 0))
"""

TABLE = {"Table": resource("AWS::DynamoDB::Table")}
OTHER = {"Table": resource("AWS::DynamoDB::Table", {"TableName": "other"})}


class App:
    """A repository with its app in a subfolder."""

    def __init__(self, root: Path, folder: str = "infra") -> None:
        self.root, self.folder = root, root / folder
        self.folder.mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch", "main")
        (self.folder / "main.txt").write_text(APP, encoding="utf-8")
        self.write("cdk.json", {"app": f"{sys.executable} main.txt"})
        (root / ".gitignore").write_text("node_modules\ncdk.out\n", encoding="utf-8")

    def write(self, name: str, content: Any) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        (self.folder / name).write_text(text, encoding="utf-8")

    def deploys(self, resources: dict[str, Any], **options: Any) -> None:
        self.write("content.json", {"resources": resources, **options})

    def commit(self) -> str:
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", "a change")
        return self._git("rev-parse", "HEAD")

    def status(self) -> str:
        return self._git("status", "--porcelain", "--ignored")

    def _git(self, *arguments: str) -> str:
        names = ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL")
        dates = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "2026-11-01T12:00:00Z")
        env = {**os.environ, **dict.fromkeys(names, "somebody"), **dates, "GIT_CONFIG_GLOBAL": "/dev/null"}
        command = ["git", "-C", str(self.root), *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = App(tmp_path / "repository")
    found.deploys(TABLE)
    found.commit()
    return found


def _review(app: App, *arguments: str, **options: Any) -> ReviewOutcome:
    return review(*arguments, project=app.folder, env={}, now=NOW, **options)


def _ids(outcome: ReviewOutcome) -> list[str]:
    return [finding.id for finding in outcome.comparison.findings]


def test_two_commits_are_synthesised_as_the_cli_would(app: App) -> None:
    app.deploys(OTHER)
    app.commit()
    before = app.status()

    outcome = _review(app, "HEAD~1", "HEAD")

    assert outcome.red
    assert "stateful-replaced:svc/Table" in _ids(outcome)
    # And the working tree is unchanged, including ignored files
    assert app.status() == before


def test_the_working_tree_is_compared_with_its_commit(app: App) -> None:
    app.deploys(OTHER)

    assert "stateful-replaced:svc/Table" in _ids(_review(app))


def test_long_context_of_cdk_json_reaches_the_app(app: App) -> None:
    app.write("cdk.json", {"app": f"{sys.executable} main.txt", "context": {"topic": "a", "long": "x" * 200_000}})
    app.write("cdk.context.json", {"zone": "looked up"})

    outcome = _review(app, "HEAD")

    assert [
        str(change.resource) for stage in outcome.comparison.stages for one in stage.stacks for change in one.changes
    ] == ["svc/Topic"]


def test_a_custom_command_synthesises_each_revision(app: App) -> None:
    # Given an app without a cdk.json that writes to another folder, and exits with an error of its rule packs
    (app.folder / "cdk.json").unlink()
    app.deploys(TABLE, outdir="cdk.out", code=1)
    app.commit()
    app.deploys(OTHER, outdir="cdk.out", code=1)
    app.commit()
    said: list[str] = []

    outcome = _review(app, "HEAD~1", "HEAD", recipe=Recipe(command=f"{sys.executable} main.txt"), say=said.append)

    assert "stateful-replaced:svc/Table" in _ids(outcome)
    assert any("ended with exit code 1, and wrote its assembly" in line for line in said)


def test_an_assembly_of_an_earlier_run_is_not_used(app: App) -> None:
    app.deploys(TABLE, outdir="cdk.out")
    _review(app, "HEAD")
    for file in (app.folder / "cdk.out").iterdir():
        os.utime(file, (0, 0))
    app.deploys(TABLE, fails="no such stack")

    with pytest.raises(SynthesisError, match=r"the working tree: it does not synthesise \(.*\): Error: no such stack"):
        _review(app, "HEAD")


def test_a_project_without_a_command_is_reported(app: App) -> None:
    app.write("cdk.json", {})
    with pytest.raises(SynthesisError, match="names no app: name the project's command with --synth"):
        _review(app, "HEAD")

    (app.folder / "cdk.json").unlink()
    with pytest.raises(SynthesisError, match=r"cdk.json is missing: name the project's folder with --project"):
        _review(app, "HEAD")


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a fake npm that installs what the lock file says, and records its arguments."""
    tools = tmp_path / "tools"
    tools.mkdir()
    log = tmp_path / "npm.log"
    script = f'#!/bin/sh\necho "$@" >> {log}\nmkdir node_modules && cat package-lock.json > node_modules/version\n'
    (tools / "npm").write_text(script, encoding="utf-8")
    (tools / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    return log


def test_each_revision_gets_the_packages_that_it_locks(app: App, npm: Path) -> None:
    # Given a revision with packages, and a working tree with the next revision's packages installed
    for version in ("one", "two"):
        app.write("package.json", "{}")
        app.write("package-lock.json", version)
        app.commit()
    (app.folder / "node_modules").mkdir()
    app.write("node_modules/version", "two")

    outcome = _review(app, "HEAD~1", "HEAD")

    # Then only the older packages are installed again, and each revision is synthesised with its own
    assert npm.read_text(encoding="utf-8").splitlines() == ["ci --no-audit --no-fund"]
    (changed,) = (change for stage in outcome.comparison.stages for one in stage.stacks for change in one.changes)
    assert changed.resource == "svc/Packages"
    assert (app.folder / "node_modules" / "version").read_text(encoding="utf-8") == "two"


def test_packages_that_cannot_be_installed_are_reported(app: App, npm: Path) -> None:
    app.write("package-lock.json", "one")
    app.commit()
    (npm.parent / "tools" / "npm").write_text("#!/bin/sh\necho nothing is there >&2; exit 1\n")

    with pytest.raises(
        SynthesisError, match=r"its packages cannot be installed \(package-lock.json\): nothing is there"
    ):
        _review(app, "HEAD~1", "HEAD")


def test_foreign_app_gets_no_special_treatment(app: App) -> None:
    # Given an app with its own app.py and Makefile
    (app.folder / "Makefile").write_text("build:\n\tfalse\n", encoding="utf-8")
    (app.folder / "app.py").write_text("raise SystemExit(1)", encoding="utf-8")

    assert _review(app, "HEAD").comparison.is_empty
