"""`make destroy` empties and deletes a disposable environment, and leaves nothing of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

import specimen
from slipway.emulator.environment import LocalEnvironment
from slipway.emulator.server import isolate
from slipway.tasks.destruction import Destruction, stack_names
from slipway.testing.emulated import FOLDER

SERVICE = "catalog"


@pytest.fixture(scope="module")
def disposable(project: Path, assembly: Path) -> Iterator[LocalEnvironment]:
    """Deploy an environment for this module, with one service."""
    isolate()
    settings, environment = specimen.SETTINGS, specimen.DEV
    folder = FOLDER / "destroyed"
    LocalEnvironment(environment, settings.pipeline, folder=folder, port=0).stop()
    local = LocalEnvironment(environment, settings.pipeline, folder=folder, port=0, assembly=assembly)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("slipway.project.ROOT", project)
        try:
            local.start()
            local.deploy((SERVICE,), lambda _: nullcontext(lambda _: None))
            yield local
        finally:
            local.stop()


def run(local: LocalEnvironment, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the verb as a person does, with the credentials and the endpoint of the emulated account."""
    command = [sys.executable, "-m", "slipway", "destroy", "--env", local.name, *arguments]
    project = local.assembly.parent
    variables = {**os.environ, **local.emulator.environment(), "SLIPWAY_PROJECT": str(project)}
    return subprocess.run(
        command, cwd=project, env=variables, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


@pytest.mark.requirement("a disposable environment that cannot be deleted")
def test_an_environment_with_data_is_deleted_completely(disposable: LocalEnvironment) -> None:
    # Given a bucket with versions, a delete marker and an unfinished upload, and a bucket with logs
    session, outputs = disposable.emulator.session(), disposable.outputs()[SERVICE]
    s3, bucket, logs = session.client("s3"), outputs["BucketName"], outputs["LogBucketName"]
    for text in (b"first", b"second"):
        s3.put_object(Bucket=bucket, Key="1.json", Body=text)
    s3.delete_object(Bucket=bucket, Key="1.json")
    s3.create_multipart_upload(Bucket=bucket, Key="2.json")
    s3.put_object(Bucket=logs, Key="s3/log", Body=b"GET")
    session.client("dynamodb").put_item(TableName=outputs["TableName"], Item={"id": {"S": "1"}})
    # And a protected stack
    formation = session.client("cloudformation")
    data = f"{disposable.name}-{SERVICE}-data"
    formation.update_termination_protection(StackName=data, EnableTerminationProtection=True)

    # When the question is not answered, then nothing is deleted
    refused = run(disposable)
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert bucket in refused.stdout
    assert "nothing was deleted" in refused.stderr
    assert formation.describe_stacks(StackName=data)["Stacks"][0]["EnableTerminationProtection"]

    # When it is answered with yes
    done = run(disposable, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr

    # Then nothing of the environment is left
    names = {name for wave in stack_names(disposable.environment) for name, _ in wave}
    stacks = formation.describe_stacks()["Stacks"]
    assert not [stack for stack in stacks if stack["StackName"] in names and stack["StackStatus"] != "DELETE_COMPLETE"]
    assert not {bucket, logs} & {each["Name"] for each in s3.list_buckets()["Buckets"]}
    assert session.client("dynamodb").list_tables()["TableNames"] == []
    assert session.client("lambda").list_functions()["Functions"] == []
    assert session.client("sqs").list_queues().get("QueueUrls", []) == []
    key = session.client("kms").describe_key(KeyId=outputs_of_key(done.stdout))["KeyMetadata"]
    assert key["KeyState"] == "PendingDeletion"

    # And a second run has nothing to do
    again = run(disposable, "--yes")
    assert again.returncode == 0
    assert "nothing to do" in again.stdout


def outputs_of_key(said: str) -> str:
    """Return the id of the key that the verb listed for deletion."""
    (line,) = [line for line in said.splitlines() if "AWS::KMS::Key" in line]
    return line.partition("AWS::KMS::Key ")[2].split()[0]


def test_undeletable_resources_are_reported(disposable: LocalEnvironment) -> None:
    # Given a stack of the environment that retains a resource which the verb cannot delete
    environment, session = disposable.environment, disposable.emulator.session()
    name = f"{environment.name}-foundation"
    topic = {"Type": "AWS::SNS::Topic", "DeletionPolicy": "Retain", "Properties": {"TopicName": "kept"}}
    template = json.dumps({"Resources": {"Topic": topic}})
    formation = session.client("cloudformation")
    formation.create_stack(StackName=name, TemplateBody=template)
    formation.get_waiter("stack_create_complete").wait(StackName=name)

    # When the environment is destroyed
    done = run(disposable, "--yes")

    # Then the verb fails and names what is left
    assert done.returncode == 1, done.stdout
    assert "AWS::SNS::Topic arn:" in done.stderr
    assert "delete it manually" in done.stderr
    assert Destruction(environment, session, say=lambda _: None).plan() == []
