"""The versions of Python and of the CDK tools, pinned once for this machine and for the pipeline."""

from __future__ import annotations

import json
import tomllib

from slipway.project import ROOT

_PACKAGE = ROOT / "package.json"
_VERSIONS: dict[str, str] = json.loads(_PACKAGE.read_text(encoding="utf-8"))["devDependencies"]

_PROJECT = _PACKAGE.with_name("pyproject.toml")

PYTHON: str = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["requires-python"].removeprefix(">=")
"""Python of every build, the oldest that `pyproject.toml` allows. Without a version CodeBuild uses the default of its
image, 3.14 in `standard:8.0`, which "can change when a previously default version reaches end of life"
(https://docs.aws.amazon.com/codebuild/latest/userguide/available-runtimes.html).
"""

CDK_CLI_VERSION = _VERSIONS["aws-cdk"]
"""Version of the CDK CLI that synthesises, mutates and deploys. The registry's latest version reads only older
assemblies.
"""

CDK_ASSETS_VERSION = _VERSIONS["cdk-assets"]
"""Version of the tool that publishes assets; without a pin the pipeline would install the latest at every run."""

ASSET_SCHEMA = 54
"""Newest schema of an asset manifest that the latest cdk-assets reads: aws-cdk-lib 2.275.0 writes 55.

The two schemas are equivalent (the pipeline's tests compare them), so the pipeline writes this number into the
manifests before it publishes (`slipway.delivery.steps`). `make doctor` reports when it has changed.
"""
