"""The package's wheel contains every file that the tool reads, and its extras match the tested versions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from slipway.cli.verbs import VERBS
from slipway.project import ROOT

PACKAGE = ROOT / "packages" / "slipway"
SOURCE = PACKAGE / "src"

WITHOUT_CDK = """
import sys
sys.modules.update(dict.fromkeys(["aws_cdk", "cdk_nag", "constructs", "jsii", "slipway_runtime"]))
import slipway
from slipway.cli import main
assert slipway.__file__.startswith(sys.argv[1]), slipway.__file__
sys.exit(main(sys.argv[2:]))
"""
"""Runs the command line where neither CDK nor the functions' runtime can be imported."""


def _project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "uv", "build", "--quiet", "--offline", "--wheel", "--out-dir", str(folder)]
    subprocess.run([*command, str(PACKAGE)], check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the wheel into a folder without anything of the repository."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def _assembly(folder: Path, *, keeps_table: bool) -> Path:
    """Write an assembly with one stack, which has a table or only a harmless resource."""
    resource: dict[str, Any] = {
        "Type": "AWS::DynamoDB::Table" if keeps_table else "AWS::CloudFormation::WaitConditionHandle"
    }
    if keeps_table:
        resource |= {"Properties": {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}}
    stack = {
        "type": "aws:cloudformation:stack",
        "environment": "aws://111122223333/eu-west-1",
        "properties": {"templateFile": "Shop.template.json"},
        "displayName": "Shop",
    }
    folder.mkdir()
    template = {"Resources": {"Orders": resource}}
    (folder / "Shop.template.json").write_text(json.dumps(template), encoding="utf-8")
    manifest = {"version": "36.0.0", "artifacts": {"Shop": stack}}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


@pytest.mark.programs
def test_wheel_holds_every_file_of_the_source(wheel: Path) -> None:
    ignored = subprocess.run(
        ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "."],
        cwd=SOURCE,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    files = {path.relative_to(SOURCE).as_posix() for path in (SOURCE / "slipway").rglob("*") if path.is_file()}
    wanted = {file for file in files if "__pycache__" not in file and not file.startswith(tuple(ignored))}
    with zipfile.ZipFile(wheel) as archive:
        assert wanted - set(archive.namelist()) == set()


@pytest.mark.programs
def test_installed_review_needs_no_cdk_and_no_repository(installed: Path, tmp_path: Path) -> None:
    # Given two assemblies of an app that deletes its table, in an otherwise empty folder
    before = _assembly(tmp_path / "before", keeps_table=True)
    after = _assembly(tmp_path / "after", keeps_table=False)
    command = [sys.executable, "-c", WITHOUT_CDK, str(installed), "review", before.name, after.name, "--json", "r.json"]
    environ = {**os.environ, "PYTHONPATH": str(installed)}

    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)

    # Then the review reports the table, and fails
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Orders" in (tmp_path / "r.json").read_text(encoding="utf-8")


def test_extras_require_the_tested_versions() -> None:
    # Given the locked groups, and the requirements of the packages
    groups = _project(ROOT)["dependency-groups"].values()
    tested = {
        found.name: found.specifier
        for group in groups
        for found in (Requirement(entry) for entry in group if isinstance(entry, str))
        if found.specifier
    }
    project = _project(PACKAGE)["project"]
    asked = [project["dependencies"], *project["optional-dependencies"].values()]

    # Then both have the same version specifiers
    for requirement in (Requirement(entry) for entries in asked for entry in entries):
        if requirement.name not in {"slipway", "slipway-runtime"}:
            assert requirement.specifier == tested[requirement.name], requirement.name


def test_verbs_name_existing_extras() -> None:
    extras = _project(PACKAGE)["project"]["optional-dependencies"]
    assert {verb.extra for verb in VERBS if verb.extra} <= extras.keys()
