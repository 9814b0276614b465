"""AWS's SDK for JavaScript: which packages functions load, and how an old one finds the endpoint."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from slipway.rehearsal.player.builds import NODE
from slipway.rehearsal.sdk import ENDPOINT, find_packages

FUNCTION = {"Type": "AWS::Lambda::Function", "Properties": {"Runtime": "nodejs14.x"}}


def test_packages_are_those_that_functions_load(tmp_path: Path) -> None:
    # Given an assembly whose code is a folder and a zip, with bundled packages
    (tmp_path / "asset.one" / "node_modules").mkdir(parents=True)
    (tmp_path / "asset.one" / "index.mjs").write_text('import { S3 } from "@aws-sdk/client-s3";', encoding="utf-8")
    (tmp_path / "asset.one" / "node_modules" / "x.js").write_text('require("@aws-sdk/client-sqs")', encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "asset.two.zip", "w") as packed:
        packed.writestr("index.js", "const c = require('@aws-sdk/client-lambda')")
    artifact = {"type": "aws:cloudformation:stack", "properties": {"templateFile": "App.json"}}
    (tmp_path / "manifest.json").write_text(json.dumps({"artifacts": {"App": artifact}}), encoding="utf-8")
    call = {"Type": "Custom::AWS", "Properties": {"Create": '{"service":"@aws-sdk/client-ssm"}'}}
    resources = {"It": FUNCTION, "Call": call}
    (tmp_path / "App.json").write_text(json.dumps({"Resources": resources}), encoding="utf-8")

    # Then the loaded packages are found, and the old SDK for a function on an old Node.js
    assert find_packages(tmp_path) == {
        "@aws-sdk/client-lambda",
        "@aws-sdk/client-s3",
        "@aws-sdk/client-ssm",
        "aws-sdk",
    }


@pytest.mark.programs
def test_an_old_sdk_learns_the_endpoint(tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / "aws-sdk"
    package.mkdir(parents=True)
    text = "exports.config = { update(more) { Object.assign(this, more); } };"
    (package / "index.js").write_text(text, encoding="utf-8")

    said = subprocess.run(
        [str(NODE / "bin" / "node"), "--require", str(ENDPOINT), "-p", "require('aws-sdk').config.endpoint"],
        cwd=tmp_path,
        env={"PATH": os.defpath, "AWS_ENDPOINT_URL": "https://localhost:4566"},
        check=True,
        capture_output=True,
        text=True,
    )

    assert said.stdout.strip() == "https://localhost:4566"
