"""Build specifications, as CodeBuild reads them.

https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html, version 0.2: all commands of a build run in
one shell. An unsupported feature stops the build with a message that names it.
"""

from __future__ import annotations

import fnmatch
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from slipway.errors import RehearsalError

PHASES = ("install", "pre_build", "build", "post_build")

_KEYS = frozenset({"version", "env", "phases", "reports", "artifacts", "cache"})
_ENV = frozenset(
    {"shell", "variables", "exported-variables", "parameter-store", "secrets-manager", "git-credential-helper"}
)
_PHASE = frozenset({"on-failure", "commands", "finally", "runtime-versions"})
_ARTIFACTS = frozenset(
    {"files", "base-directory", "discard-paths", "exclude-paths", "name", "enable-symlinks", "secondary-artifacts"}
)
_REPORT = frozenset({"files", "base-directory", "discard-paths", "file-format"})
_WILDCARDS = frozenset("*?[")
_KEPT_TAGS = frozenset({"tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"})
_SHELLS = {"bash": "bash", "sh": "sh", "/bin/sh": "sh"}


class _Loader(yaml.SafeLoader):
    """Loads every scalar as a string, and an empty one as None.

    CodeBuild documents variables, versions and commands as strings, but not how it reads `true`, `1.10` or `0123`
    (https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html): a Python version `3.10` must not
    become YAML's number 3.1.
    """


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _KEPT_TAGS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class Phase:
    """One phase."""

    commands: Sequence[str] = ()
    finally_: Sequence[str] = ()
    on_failure: str | None = None
    """ABORT or CONTINUE. None: CodeBuild's default for the phase."""


@dataclass(frozen=True)
class Files:
    """Files of a build, by patterns."""

    patterns: Sequence[str]
    base: str = "."
    excluded: Sequence[str] = ()
    flat: bool = False

    def found(self, folder: Path) -> Iterator[tuple[Path, str]]:
        """Yield the files, and their names in the artifact, in order.

        Args:
            folder: The build's source folder.
        """
        for base in self._bases(folder):
            for directory, _, names in sorted(os.walk(base)):
                for name in sorted(names):
                    path = Path(directory) / name
                    relative = path.relative_to(base).as_posix()
                    if self._meant(relative):
                        yield path, name if self.flat else relative

    def _bases(self, folder: Path) -> list[Path]:
        """Return the folders that the base directory matches, in order.

        With a wildcard, every match counts, and files are named relative to the matched folder
        (https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html#build-spec.artifacts.base-directory).
        """
        if not _WILDCARDS & set(self.base):
            return [folder / self.base]
        return sorted(path for path in folder.glob(self.base) if path.is_dir())

    def _meant(self, relative: str) -> bool:
        return _is_one_of(relative, self.patterns) and not _is_one_of(relative, self.excluded)


@dataclass(frozen=True)
class ReportGroup:
    """Test or coverage reports to keep."""

    name: str
    files: Files
    format: str


@dataclass(frozen=True)
class BuildSpec:
    """A build specification."""

    shell: str
    variables: Mapping[str, str]
    parameters: Mapping[str, str]
    secrets: Mapping[str, str]
    exported: Sequence[str]
    runtimes: Mapping[str, str]
    phases: Mapping[str, Phase]
    reports: Sequence[ReportGroup]
    artifacts: Files | None
    git_credentials: bool = False
    """True if git has CodeBuild's credentials in the build; without them no command can read `origin`."""
    secondary: Mapping[str, Files] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str, where: str) -> BuildSpec:
        """Parse a specification, YAML or JSON.

        Args:
            text: The specification.
            where: The project, for messages.

        Raises:
            RehearsalError: It is invalid, or uses something that the player does not support.
        """
        try:
            content = yaml.load(text, _Loader)  # noqa: S506  # nosec B506  # it makes texts, lists and mappings alone
        except yaml.YAMLError as error:
            raise RehearsalError(f"{where}: the build specification is not YAML: {error}") from None
        if not isinstance(content, dict) or str(content.get("version")) != "0.2":
            raise RehearsalError(f"{where}: the build specification is not of version 0.2")
        _known(where, content, _KEYS)
        env = _mapping(f"{where}: env", content.get("env"))
        _known(f"{where}: env", env, _ENV)
        shell = str(env.get("shell", "sh"))
        if shell not in _SHELLS:
            raise RehearsalError(f"{where}: the player does not support the shell {shell}")
        phases: dict[str, Phase] = {}
        runtimes: dict[str, str] = {}
        for name, phase in _mapping(f"{where}: phases", content.get("phases")).items():
            if name not in PHASES:
                raise RehearsalError(f"{where}: unknown phase {name}")
            properties = _mapping(f"{where}: {name}", phase)
            _known(f"{where}: {name}", properties, _PHASE)
            runtimes |= _texts(f"{where}: {name}: runtime-versions", properties.get("runtime-versions"))
            phases[name] = _phase(f"{where}: {name}", properties)
        artifacts = _mapping(f"{where}: artifacts", content.get("artifacts"))
        _known(f"{where}: artifacts", artifacts, _ARTIFACTS)
        secondary = _mapping(f"{where}: secondary-artifacts", artifacts.get("secondary-artifacts"))
        return cls(
            shell=_SHELLS[shell],  # nosec B604  # a field of that name: nothing is started here
            variables=_texts(f"{where}: variables", env.get("variables")),
            parameters=_texts(f"{where}: parameter-store", env.get("parameter-store")),
            secrets=_texts(f"{where}: secrets-manager", env.get("secrets-manager")),
            exported=_list(f"{where}: exported-variables", env.get("exported-variables")),
            runtimes=runtimes,
            phases=phases,
            reports=tuple(
                _report(f"{where}: report {name}", str(name), _mapping(f"{where}: report {name}", report))
                for name, report in _mapping(f"{where}: reports", content.get("reports")).items()
            ),
            artifacts=_files(f"{where}: artifacts", artifacts) if "files" in artifacts else None,
            git_credentials=_is_yes(env.get("git-credential-helper", "no")),
            secondary={name: _secondary(f"{where}: artifact {name}", each) for name, each in secondary.items()},
        )

    def script(self) -> str:
        """Return the build as a script of its shell.

        The script writes the outcome of each phase to the file that SLIPWAY_PHASES names, one line each, and the
        exported variables to the one that SLIPWAY_EXPORTED names. It exits with the code of the first command that
        failed. If a command ends the shell itself (`exit 1`, or a failure under `set -e`), its phase has failed, and
        the commands that CodeBuild still runs are run from the shell's exit trap; an `exit` there leaves a phase in
        SLIPWAY_PHASES that began but did not end.
        """
        lines = ["CODEBUILD_BUILD_SUCCEEDING=1; export CODEBUILD_BUILD_SUCCEEDING"]
        lines += [f"_code=0 _at=0 _phase= _part= _last= _left={shlex.quote(' '.join(self._order()))}"]
        lines += ["_export() {", '  : >"$SLIPWAY_EXPORTED"']
        lines += [f'  printf \'{name}=%s\\0\' "${{{name}-}}" >>"$SLIPWAY_EXPORTED"' for name in self.exported]
        lines += ["}"]
        for name, phase in self.phases.items():
            lines += [f"_{name}() {{", *_commands(phase.commands), "}", f"_{name}_finally() {{"]
            lines += [*_commands(phase.finally_), "}"]
        lines += [_DRIVER.replace("ENDING", " ".join(self._ending()))]
        return "\n".join(lines)

    def _order(self) -> list[str]:
        return [name for name in PHASES if name in self.phases]

    def _ending(self) -> list[str]:
        """Return the phases whose failure ends the build.

        https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details-phases.html: after a failed build
        phase the next one still runs; after any other failure nothing does.
        """
        return [
            name
            for name in self._order()
            if self.phases[name].on_failure != "CONTINUE"
            and not (name == "build" and self.phases[name].on_failure is None)
        ]


# No command runs in a list of `||` or `&&`, or in a condition, because the shell would ignore its `set -e` there.
_DRIVER = """\
_play() {
  _phase=$1 _part=commands _at=0
  echo "begin $1" >>"$SLIPWAY_PHASES"
  "_$1"
  _end_commands $?
}
_end_commands() {
  _at=$1 _part=finally
  "_${_phase}_finally"
  _end_phase $?
}
_end_phase() {
  [ "$_at" -ne 0 ] || _at=$1
  echo "end $_phase $_at" >>"$SLIPWAY_PHASES"
  if [ "$_at" -ne 0 ]; then
    CODEBUILD_BUILD_SUCCEEDING=0
    [ "$_code" -ne 0 ] || _code=$_at
    case " ENDING " in *" $_phase "*) _left= ;; esac
  fi
  _phase=
}
_go_on() {
  while [ -n "$_left" ]; do
    _next=${_left%% *}
    _left=${_left#"$_next"}
    _left=${_left# }
    _play "$_next"
  done
}
_end_shell() {
  _gone=$?
  set +e
  _export
  if [ -n "$_phase" ]; then
    if [ "$_gone" -eq 0 ] && [ -z "$_last" ]; then
      echo "a command ended the shell with code 0 before the commands after it: end it without exit" >&2
      _gone=1
    fi
    if [ "$_part" = commands ]; then _end_commands "$_gone"; else _end_phase "$_gone"; fi
    _go_on
  fi
  _export
  exit "$_code"
}
trap _end_shell EXIT
_go_on
exit "$_code"
"""


def _commands(commands: Sequence[str]) -> Iterator[str]:
    for number, command in enumerate(commands, start=1):
        yield f"  _last={'1' if number == len(commands) else ''}"
        yield f"  printf '%s\\n' {shlex.quote(f'$ {command}')}"
        yield f"  eval {shlex.quote(command)}"
        yield '  _it=$?; [ "$_it" -eq 0 ] || return "$_it"'
    yield "  return 0"


def _phase(where: str, phase: Mapping[str, Any]) -> Phase:
    on_failure = phase.get("on-failure")
    if on_failure not in ("ABORT", "CONTINUE", None):
        raise RehearsalError(f"{where}: the player does not support on-failure {on_failure}")
    commands = _list(f"{where}: commands", phase.get("commands"))
    return Phase(commands, _list(f"{where}: finally", phase.get("finally")), on_failure)


def _files(where: str, content: Mapping[str, Any]) -> Files:
    return Files(
        patterns=_list(f"{where}: files", content.get("files")),
        base=_text(f"{where}: base-directory", content.get("base-directory", ".")),
        excluded=_list(f"{where}: exclude-paths", content.get("exclude-paths")),
        flat=_is_yes(content.get("discard-paths", "no")),
    )


def _secondary(where: str, content: Any) -> Files:
    properties = _mapping(where, content)
    _known(where, properties, _ARTIFACTS - {"secondary-artifacts"})
    return _files(where, properties)


def _report(where: str, name: str, content: Mapping[str, Any]) -> ReportGroup:
    _known(where, content, _REPORT)
    return ReportGroup(name, _files(where, content), str(content.get("file-format", "JUNITXML")))


def _known(where: str, content: Mapping[str, Any], keys: frozenset[str]) -> None:
    if strangers := sorted(map(str, set(content) - keys)):
        raise RehearsalError(f"{where}: the player does not support {', '.join(strangers)} in a build specification")


def _mapping(where: str, content: Any) -> Mapping[str, Any]:
    """Return a mapping; empty for None."""
    if content is None:
        return {}
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else "a text" if isinstance(content, str) else repr(content)
        raise RehearsalError(f"{where}: found {kind}, not keys and values")
    return content


def _list(where: str, content: Any) -> tuple[str, ...]:
    """Return a list of strings; a single string becomes a list."""
    if content is None:
        return ()
    if isinstance(content, str):
        return (content,)
    if not isinstance(content, list):
        raise RehearsalError(f"{where}: found {content!r}, not a list of strings")
    return tuple(_text(where, each) for each in content)


def _texts(where: str, content: Any) -> dict[str, str]:
    """Return a mapping of strings."""
    return {str(name): _text(f"{where}: {name}", value) for name, value in _mapping(where, content).items()}


def _is_yes(content: Any) -> bool:
    return str(content).lower() in {"yes", "true"}


def _text(where: str, content: Any) -> str:
    if not isinstance(content, str):
        raise RehearsalError(f"{where}: found {content!r}, not a string")
    return content


def _is_one_of(relative: str, patterns: Sequence[str]) -> bool:
    parts = PurePosixPath(relative).parts
    return any(_matches(parts, PurePosixPath(pattern).parts) for pattern in patterns)


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return True if a path matches: `**` matches any folders or files, any other part a single name."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[place:], pattern[1:]) for place in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])
