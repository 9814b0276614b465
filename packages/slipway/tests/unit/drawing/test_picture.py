"""The picture shows the pipeline that a template defines: every stage and action, by the order in which they run."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.drawing.draw import WIDTH, draw
from slipway.drawing.model import Action, Stage
from slipway.drawing.read import PictureError, read_pipeline

SVG = "{http://www.w3.org/2000/svg}"


def action(name: str, order: int, **more: Any) -> dict[str, Any]:
    kind = {"Category": "Build", "Provider": "CodeBuild"}
    return {"Name": name, "RunOrder": order, "ActionTypeId": kind, **more}


def template(folder: Path, *stages: dict[str, Any]) -> Path:
    path = folder / "Pipeline.template.json"
    resource = {"Type": "AWS::CodePipeline::Pipeline", "Properties": {"Stages": list(stages)}}
    path.write_text(json.dumps({"Resources": {"Other": {"Type": "AWS::S3::Bucket"}, "P": resource}}), encoding="utf-8")
    return path


def parsed(*stages: Stage) -> ElementTree.Element:
    """The list as a strict reader of XML has it."""
    return ElementTree.fromstring(str(draw(stages)))  # noqa: S314  # nosec B314  # drawn here


def texts(element: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in element.iter("text")]


# Reading


def test_what_has_one_run_order_is_a_row(tmp_path: Path) -> None:
    path = template(
        tmp_path,
        {"Name": "Source", "Actions": [action("Code", 1)]},
        {"Name": "dev", "Actions": [action("c", 3), action("a", 1), action("b", 3), action("default", 1)]},
    )

    source, dev = read_pipeline(path)

    assert [each.name for each in source.rows[0]] == ["Code"]
    assert [[each.name for each in row] for row in dev.rows] == [["a", "default"], ["c", "b"]]


def test_action_says_its_role_place_and_timeout(tmp_path: Path) -> None:
    arn = {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":iam::333333333333:role/deploy"]]}
    path = template(tmp_path, {"Name": "prod", "Actions": [action("a", 1, RoleArn=arn, TimeoutInMinutes=60)]})

    (stage,) = read_pipeline(path)

    assert stage.rows[0][0].detail == "Build by CodeBuild, in account 333333333333, times out after 60 minutes"


def test_conditions_are_said(tmp_path: Path) -> None:
    def condition(provider: str, **configuration: str) -> dict[str, Any]:
        rule = {"Name": "Rule", "RuleTypeId": {"Provider": provider}, "Configuration": configuration}
        return {"Conditions": [{"Result": "ROLLBACK", "Rules": [rule]}]}

    path = template(
        tmp_path,
        {
            "Name": "prod",
            "Actions": [],
            "BeforeEntry": condition("DeploymentWindow", Cron="* * 8-16 ? * MON", TimeZone="UTC"),
            "OnSuccess": condition("CloudWatchAlarm", WaitTime="30"),
            "OnFailure": {"Result": "RETRY", "Conditions": []},
        },
        {"Name": "other", "Actions": [], "OnSuccess": condition("LambdaInvoke")},
    )

    prod, other = read_pipeline(path)

    assert prod.before == ("entered within * * 8-16 ? * MON (UTC), else rollback",)
    assert prod.after == ("succeeds after 30 minutes without an alarm, else rollback", "on failure: retry")
    assert other.after == ("succeeds if Rule holds, else rollback",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is damaged"),
        ("{}", "is damaged (Resources: Field required)"),
        ('{"Resources": {}}', "contains 0 pipelines, not one"),
        ('{"Resources": {"P": {"Type": "AWS::CodePipeline::Pipeline"}}}', "is damaged (Stages: Field required)"),
    ],
)
def test_undrawable_template_is_one_line_with_its_name(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "Pipeline.template.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(PictureError) as raised:
        read_pipeline(path)

    assert "Pipeline.template.json" in str(raised.value)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_template_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"none\.json is missing"):
        read_pipeline(tmp_path / "none.json")


# Drawing


def test_every_stage_is_a_numbered_picture_with_its_actions() -> None:
    deploy = tuple(Action(name=f"prod-{service}.data.Deploy") for service in ("items", "ingest"))
    found = parsed(
        Stage(name="Source", rows=((Action(name="Code"),),)),
        Stage(name="prod-services", rows=(deploy, (Action(name="Protect"),)), after=("on failure: rollback",)),
    )

    first, second = found.iter("svg")
    assert texts(first) == ["1 Source", "Code"]
    assert texts(second) == [
        *("2 prod-services", "on failure: rollback", "items.data", "Deploy", "ingest.data", "Deploy", "Protect"),
    ]
    assert "prod-items.data.Deploy, prod-ingest.data.Deploy; then Protect" in second.attrib["aria-label"]


def test_parallel_actions_are_drawn_side_by_side() -> None:
    rows = ((Action(name="a"), Action(name="b")), (Action(name="c"),))

    a, b, c = [rect for rect in parsed(Stage(name="s", rows=rows)).iter("rect") if rect.attrib["class"] == "chip"]

    assert a.attrib["y"] == b.attrib["y"]
    assert float(a.attrib["x"]) + float(a.attrib["width"]) < float(b.attrib["x"])
    assert float(c.attrib["y"]) >= float(a.attrib["y"]) + float(a.attrib["height"])


def test_how_it_ended_is_shown() -> None:
    failed = Action(name="a", detail="CodeBuild in tools", status="Failed")

    html = str(draw([Stage(name="s", rows=((failed,),), status="Failed")]))

    assert "1 s ✗" in html
    assert '<g class="action Failed"><title>a: CodeBuild in tools</title>' in html


_NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=60)
_ACTIONS = st.builds(Action, name=_NAMES, detail=_NAMES)
_STAGES = st.builds(
    Stage,
    name=_NAMES,
    rows=st.lists(st.lists(_ACTIONS, min_size=1, max_size=9).map(tuple), max_size=5).map(tuple),
    before=st.lists(_NAMES, max_size=2).map(tuple),
    after=st.lists(_NAMES, max_size=2).map(tuple),
)


@given(st.lists(_STAGES, max_size=4))
def test_cards_never_lose_or_overlap_text(stages: list[Stage]) -> None:
    found = parsed(*stages)

    cards = list(found.iter("svg"))
    assert len(cards) == len(stages)
    for card, stage in zip(cards, stages, strict=True):
        _, _, width, height = map(float, card.attrib["viewBox"].split())
        chips = [rect.attrib for rect in card.iter("rect") if rect.attrib["class"] == "chip"]
        boxes = [tuple(float(chip[key]) for key in ("x", "y", "width", "height")) for chip in chips]
        assert len(chips) == sum(map(len, stage.rows))
        assert width == WIDTH
        for place, (x, y, wide, high) in enumerate(boxes):
            assert 0 <= x < x + wide <= width
            assert 0 < y < y + high <= height
            for left, top, other, _ in boxes[:place]:
                assert top < y or left + other <= x + 0.2
        titles = [title.text or "" for title in card.iter("title")]
        for row in stage.rows:
            for each in row:
                assert f"{each.name}: {each.detail}" in titles


def test_a_name_is_text_and_no_markup() -> None:
    html = str(draw([Stage(name="<b>&", rows=((Action(name="<i>.<u>"),),))]))

    assert not re.search(r"<[biu]>", html)
    assert "<b>&" in unescape(html)
