"""References between stacks of two regions."""

from collections.abc import Iterator

import pytest
from ministack.core.responses import get_region, set_request_region
from ministack.services.cloudformation import _stacks, engine

from slipway.emulator.extensions import outputs

NAME = "dev-orders-edge"
REFERENCE = {"Fn::GetStackOutput": {"StackName": NAME, "Region": "us-east-1", "OutputName": "Arn"}}


@pytest.fixture
def _there(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Create a stack in us-east-1 that is read from eu-west-1."""
    monkeypatch.setattr(engine, "_resolve_refs", engine._resolve_refs)
    outputs.install()
    set_request_region("us-east-1")
    _stacks[NAME] = {"Outputs": [{"OutputKey": "Arn", "OutputValue": "arn:it"}]}
    set_request_region("eu-west-1")
    yield
    set_request_region("us-east-1")
    del _stacks[NAME]
    set_request_region(None)


@pytest.mark.usefixtures("_there")
def test_an_output_of_another_region_is_read() -> None:
    assert engine._resolve_refs({"Acl": [REFERENCE]}, {}, {}, {}, {}, "dev-orders", "id") == {"Acl": ["arn:it"]}
    assert get_region() == "eu-west-1"


@pytest.mark.usefixtures("_there")
def test_an_unknown_output_of_another_region_is_refused() -> None:
    missing = {"Fn::GetStackOutput": {**REFERENCE["Fn::GetStackOutput"], "OutputName": "Other"}}
    with pytest.raises(ValueError, match="Other"):
        engine._resolve_refs(missing, {}, {}, {}, {}, "dev-orders", "id")
    assert get_region() == "eu-west-1"
