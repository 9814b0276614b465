"""The pipeline as a synthesised template defines it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_pascal

from slipway.assembly.reader import AssemblyError, read_template
from slipway.drawing.model import Action, Stage
from slipway.errors import SlipwayError

_TYPE = "AWS::CodePipeline::Pipeline"
_ROLE = re.compile(r":iam::(\d{12}):role/")


class PictureError(SlipwayError):
    """The pipeline cannot be read from a template. The message is one line that names the file."""


class _Model(BaseModel):
    # Only the parts that are drawn; elsewhere a template may hold references.
    model_config = ConfigDict(frozen=True, alias_generator=to_pascal)


class _Kind(_Model):
    category: str
    provider: str


class _Action(_Model):
    name: str
    action_type_id: _Kind
    run_order: int = 1
    role_arn: Any = None
    timeout_in_minutes: int | None = None

    @property
    def detail(self) -> str:
        account = _ROLE.search(json.dumps(self.role_arn))
        parts = [f"{self.action_type_id.category} by {self.action_type_id.provider}"]
        if account:
            parts.append(f"in account {account[1]}")
        if self.timeout_in_minutes:
            parts.append(f"times out after {self.timeout_in_minutes} minutes")
        return ", ".join(parts)


class _Rule(_Model):
    name: str
    rule_type_id: Mapping[str, Any]
    configuration: Mapping[str, Any] = Field(default_factory=dict)


class _Condition(_Model):
    result: str = "FAIL"
    rules: tuple[_Rule, ...] = ()


class _Conditions(_Model):
    conditions: tuple[_Condition, ...] = ()


class _Failure(_Model):
    result: str = ""


class _Stage(_Model):
    name: str
    actions: tuple[_Action, ...]
    before_entry: _Conditions = _Conditions()
    on_success: _Conditions = _Conditions()
    on_failure: _Failure = _Failure()


class _Properties(_Model):
    stages: tuple[_Stage, ...]


class _Resource(_Model):
    type: str
    properties: dict[str, Any] = Field(default_factory=dict)


class _Template(_Model):
    resources: dict[str, _Resource]


def read_pipeline(template: Path) -> tuple[Stage, ...]:
    """Return the stages of a template's only pipeline.

    Args:
        template: A CloudFormation template, as JSON.

    Raises:
        PictureError: It is missing or damaged, or doesn't contain exactly one pipeline.
    """
    try:
        found = _Template.model_validate(read_template(template))
        pipelines = [
            _Properties.model_validate(resource.properties)
            for resource in found.resources.values()
            if resource.type == _TYPE
        ]
    except AssemblyError as error:
        raise PictureError(str(error)) from None
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in detail["loc"])
        raise PictureError(f"{template} is damaged ({f'{place}: ' if place else ''}{detail['msg']})") from None
    if len(pipelines) != 1:
        raise PictureError(f"{template} contains {len(pipelines)} pipelines, not one")
    return tuple(
        Stage(
            name=stage.name,
            rows=tuple(_rows(stage)),
            before=tuple(_asked("entered", stage.before_entry)),
            after=(
                *_asked("succeeds", stage.on_success),
                *([f"on failure: {stage.on_failure.result.lower()}"] if stage.on_failure.result else []),
            ),
        )
        for stage in pipelines[0].stages
    )


def _rows(stage: _Stage) -> Iterator[tuple[Action, ...]]:
    in_order = sorted(stage.actions, key=lambda action: action.run_order)
    for _, row in groupby(in_order, key=lambda action: action.run_order):
        yield tuple(Action(name=action.name, detail=action.detail) for action in row)


def _asked(when: str, asked: _Conditions) -> Iterator[str]:
    for condition in asked.conditions:
        for rule in condition.rules:
            said = rule.configuration
            if rule.rule_type_id.get("Provider") == "DeploymentWindow":
                what = f"within {said.get('Cron')} ({said.get('TimeZone', 'UTC')})"
            elif "WaitTime" in said:
                what = f"after {said['WaitTime']} minute{'' if said['WaitTime'] == '1' else 's'} without an alarm"
            else:
                what = f"if {rule.name} holds"
            yield f"{when} {what}, else {condition.result.lower()}"
