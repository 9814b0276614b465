"""A pipeline run by the player, and a boto3 client connected to its API."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from slipway.emulator.partition import ApiError, Requester
from slipway.rehearsal.player.approvals import Approvals
from slipway.rehearsal.player.pipeline_api import PipelineApi
from slipway.rehearsal.player.records import Execution
from slipway.rehearsal.player.source import Commit
from unit.rehearsal.aws import PROD, TOOLS
from unit.rehearsal.player.pipelines import approval, build, deploy, pipeline, prepare, stage
from unit.rehearsal.player.stage import FRIDAY, Does, Play

STAGES = ("prod-foundation", "prod-services-1", "prod-services-2")
ENVIRONMENTS = ("dev", "prod", "prod-eu")


class _Body(io.BytesIO):
    def stream(self, **_: Any) -> list[bytes]:
        return [self.read()]


class Delivered:
    """A pipeline with three stages of prod, and one of an environment whose name starts with prod's.

    Args:
        folder: Working folder.
        does: Functions that actions call, by the action's name.
    """

    def __init__(self, folder: Path, does: Mapping[str, Does] | None = None) -> None:
        deploying = [
            stage(name, prepare(name, account=PROD), deploy(name, account=PROD)) for name in (*STAGES, "prod-eu-items")
        ]
        stages = (stage("Build", build()), stage("prod-approval", approval()), *deploying)
        self.play = Play(folder, pipeline(*stages), does)
        self.asked: list[str] = []
        self.api = PipelineApi(
            self.play.memory, Approvals(lambda _: None, self.play.stopping), lambda *_: True, roll_back=self._roll_back
        )
        session = boto3.Session(aws_access_key_id=TOOLS, aws_secret_access_key="none", region_name="us-east-1")
        self.client = session.client("codepipeline")
        self.client.meta.events.register("before-send.codepipeline.*", self._answer)
        self.name = self.play.memory.definition.name
        self._days = 0

    def deliver(self, commit: str) -> Execution:
        """Deliver a commit, one day after the previous one."""
        self._days += 1
        made = Commit(Path("repository"), commit * 40, "main", f"Change {commit}", "2026-11-20T14:00:00+00:00")
        return self.play.player.play(made, FRIDAY + timedelta(days=self._days))[-1]

    def _roll_back(self, name: str, target: str) -> str:
        self._days += 1
        return self.play.player.roll_back(name, target, FRIDAY + timedelta(days=self._days))

    def _answer(self, request: Any, **_: Any) -> Any:
        operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        self.asked.append(operation)
        try:
            status, answer = 200, self.api(operation, json.loads(request.body), Requester(TOOLS, TOOLS))
        except ApiError as error:
            status, answer = 400, {"__type": error.code, "message": str(error)}
        return AWSResponse(request.url, status, HTTPHeaders(), _Body(json.dumps(answer).encode()))
