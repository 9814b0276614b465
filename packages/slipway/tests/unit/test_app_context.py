"""CDK's feature flags come with the tool, and an app may say otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipway import app

FLAG = "@aws-cdk/core:enablePartitionLiterals"


@pytest.mark.parametrize(
    ("cdk_json", "flag", "topic"),
    [({}, True, None), ({"context": {FLAG: False, "topic": "a"}}, False, "a")],
)
def test_an_app_overrides_a_flag_and_adds_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cdk_json: dict[str, object], flag: bool, topic: str | None
) -> None:
    monkeypatch.setattr(app, "CDK_JSON", tmp_path / "cdk.json")
    app.CDK_JSON.write_text(json.dumps(cdk_json), encoding="utf-8")

    context = app.context()

    assert context[FLAG] is flag
    assert context.get("topic") == topic
    assert all(name.startswith("@aws-cdk") for name in context if name != "topic")
