"""Each tool's version is defined once: the pipeline installs what this machine runs."""

from __future__ import annotations

import json
import re

from slipway import project
from slipway.delivery import toolchain

ROOT = project.ROOT


def test_the_pipeline_uses_the_versions_of_package_json() -> None:
    pinned = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["devDependencies"]

    assert pinned["aws-cdk"] == toolchain.CDK_CLI_VERSION
    assert pinned["cdk-assets"] == toolchain.CDK_ASSETS_VERSION
    # Exact versions, never ranges
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in pinned.values())


def test_the_lock_holds_the_same_versions_and_no_address() -> None:
    pinned = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    lock = (ROOT / "package-lock.json").read_text(encoding="utf-8")
    packages = json.loads(lock)["packages"]

    for name, version in pinned.items():
        assert packages[f"node_modules/{name}"]["version"] == version
        assert "integrity" in packages[f"node_modules/{name}"]
    assert "resolved" not in lock


def test_python_locks_are_hashed_and_name_no_host() -> None:
    locks = sorted((ROOT / "requirements").glob("*.txt"))

    assert locks
    for path in locks:
        text = path.read_text(encoding="utf-8")
        assert "--hash=sha256:" in text, path.name
        assert "://" not in text, path.name
        assert "--index-url" not in text, path.name
