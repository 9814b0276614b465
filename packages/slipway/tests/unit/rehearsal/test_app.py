"""The file with which users extend the rehearsal of an app."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.emulator.stages import substitute
from slipway.emulator.substitutions import SUBSTITUTIONS, TemplatePlace
from slipway.errors import RehearsalError
from slipway.rehearsal.app import FILE, App

ADDED = """
[seed]
assemblies = ["setup.out"]

[[seed.calls]]
account = "111111111111"
service = "secretsmanager"
operation = "create_secret"
parameters = { Name = "token", SecretString = "x" }

[[rows]]
type = "AWS::Synthetics::Canary"
unproven = "that the canary runs"
references = { Ref = "${AWS::StackName}-${LogicalId}", Id = "id" }

[[requests]]
function = "app-Orders*"
file = "orders.json"
"""


def test_an_app_needs_no_file(tmp_path: Path) -> None:
    app = App.read(tmp_path)

    assert (app.assembly, app.requests_of("any")) == (tmp_path / "cdk.out", [])
    assert tuple(app.rows) == SUBSTITUTIONS


def test_seeds_rows_and_requests_are_read(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(ADDED, encoding="utf-8")
    (tmp_path / "orders.json").write_text('[{"path": "/orders"}]', encoding="utf-8")

    app = App.read(tmp_path)

    assert app.seed.assemblies == (str(tmp_path / "setup.out"),)
    assert [call.operation for call in app.seed.calls] == ["create_secret"]
    assert app.requests_of("app-Orders1A2B") == [{"path": "/orders"}]
    assert app.requests_of("app-Other") == []


def test_a_users_row_replaces_a_type(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(ADDED, encoding="utf-8")
    (tmp_path / "orders.json").write_text("[]", encoding="utf-8")
    template = {
        "Resources": {
            "Canary": {"Type": "AWS::Synthetics::Canary"},
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "Canary"}}},
        }
    }

    changed, used = substitute(template, TemplatePlace(plain_port=1), stack="app", rows=App.read(tmp_path).rows)

    assert changed["Resources"] == {
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::Sub": "${AWS::StackName}-Canary"}}}
    }
    assert [row.subject for row in used] == ["AWS::Synthetics::Canary"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seed = 1", "seed: Input should be"),
        ("[[rows]]\ntype = 'AWS::X'", r"rows\.0\.unproven: Field required"),
        ("[[requests]]\nfunction = 'a'\nfile = 'none.json'", r"none\.json is not a list of events"),
        ("[", "Invalid initial character"),
        ("color = 'red'", "color: Extra inputs"),
    ],
)
def test_an_error_in_the_file_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / FILE).write_text(text, encoding="utf-8")

    with pytest.raises(RehearsalError, match=says):
        App.read(tmp_path)
