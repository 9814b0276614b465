"""Tests have no credentials, even in a pipeline's build, which has its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from slipway.project import ROOT

pytestmark = pytest.mark.programs


OF_A_BUILD = {
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/x",
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "CODEBUILD_BUILD_ID": "a:1",
}

OF_A_HOOK = {"GIT_DIR": "/nowhere/.git", "GIT_INDEX_FILE": "/nowhere/.git/index", "GIT_WORK_TREE": "/nowhere"}
"""Variables that git sets for a pre-commit hook: https://git-scm.com/docs/githooks."""


def test_no_variable_of_an_account_is_seen() -> None:
    seen = {name for name in os.environ if name.startswith(("AWS_", "CODEBUILD_"))}
    assert seen == {"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED"}
    assert boto3.Session().get_credentials() is None


def test_no_variable_of_a_repository_is_seen(tmp_path: Path) -> None:
    for command in ("init", "status"):
        subprocess.run(["git", command], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / ".git").is_dir()


@pytest.mark.parametrize(
    ("variables", "test"),
    [
        pytest.param(OF_A_BUILD, test_no_variable_of_an_account_is_seen, id="build"),
        pytest.param(OF_A_HOOK, test_no_variable_of_a_repository_is_seen, id="hook"),
    ],
)
def test_builds_and_hooks_run_the_same_tests(variables: dict[str, str], test: Callable[..., None]) -> None:
    # Given the variables of a build, or of a hook
    environ = {**os.environ, **variables}
    # When one of the tests above is run with them
    this = f"{Path(__file__).relative_to(ROOT)}::{test.__name__}"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", this]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    # Then it passes
    assert done.returncode == 0, done.stdout
