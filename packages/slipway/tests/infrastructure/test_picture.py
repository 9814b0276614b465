"""The picture of the pipeline matches the synthesised pipeline."""

from __future__ import annotations

from infrastructure import synthesis
from infrastructure.matrix import SPECIMEN
from slipway.drawing.draw import draw
from slipway.drawing.read import read_pipeline
from slipway.evidence.collect import PIPELINE_TEMPLATE


def test_every_stage_and_action_is_drawn_in_order() -> None:
    # Given the pipeline of the committed configuration
    template, _, assembly = synthesis.pipeline(SPECIMEN)
    stages = template.only("AWS::CodePipeline::Pipeline")["Stages"]

    # When it is read and drawn
    found = read_pipeline(assembly / PIPELINE_TEMPLATE)
    picture = str(draw(found))

    # Then every action is drawn, in the row of its run order
    assert [stage.name for stage in found] == [stage["Name"] for stage in stages]
    for drawn, stage in zip(found, stages, strict=True):
        orders = {action["Name"]: action["RunOrder"] for action in stage["Actions"]}
        rows = [{orders.pop(action.name) for action in row} for row in drawn.rows]
        assert rows == [{order} for order in sorted({action["RunOrder"] for action in stage["Actions"]})]
        assert not orders
    for environment in SPECIMEN.environments:
        assert f"account {environment.account}" in picture
        if environment.deployment.bake_minutes:
            assert "succeeds after 1 minute without an alarm" in picture
    assert picture.count("<svg ") == len(stages)
