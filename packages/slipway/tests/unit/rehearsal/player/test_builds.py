"""Builds: a project's buildspec runs in a clean folder and environment, under the project's own role."""

from __future__ import annotations

import json
import shlex
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from slipway.emulator.partition import ApiError
from slipway.emulator.server import Emulator
from slipway.errors import RehearsalError
from slipway.rehearsal.player import records
from slipway.rehearsal.player.artifacts import ArtifactStore, pack, unpack
from slipway.rehearsal.player.builds import CLONE, Build, Builder, BuildFailedError, BuildPlace, Built
from slipway.rehearsal.player.quota import BuildQuotas
from slipway.settings.quotas import ComputeType
from unit.rehearsal.aws import REGION, TOOLS, accounts_in
from unit.rehearsal.player.pipelines import BUCKET
from unit.rehearsal.repositories import commit, write

pytestmark = pytest.mark.programs


_CREDENTIALS = """
import botocore.session
found = botocore.session.get_session().get_credentials().get_frozen_credentials()
print(found.access_key, found.token)
"""

SPEC = {"version": "0.2", "phases": {"build": {"commands": ["make"]}}}


class Desk:
    """A tools account with one build project, which tests change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.accounts, behind = accounts_in(folder)
        self.aws = behind[TOOLS]
        self.role = self.aws.role("project", "s3:GetObject", "s3:PutObject", "logs:*", "ssm:*", "secretsmanager:*")
        self.aws.role("action", "codebuild:StartBuild")
        self.place = BuildPlace(folder / "run", folder / "host", folder / "checkout")
        self.stopping = threading.Event()
        self.quotas = BuildQuotas()
        self.waited: list[float] = []
        self.waits: Callable[[float], None] = self.waited.append
        self.said: list[str] = []
        self.project: dict[str, Any] = {
            "name": "Synth",
            "serviceRole": self.role,
            "source": {"type": "CODEPIPELINE"},
            "environment": {"type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL"},
            "timeoutInMinutes": 60,
        }
        self.aws.builds.projects["Synth"] = self.project
        self.inputs: dict[str, str] = {}
        self.has("Sources", {"Makefile": "all:\n\t@echo made\n"})

    def has(self, artifact: str, files: Mapping[str, str]) -> None:
        """Put an input artifact into the bucket."""
        folder = self.folder / "in" / artifact
        write(folder, files)
        pack([(folder / name, name) for name in files], self.folder / "in" / f"{artifact}.zip")
        key = f"slipway/{artifact}/1"
        self.aws.s3.objects[BUCKET, key] = (self.folder / "in" / f"{artifact}.zip").read_bytes()
        self.inputs[artifact] = key

    def variable(self, name: str, value: str, kind: str = "PLAINTEXT") -> None:
        """Add a variable to the project."""
        declared = self.project["environment"].setdefault("environmentVariables", [])
        declared.append({"name": name, "value": value, "type": kind})

    def build(
        self, spec: Mapping[str, Any] | str, *, outputs: Sequence[str] = (), by: str = "action", **configuration: str
    ) -> Built:
        """Build."""
        self.project["source"]["buildspec"] = spec if isinstance(spec, str) else json.dumps(spec)
        store = ArtifactStore(cast("Emulator", self.aws), BUCKET)
        build = Build(
            configuration={"ProjectName": "Synth", **configuration},
            inputs=self.inputs,
            outputs=outputs,
            initiator="codepipeline/slipway",
            revision="c" * 40,
            log=self.log,
        )
        builder = Builder(self.accounts, store, self.place, quotas=self.quotas, stopping=self.stopping)
        return builder.build(
            build,
            by=self.aws.as_role(by),
            progress=self.said.append,
            wait=self.waits,
        )

    def shell(self, *commands: str, **more: Any) -> Built:
        """Build with these commands in the `build` phase."""
        return self.build({"version": 0.2, "phases": {"build": {"commands": list(commands)}}, **more})

    @property
    def log(self) -> Path:
        return self.folder / "run" / "logs" / "synth.log"

    @property
    def output(self) -> list[str]:
        """Return the output of the build's commands."""
        return [line for line in self.log.read_text().splitlines() if not line.startswith("$ ")]

    def environment(self, *commands: str, **more: Any) -> dict[str, str]:
        """Return the variables that a build's command sees."""
        self.shell("env -0 | tr '\\n\\0' ' \\n'", **more)
        pairs = (line.partition("=") for line in self.output)
        return {name: value for name, _, value in pairs}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_build_runs_in_a_clean_folder_with_its_source(desk: Desk) -> None:
    # Given a buildspec that makes a file from its source
    desk.has("Sources", {"Makefile": "all:\n\t@mkdir out && echo it > out/it && ls -A\n", "sub/a": "a"})
    # When it is built
    built = desk.build({**SPEC, "artifacts": {"files": ["**/*"], "base-directory": "out"}}, outputs=["Assembly"])
    # Then it ran in the folder of its source, which had no other files
    assert desk.output == ["Makefile", "out", "sub"]
    assert built.source.is_relative_to(desk.folder / "run")
    # And its file is in the artifact
    unpack(built.outputs["Assembly"], desk.folder / "out")
    assert (desk.folder / "out" / "it").read_text() == "it\n"


def test_each_line_is_logged_without_colours(desk: Desk) -> None:
    desk.shell(r"printf '\033[31mred\033[0m\n\n\033[2Kdone  \n'", "echo err >&2")
    assert desk.said[-3:] == ["red", "done", "$ echo err >&2"] or desk.said[-2:] == ["$ echo err >&2", "err"]
    assert desk.output == ["red", "", "done", "err"]
    assert "" not in desk.said


def test_two_builds_of_a_project_have_folders_of_their_own(desk: Desk) -> None:
    first, second = desk.build(SPEC), desk.build(SPEC)
    assert first.source != second.source


# --- Roles ---


def test_project_reads_source_and_action_starts_it(desk: Desk) -> None:
    desk.build(SPEC)
    asked = [each for each in desk.aws.asked if each[1] in {"codebuild:StartBuild", "s3:GetObject"}]
    assert asked == [("action", "codebuild:StartBuild"), ("project", "s3:GetObject")]


def test_a_denied_start_of_a_project_is_reported(desk: Desk) -> None:
    with pytest.raises(RehearsalError, match=r"the action may not start Synth: .*AccessDenied"):
        desk.build(SPEC, by="project")


def test_a_denied_read_of_the_source_is_reported(desk: Desk) -> None:
    desk.aws.role("project", "logs:*")
    with pytest.raises(RehearsalError, match=r"slipway/Sources/1 could not be read: .*AccessDenied"):
        desk.build(SPEC)


def test_a_project_whose_role_trusts_no_service_is_refused(desk: Desk) -> None:
    desk.aws.role("project", "s3:*", trusts=set())
    with pytest.raises(ApiError, match="not authorized to perform: sts:AssumeRole"):
        desk.build(SPEC)


def test_a_project_that_is_not_there_is_named(desk: Desk) -> None:
    del desk.aws.builds.projects["Synth"]
    with pytest.raises(RehearsalError, match="the tools account has no build project Synth"):
        desk.build(SPEC)


def test_a_build_has_the_session_of_its_projects_role(desk: Desk) -> None:
    # When a build requests its credentials with the AWS SDK
    desk.shell(f"{sys.executable} -c {shlex.quote(_CREDENTIALS)}")
    key, token = desk.output[-1].split(" ", 1)
    # Then they belong to the project's role
    session = desk.aws.sessions[key]
    assert (session.account, session.role) == (TOOLS, "project")
    assert token == f"token of {key}"


def test_a_build_has_no_keys_in_its_variables(desk: Desk) -> None:
    seen = desk.environment()
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} & seen.keys()
    assert seen["AWS_CONTAINER_CREDENTIALS_FULL_URI"].startswith("http://127.0.0.1:")


def test_credentials_are_for_the_build_alone(desk: Desk) -> None:
    # When credentials are requested without the build's token
    desk.shell('curl --silent --output /dev/null --write-out "%{http_code}" "$AWS_CONTAINER_CREDENTIALS_FULL_URI"')
    # Then the answer is 403
    assert desk.output == ["403"]


def test_a_build_beyond_the_quota_is_refused(desk: Desk) -> None:
    # Given as many running builds as the quota of the project's compute type
    environment = desk.project["environment"]
    with desk.quotas.taken("Other", ComputeType(environment["type"], environment["computeType"])):
        # When one more is started, then it is refused as by CodeBuild
        with pytest.raises(RehearsalError, match="AccountLimitExceededException: Cannot have more than 1 builds"):
            desk.build(SPEC)
        assert desk.aws.builds.started == []
    # And it runs once a build has ended
    desk.build(SPEC)


@pytest.mark.parametrize(("command", "seconds"), [("sleep 90", 90), ("sleep 0.5m", 30), ("sleep 1h 1s", 3601)])
def test_a_build_sleeps_in_virtual_time(desk: Desk, command: str, seconds: float) -> None:
    desk.shell(command)
    assert desk.waited == [seconds]


def test_an_error_during_a_wait_fails_the_build(desk: Desk) -> None:
    def fails(seconds: float) -> None:
        raise RehearsalError("an alarm cannot be evaluated")

    desk.waits = fails
    with pytest.raises(BuildFailedError, match="sleep: RehearsalError: an alarm cannot be evaluated"):
        desk.shell("sleep 60")


def test_builds_of_other_compute_types_do_not_count(desk: Desk) -> None:
    with desk.quotas.taken("Other", ComputeType("LINUX_CONTAINER", "BUILD_GENERAL1_MEDIUM")):
        desk.build(SPEC)


# --- The environment of a build ---


def test_builds_do_not_see_the_terminals_environment(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a terminal with a profile, secrets, and settings of other tools
    for name in ("AWS_PROFILE", "GITHUB_TOKEN", "PYTHONPATH", "VIRTUAL_ENV", "XDG_CONFIG_HOME", "GIT_DIR", "MAKEFLAGS"):
        monkeypatch.setenv(name, "theirs")
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("PATH", f"/home/someone/bin:{sys.prefix}/bin:/usr/bin:/bin")
    # When a build runs
    seen = desk.environment()
    # Then it sees none of them
    assert not [name for name, value in seen.items() if "theirs" in value or "/home/someone" in value]
    # And its home, temporary files and global packages are in the rehearsal's folders
    host = desk.folder / "host"
    assert [Path(seen[name]).relative_to(host).name for name in ("HOME", "TMPDIR", "NPM_CONFIG_PREFIX")] == [
        *("home", "tmp", "tools")
    ]
    assert seen["PATH"].startswith(f"{host}/tools/bin:")
    # And no other variables are set
    told = {name for name in seen if not name.startswith(("AWS_", "CODEBUILD_", "NPM_CONFIG_", "SLIPWAY_"))}
    assert told - {"PWD", "SHLVL", "_", "OLDPWD", "PIP_INDEX_URL"} <= {
        *("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "CI", "CDK_DISABLE_CLI_TELEMETRY"),
        *("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"),
        "REQUESTS_CA_BUNDLE",
    } | {name for name in told if name.startswith(("PIP_", "UV_", "NPM_", "npm_"))}


def test_the_package_index_is_shown(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_INDEX_URL", "UV_INDEX_URL", "npm_config_registry"):
        monkeypatch.setenv(name, "https://mirror.example.com")
    seen = desk.environment()
    assert seen["PIP_INDEX_URL"] == seen["UV_INDEX_URL"] == seen["npm_config_registry"] == "https://mirror.example.com"


def test_a_build_has_codebuilds_variables(desk: Desk) -> None:
    desk.has("More", {"file": "x"})
    seen = desk.environment()
    assert seen["CODEBUILD_BUILD_ID"] == "Synth:1"
    assert seen["CODEBUILD_BUILD_ARN"] == f"arn:aws:codebuild:{REGION}:{TOOLS}:build/Synth:1"
    assert seen["CODEBUILD_INITIATOR"] == "codepipeline/slipway"
    assert seen["CODEBUILD_RESOLVED_SOURCE_VERSION"] == seen["CODEBUILD_SOURCE_VERSION"] == "c" * 40
    assert seen["CODEBUILD_BUILD_URL"] == (desk.folder / "run" / "index.html").as_uri()
    assert seen["CODEBUILD_SRC_DIR"] == seen["PWD"]
    assert (Path(seen["CODEBUILD_SRC_DIR_More"]) / "file").read_text() == "x"
    assert int(seen["CODEBUILD_START_TIME"]) / 1000 == pytest.approx(time.time(), abs=600)
    assert seen["AWS_REGION"] == REGION


def test_the_primary_source_is_the_one_that_the_action_names(desk: Desk) -> None:
    desk.has("More", {"other": "x"})
    built = desk.build({"version": 0.2, "phases": {"build": {"commands": ["ls"]}}}, PrimarySource="More")
    assert desk.output == ["other"]
    assert built.source.name == "src"


def test_later_declarations_of_a_variable_win(desk: Desk) -> None:
    # Given variables of the buildspec, the project and the action
    desk.variable("PROJECT", "project")
    desk.variable("ACTION", "project")
    of_action = json.dumps([{"name": "ACTION", "value": "action", "type": "PLAINTEXT"}, {"name": "BARE", "value": "b"}])
    env = {"variables": {"SPEC": "spec", "PROJECT": "spec", "ACTION": "spec"}}
    commands = ["echo $SPEC $PROJECT $ACTION $BARE"]
    # When it is built
    spec = {"version": 0.2, "env": env, "phases": {"build": {"commands": commands}}}
    desk.build(spec, EnvironmentVariables=of_action)
    # Then later declarations override earlier ones
    assert desk.output == ["spec project action b"]


def test_the_runs_own_variables_win_over_all(desk: Desk) -> None:
    desk.variable("VERBS", "check unit")
    desk.place = replace(desk.place, variables={"VERBS": ""})
    desk.shell('echo "[$VERBS]"')
    assert desk.output == ["[]"]


def test_the_projects_role_reads_parameters_and_secrets(desk: Desk) -> None:
    # Given a parameter, a secret, and a key of another secret, by name and by ARN
    arn = f"arn:aws:secretsmanager:{REGION}:{TOOLS}:secret:slipway-AbCdEf"
    desk.aws.parameters.all = {"/slipway/one": "1", "/slipway/two": "2"}
    desk.aws.secrets.all = {"plain": "p", "slipway": '{"key": "k"}', arn: '{"key": "by arn"}'}
    desk.variable("TWO", "/slipway/two", "PARAMETER_STORE")
    desk.variable("OF_ARN", f"{arn}:key::", "SECRETS_MANAGER")
    desk.variable("WHOLE", arn, "SECRETS_MANAGER")
    env = {"parameter-store": {"ONE": "/slipway/one"}, "secrets-manager": {"PLAIN": "plain", "KEY": "slipway:key"}}
    # When it is built
    desk.shell("echo $ONE $TWO $PLAIN $KEY $OF_ARN $WHOLE", env=env)
    # Then the build sees their values
    assert desk.output == ['1 2 p k by arn {"key": "by arn"}']
    assert ("project", "ssm:GetParameter") in desk.aws.asked
    assert ("project", "secretsmanager:GetSecretValue") in desk.aws.asked


# --- The buildspec ---


def test_a_specification_may_lie_in_the_source(desk: Desk) -> None:
    desk.has("Sources", {"ci/spec.yml": "version: 0.2\nphases:\n  build:\n    commands: [echo from the source]\n"})
    desk.build("ci/spec.yml")
    assert desk.output == ["from the source"]


def test_a_specification_that_is_not_in_the_source_is_named(desk: Desk) -> None:
    with pytest.raises(RehearsalError, match=r"Synth: its source contains no spec\.yml"):
        desk.build("spec.yml")


def test_the_default_buildspec_is_buildspec_yml(desk: Desk) -> None:
    with pytest.raises(RehearsalError, match=r"its source contains no buildspec\.yml"):
        desk.build("buildspec.yml")


def test_a_specification_that_cannot_be_read_names_its_project(desk: Desk) -> None:
    with pytest.raises(RehearsalError, match="Synth: unknown phase deploy"):
        desk.build({"version": 0.2, "phases": {"deploy": {}}})


# --- Outcome ---


def test_failure_reason_is_not_the_address_of_the_reports(desk: Desk) -> None:
    # Given a build like `.ci/run`: the failed command prints its reason first, then the reports are stored
    with pytest.raises(BuildFailedError, match=r"exit code 2: change review RED: because$"):
        desk.shell(
            "echo 'change review RED: because'; echo 'make: *** [review] Error 2'; "
            "echo 'reports: https://example.com/review.html'; (exit 2)"
        )


def test_failing_command_is_reported_with_phase_and_output(desk: Desk) -> None:
    with pytest.raises(BuildFailedError) as error:
        desk.shell("echo before", "echo 'tests/a.py: 3 failed'; echo 'make: *** [all] Error 2'; (exit 2)", "echo after")
    assert str(error.value) == "phase build of Synth failed with exit code 2: tests/a.py: 3 failed"
    assert "after" not in desk.output


_REPORT = """<testsuite>
  <testcase classname="tests.smoke.test_items" name="test_a"><failure/></testcase>
  <testcase classname="tests.smoke.test_items" name="test_b"/>
</testsuite>"""


def test_a_failing_build_names_the_tests_that_failed(desk: Desk) -> None:
    # Given a build with failed tests, whose last line has only numbers
    write(desk.folder / "in" / "Sources", {"report.xml": _REPORT})
    desk.has("Sources", {"report.xml": _REPORT})
    reports = {"tests": {"files": ["report.xml"]}}
    # Then the message names the failed tests
    with pytest.raises(BuildFailedError, match=r": 1 failed, 1 passed: tests\.smoke\.test_items::test_a$"):
        desk.shell("echo '1 failed, 1 passed'; (exit 1)", reports=reports)


def test_a_full_disk_is_reported_as_such(desk: Desk) -> None:
    with pytest.raises(BuildFailedError, match="the disk is full: cp: error writing 'a': No space left on device"):
        desk.shell("echo \"cp: error writing 'a': No space left on device\"; echo 'Caused by: more'; (exit 2)")


def test_cdks_message_on_exit_code_is_not_a_reason(desk: Desk) -> None:
    with pytest.raises(BuildFailedError, match=r"with exit code 1: nag gate RED: 3 findings$"):
        desk.shell("echo 'nag gate RED: 3 findings'; echo 'python -O app.py: Subprocess exited with error 1'; (exit 1)")


def test_a_failed_build_without_output_is_reported_as_such(desk: Desk) -> None:
    with pytest.raises(BuildFailedError, match="phase build of Synth failed with exit code 1: it wrote nothing"):
        desk.shell("false")


def test_the_phase_that_failed_first_is_named(desk: Desk) -> None:
    phases = {"build": {"commands": ["false"]}, "post_build": {"commands": ["echo after", "(exit 3)"]}}
    with pytest.raises(BuildFailedError, match="phase build of Synth failed with exit code 1: after"):
        desk.build({"version": 0.2, "phases": phases})


def test_command_that_ends_the_shell_fails_its_phase(desk: Desk) -> None:
    phases = {"install": {"commands": ["true"]}, "build": {"commands": ["exit 6"]}}
    with pytest.raises(BuildFailedError, match="phase build of Synth failed with exit code 6"):
        desk.build({"version": 0.2, "phases": phases})


def _is_gone(file: Path) -> bool:
    """Return whether the process whose id is in a file ends within seconds."""
    process = Path("/proc") / file.read_text().strip()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if (process / "stat").read_text().rpartition(") ")[2].startswith("Z"):
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def test_build_that_times_out_ends_its_children(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a project with a five-minute timeout, an accelerated clock, and a build that starts a process
    desk.project["timeoutInMinutes"] = 5
    fast = SimpleNamespace(monotonic=lambda: 600 * time.monotonic(), time=time.time)
    for module in ("slipway.rehearsal.player.builds", "slipway.process"):
        monkeypatch.setattr(f"{module}.time", fast)
    started = time.monotonic()
    # When it is built
    with pytest.raises(BuildFailedError, match="Synth took longer than 5 minutes"):
        desk.shell("/bin/sleep 600 & echo $! >pid; wait")
    # Then both the build and its process have ended
    assert time.monotonic() - started < 60
    assert _is_gone(next((desk.folder / "run" / "builds").rglob("pid")))


def test_a_build_ends_when_the_run_is_stopped(desk: Desk) -> None:
    desk.stopping.set()
    with pytest.raises(BuildFailedError):
        desk.shell("/bin/sleep 600")


@pytest.mark.parametrize("apart", [">/dev/null 2>&1 </dev/null", ""], ids=["silent", "with its output"])
def test_processes_left_by_a_build_are_ended(desk: Desk, apart: str) -> None:
    started = time.monotonic()
    built = desk.shell(f"/bin/sleep 600 {apart} & echo $! >pid")
    assert time.monotonic() - started < 60
    assert _is_gone(built.source / "pid")


def test_variables_are_exported(desk: Desk) -> None:
    env = {"exported-variables": ["CODEBUILD_BUILD_URL", "MADE"]}
    built = desk.shell("MADE='a = b'", env=env)
    assert built.exported == {
        "CODEBUILD_BUILD_URL": (desk.folder / "run" / "index.html").as_uri(),
        "MADE": "a = b",
    }


# --- Results ---


def test_each_output_has_its_own_files(desk: Desk) -> None:
    artifacts = {
        "files": ["ignored"],
        "secondary-artifacts": {"One": {"files": ["*.txt"]}, "Two": {"files": ["**/*"], "base-directory": "sub"}},
    }
    desk.has("Sources", {"a.txt": "a", "sub/b": "b"})
    built = desk.build({"version": 0.2, "artifacts": artifacts}, outputs=["One", "Two"])
    for name, files in (("One", ["a.txt"]), ("Two", ["b"])):
        unpack(built.outputs[name], desk.folder / name)
        assert [path.name for path in (desk.folder / name).iterdir()] == files


@pytest.mark.parametrize(
    ("artifacts", "message"),
    [
        (None, "the specification has no artifact Assembly"),
        ({"files": ["*"], "secondary-artifacts": {"Other": {"files": ["*"]}}}, "has no artifact Assembly"),
        ({"files": ["*.json", "b"], "base-directory": "out"}, r"no file of .*/out is one of \*\.json, b"),
    ],
)
def test_an_output_that_is_not_made_fails_the_build(desk: Desk, artifacts: object, message: str) -> None:
    spec = {**SPEC, **({"artifacts": artifacts} if artifacts else {})}
    with pytest.raises(BuildFailedError, match=message):
        desk.build(spec, outputs=["Assembly"])


def test_an_output_is_uploaded_under_the_projects_role(desk: Desk) -> None:
    (desk.folder / "a.zip").write_bytes(b"zip")
    store = ArtifactStore(cast("Emulator", desk.aws), BUCKET)
    builder = Builder(desk.accounts, store, desk.place, quotas=desk.quotas, stopping=desk.stopping)
    builder.upload({"ProjectName": "Synth"}, "slipway/Assembly/1", desk.folder / "a.zip")
    assert desk.aws.s3.objects[BUCKET, "slipway/Assembly/1"] == b"zip"
    assert ("project", "s3:PutObject") in desk.aws.asked


REPORT = """<testsuites><testsuite>
<testcase classname="tests.a" name="passes"/>
<testcase classname="tests.a" name="fails"><failure message="no"/></testcase>
<testcase name="breaks"><error/></testcase>
<testcase classname="tests.b" name="waits"><skipped/></testcase>
</testsuite></testsuites>"""
REPORTS = {"tests": {"files": ["*.xml"], "base-directory": "reports"}, "coverage": {"files": ["*"], "file-format": "X"}}


def test_test_reports_are_read_together(desk: Desk) -> None:
    desk.has("Sources", {"reports/a.xml": REPORT, "reports/b.xml": REPORT, "reports/half.xml": "<testsuites><tes"})
    built = desk.shell("true", reports=REPORTS)
    assert built.tests == records.Tests(
        tests=8, failures=4, skipped=2, failed=["tests.a::fails", "breaks", "tests.a::fails", "breaks"]
    )


def test_tests_of_a_failed_build_are_reported(desk: Desk) -> None:
    desk.has("Sources", {"reports/a.xml": REPORT})
    with pytest.raises(BuildFailedError) as error:
        desk.shell("false", reports=REPORTS)
    assert error.value.tests is not None
    assert error.value.tests.failures == 2


def test_a_build_without_reports_has_no_tests(desk: Desk) -> None:
    assert desk.shell("true", reports=REPORTS).tests is None


def test_the_log_goes_to_the_projects_group_under_its_role(desk: Desk) -> None:
    desk.project["logsConfig"] = {"cloudWatchLogs": {"status": "ENABLED", "groupName": "/builds"}}
    desk.shell("echo one", "echo; echo two")
    assert desk.aws.logs.lines == {("/builds", "1"): ["$ echo one", "one", "$ echo; echo two", "two"]}
    assert ("project", "logs:PutLogEvents") in desk.aws.asked


def test_log_of_a_failed_build_is_kept(desk: Desk) -> None:
    desk.project["logsConfig"] = {"cloudWatchLogs": {"status": "ENABLED", "groupName": "/builds"}}
    with pytest.raises(BuildFailedError):
        desk.shell("echo one", "false")
    assert desk.aws.logs.lines["/builds", "1"][1] == "one"


def test_a_project_that_may_not_write_its_log_fails(desk: Desk) -> None:
    desk.project["logsConfig"] = {"cloudWatchLogs": {"status": "ENABLED", "groupName": "/builds"}}
    desk.aws.role("project", "s3:GetObject")
    with pytest.raises(RehearsalError, match=r"Synth may not write its log: .*AccessDenied"):
        desk.shell("echo one")


# --- Tools of the machine ---


def _tool(desk: Desk, name: str, version: str) -> None:
    file = desk.folder / "host" / "tools" / "bin" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho '{version}'\n")
    file.chmod(0o755)


@pytest.mark.parametrize(
    ("wanted", "has"), [("24", "v24.19.0"), ("24.19", "v24.19.0"), ("latest", "v9.0.0"), ("24.19.0", "24.19.0")]
)
def test_a_runtime_of_a_matching_version_is_used(desk: Desk, wanted: str, has: str) -> None:
    _tool(desk, "node", has)
    phases = {"install": {"runtime-versions": {"nodejs": wanted}, "commands": ["echo in"]}}
    desk.build({"version": 0.2, "phases": phases})
    assert desk.output == ["in"]


@pytest.mark.parametrize(("wanted", "has"), [("24", "v22.1.0"), ("2", "v24.1.0"), ("24.2", "v24.19.0")])
def test_a_runtime_of_another_version_is_reported(desk: Desk, wanted: str, has: str) -> None:
    _tool(desk, "node", has)
    phases = {"install": {"runtime-versions": {"nodejs": wanted}}}
    with pytest.raises(RehearsalError, match=f"Synth: requires nodejs {wanted}, but this machine has {has[1:]}"):
        desk.build({"version": 0.2, "phases": phases})


def test_a_missing_runtime_is_reported(desk: Desk) -> None:
    with pytest.raises(RehearsalError, match="Synth: the player has no java"):
        desk.build({"version": 0.2, "phases": {"install": {"runtime-versions": {"java": "corretto21"}}}})


LOCKED = {"package.json": "{}", "package-lock.json": "{}", "requirements/dev.txt": "boto3==1"}


@pytest.mark.parametrize(("changed", "linked"), [(None, True), ("requirements/dev.txt", False)])
def test_checkouts_tools_are_used_for_the_same_locks(desk: Desk, changed: str | None, *, linked: bool) -> None:
    # Given a checkout with installed tools
    write(desk.folder / "checkout", {**LOCKED, ".venv/bin/tool": "#!/bin/sh\necho tool\n", "node_modules/a": ""})
    (desk.folder / "checkout" / ".venv" / "bin" / "tool").chmod(0o755)
    source = {**LOCKED, "Makefile": "all:\n\t@test -x .venv/bin/tool && .venv/bin/tool || echo none\n"}
    desk.has("Sources", {**source, **({changed: "boto3==2"} if changed else {})})
    # When a source is built
    built = desk.build(SPEC)
    # Then it uses the checkout's tools if its lock files are the same, and not otherwise
    assert desk.output == ["tool" if linked else "none"]
    assert (built.source / "node_modules").is_symlink() is linked


def test_a_source_that_stands_for_a_clone_is_cloned(desk: Desk) -> None:
    sha = commit(desk.folder / "repository", {"Makefile": "all:\n\t@git log --format=%s\n"}, "The first")
    content = json.dumps({"repository": str(desk.folder / "repository"), "commit": sha})
    desk.has("Sources", {CLONE: content})
    built = desk.build(SPEC)
    assert desk.output == ["The first"]
    assert not (built.source / CLONE).exists()


@pytest.mark.parametrize("helper", ["yes", "no"])
def test_git_reads_the_origin_only_with_credentials(desk: Desk, helper: str) -> None:
    # Given a source artifact that stands for a clone
    repository = desk.folder / "repository"
    sha = commit(repository, {"Makefile": "all:\n"})
    desk.has("Sources", {CLONE: json.dumps({"repository": str(repository), "commit": sha})})
    # When a build prints the URL of its origin
    desk.shell("git remote get-url origin", env={"git-credential-helper": helper})
    # Then it is only readable if the buildspec requests the credential helper
    assert desk.output == [str(repository) if helper == "yes" else "https://no-credentials.invalid/"]


def test_an_isolated_build_uses_its_own_tools(desk: Desk) -> None:
    # Given a build of another repository
    desk.place = replace(desk.place, isolated=True)
    # When the build locates its tools and imports boto3
    desk.shell(
        "for name in python3 pip node; do command -v $name; done",
        "npm prefix --global",
        "python3 -c 'import boto3' || echo no boto3",
    )
    # Then it uses its own Python and npm prefix, and has no boto3
    own = str(desk.folder / "run" / "builds")
    found = [line for line in desk.output if line.startswith("/") or line == "no boto3"]
    assert len(found) == 5
    assert all(path.startswith(own) for path in found[:4])
    assert found[4] == "no boto3"
