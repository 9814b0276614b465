"""Buildspecs are read as by CodeBuild, and run by the shell that they name."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.errors import RehearsalError
from slipway.rehearsal.player.buildspec import PHASES, BuildSpec, Files, Phase


def _spec(**sections: Any) -> BuildSpec:
    return BuildSpec.read(json.dumps({"version": "0.2", **sections}), "Synth")


def _phases(**phases: Any) -> BuildSpec:
    """Return a buildspec of phases; a list stands for a phase's commands."""
    return _spec(phases={name: each if isinstance(each, dict) else {"commands": each} for name, each in phases.items()})


class Played:
    """A buildspec that ran in a folder."""

    def __init__(self, spec: BuildSpec, folder: Path) -> None:
        files = {name: folder / name for name in ("script", "phases", "exported")}
        for file in files.values():
            file.touch()
        files["script"].write_text(spec.script())
        done = subprocess.run(
            [spec.shell, str(files["script"])],
            cwd=folder,
            env={
                "PATH": "/usr/bin:/bin",
                "SLIPWAY_PHASES": str(files["phases"]),
                "SLIPWAY_EXPORTED": str(files["exported"]),
            },
            check=False,
            capture_output=True,
            text=True,
        )
        self.code, self.output, self.error = done.returncode, done.stdout.splitlines(), done.stderr
        self.phases = files["phases"].read_text().splitlines()
        self.exported = files["exported"].read_text().split("\0")[:-1]

    @property
    def said(self) -> list[str]:
        """Return the commands' output; the shell prints each command before it runs."""
        return [line for line in self.output if not line.startswith("$ ")]


# --- Reading ---


def test_every_section_of_a_specification_is_read() -> None:
    # Given a YAML buildspec with everything that this repository's projects use, and more
    text = """
        version: 0.2
        env:
          shell: bash
          variables: {LEVEL: 3, NAME: slipway}
          parameter-store: {TOKEN: /slipway/token}
          secrets-manager: {KEY: "slipway:key"}
          exported-variables: [CODEBUILD_BUILD_URL]
        phases:
          install:
            runtime-versions: {nodejs: 24}
            commands: [npm ci]
          build:
            on-failure: ABORT
            commands:
              - make
              - make test
            finally: [make clean]
        reports:
          tests: {files: ["*.xml"], base-directory: build/reports}
          coverage: {files: [coverage.xml], file-format: COBERTURAXML}
        artifacts:
          files: ["**/*"]
          base-directory: cdk.out
          exclude-paths: ["*.log"]
          discard-paths: yes
          secondary-artifacts:
            Reports: {files: [report.html]}
        cache: {paths: [/root/.npm]}
    """
    # When it is read
    spec = BuildSpec.read(text, "Synth")
    # Then every section is read
    assert spec.shell == "bash"
    assert spec.variables == {"LEVEL": "3", "NAME": "slipway"}
    assert spec.parameters == {"TOKEN": "/slipway/token"}
    assert spec.secrets == {"KEY": "slipway:key"}
    assert list(spec.exported) == ["CODEBUILD_BUILD_URL"]
    assert spec.runtimes == {"nodejs": "24"}
    assert spec.phases["install"] == Phase(("npm ci",))
    assert spec.phases["build"] == Phase(("make", "make test"), ("make clean",), "ABORT")
    assert [(each.name, each.format, each.files.base) for each in spec.reports] == [
        ("tests", "JUNITXML", "build/reports"),
        ("coverage", "COBERTURAXML", "."),
    ]
    assert spec.artifacts == Files(("**/*",), "cdk.out", ("*.log",), flat=True)
    assert spec.secondary == {"Reports": Files(("report.html",))}


def test_the_smallest_specification_is_empty() -> None:
    spec = _spec()
    assert (spec.shell, spec.phases, spec.artifacts, spec.secondary) == ("sh", {}, None, {})


@pytest.mark.parametrize("version", ["0.2", 0.2])
def test_the_version_is_a_number_or_a_text(version: object) -> None:
    assert BuildSpec.read(json.dumps({"version": version}), "Synth").shell == "sh"


def test_one_pattern_may_stand_without_a_list() -> None:
    assert _spec(artifacts={"files": "**/*"}).artifacts == Files(("**/*",))
    assert _phases(build={"commands": "make all"}).phases["build"].commands == ("make all",)


def test_a_phase_without_anything_is_empty() -> None:
    assert BuildSpec.read("version: 0.2\nphases:\n  build:\n", "Synth").phases == {"build": Phase()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: 0.2\nphases: {", "Synth: the build specification is not YAML"),
        ("- a list", "Synth: the build specification is not of version 0.2"),
        ("", "Synth: the build specification is not of version 0.2"),
        ('{"version": "0.1"}', "Synth: the build specification is not of version 0.2"),
        ('{"version": 0.2, "batch": {}}', "Synth: the player does not support batch in a build specification"),
        (
            '{"version": 0.2, "env": {"git": 1}}',
            "Synth: env: the player does not support git",
        ),
        ('{"version": 0.2, "env": {"shell": "powershell"}}', "Synth: the player does not support the shell powershell"),
        ('{"version": 0.2, "phases": {"deploy": {}}}', "Synth: unknown phase deploy"),
        ('{"version": 0.2, "phases": {"build": {"run-as": "me"}}}', "Synth: build: the player does not support run-as"),
        (
            '{"version": 0.2, "phases": {"build": {"on-failure": "RETRY"}}}',
            "Synth: build: the player does not support on-failure RETRY",
        ),
        (
            '{"version": 0.2, "artifacts": {"s3-prefix": "a"}}',
            "Synth: artifacts: the player does not support s3-prefix",
        ),
        ('{"version": 0.2, "reports": {"a": {"name": "b"}}}', "Synth: report a: the player does not support name"),
        ('{"version": 0.2, "phases": []}', "Synth: phases: found a list, not keys and values"),
        ('{"version": 0.2, "phases": {"build": "make"}}', "Synth: build: found a text, not keys and values"),
        (
            '{"version": 0.2, "phases": {"build": {"commands": [{"echo": "a"}]}}}',
            "Synth: build: commands: found {'echo': 'a'}, not a string",
        ),
        (
            '{"version": 0.2, "artifacts": {"files": {"a": 1}}}',
            "Synth: artifacts: files: found {'a': '1'}, not a list of strings",
        ),
        (
            '{"version": 0.2, "artifacts": {"secondary-artifacts": {"Reports": {"run": 1}}}}',
            "Synth: artifact Reports: the player does not support run",
        ),
    ],
)
def test_unplayable_specification_is_one_line_with_reason(text: str, message: str) -> None:
    with pytest.raises(RehearsalError) as error:
        BuildSpec.read(text, "Synth")
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("written", ["true", "yes", "1.10", "0123", "0x1f", "1_000", "1e3", "2026-11-29", "12:30:45"])
def test_scalars_are_read_as_they_are_written(written: str) -> None:
    # Given a buildspec with scalars that YAML 1.1 would turn into booleans, numbers and dates
    text = f"""
        version: 0.2
        env: {{variables: {{VALUE: {written}}}}}
        phases: {{install: {{runtime-versions: {{python: {written}}}, commands: [{written}]}}}}
    """
    # When it is read
    spec = BuildSpec.read(text, "Synth")
    # Then each is read as a string, exactly as written
    assert spec.variables == {"VALUE": written}
    assert spec.runtimes == {"python": written}
    assert spec.phases["install"].commands == (written,)


def test_a_variable_without_a_value_is_refused() -> None:
    with pytest.raises(RehearsalError, match="VALUE: found None, not a string"):
        BuildSpec.read("{version: 0.2, env: {variables: {VALUE: }}}", "Synth")


@pytest.mark.parametrize(("written", "read"), [("yes", True), ("true", True), ("no", False), (None, False)])
def test_git_has_credentials_if_requested(written: str | None, read: bool) -> None:
    env = {"git-credential-helper": written} if written else {}
    assert _spec(env=env).git_credentials is read


_NAMES = st.sampled_from(
    [
        *("version", "env", "phases", "reports", "artifacts", "cache", "shell", "variables", "exported-variables"),
        *("parameter-store", "secrets-manager", *PHASES, "commands", "finally", "on-failure", "runtime-versions"),
        *("files", "base-directory", "exclude-paths", "secondary-artifacts", "discard-paths", "file-format"),
    ]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["0.2", "bash", "**/*", "ABORT", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(_NAMES, _VALUES, max_size=6))
def test_any_specification_is_read_or_refused(content: dict[str, Any]) -> None:
    text = json.dumps({**content, "version": 0.2})
    try:
        said = BuildSpec.read(text, "Synth").script()
    except RehearsalError as error:
        said = str(error)
    assert said.startswith(("Synth: ", "CODEBUILD_BUILD_SUCCEEDING=1"))


# --- Running ---


@pytest.mark.programs
def test_phases_are_played_in_codebuilds_order_in_one_shell(tmp_path: Path) -> None:
    # Given phases in a different order than CodeBuild's, which depend on each other
    spec = _phases(
        post_build=["echo $PWD $NAME"],
        build=["mkdir -p made", "cd made", 'export NAME="a b"'],
        install=["echo install"],
        pre_build=["echo pre"],
    )
    # When they run
    played = Played(spec, tmp_path)
    # Then each phase sees what the phases before it left
    assert played.said == ["install", "pre", f"{tmp_path}/made a b"]
    assert played.code == 0
    assert played.phases == [line for name in PHASES for line in (f"begin {name}", f"end {name} 0")]


@pytest.mark.programs
def test_each_command_is_printed_before_it_runs(tmp_path: Path) -> None:
    played = Played(_phases(build=["echo 'one; two'", "printf '%s\\n' $((1 + 1))"]), tmp_path)
    assert played.output == ["$ echo 'one; two'", "one; two", "$ printf '%s\\n' $((1 + 1))", "2"]


@pytest.mark.programs
def test_a_command_of_many_lines_is_one_command(tmp_path: Path) -> None:
    played = Played(_phases(build=["for word in a b; do\n  echo $word\ndone\nfalse\n", "echo never"]), tmp_path)
    assert played.output[-2:] == ["a", "b"]
    assert played.code == 1


@pytest.mark.programs
@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize(
    ("block", "code"),
    [
        ("set -e\nfalse\necho never\n", 1),
        ("set -e\n(exit 6)\necho never\n", 6),
        ("set -e\nif true; then\n  (exit 6)\n  echo never\nfi\n", 6),
        ("exit 6\necho never\n", 6),
    ],
)
def test_a_block_that_ends_the_shell_fails(tmp_path: Path, shell: str, block: str, code: int) -> None:
    # Given a block of lines that must stop at the first failing line
    build = {"commands": [block, "echo never"], "finally": ["echo at last"]}
    spec = _spec(env={"shell": shell}, phases={"build": build, "post_build": {"commands": ["echo post"]}})
    # When it runs
    played = Played(spec, tmp_path)
    # Then its remaining lines are skipped, and what CodeBuild runs after a failed build still runs
    assert [line for line in played.said if line in {"never", "at last", "post"}] == ["at last", "post"]
    assert played.code == code
    assert played.phases == ["begin build", f"end build {code}", "begin post_build", "end post_build 0"]


@pytest.mark.programs
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_errors_end_later_commands_too(tmp_path: Path, shell: str) -> None:
    spec = _spec(env={"shell": shell}, phases={"build": {"commands": ["set -e", "false; echo never"]}})
    played = Played(spec, tmp_path)
    assert (played.said, played.code) == ([], 1)


@pytest.mark.programs
def test_a_command_may_not_end_the_shell_as_done(tmp_path: Path) -> None:
    played = Played(_phases(build=["exit 0", "echo never"]), tmp_path)
    assert (played.said, played.code) == ([], 1)
    assert "a command ended the shell with code 0" in played.error


@pytest.mark.programs
def test_the_last_command_of_a_phase_may_exit(tmp_path: Path) -> None:
    played = Played(_phases(build=["exit 0"], post_build=["echo post"]), tmp_path)
    assert (played.said, played.code) == (["post"], 0)


@pytest.mark.programs
def test_a_failing_command_ends_its_phase_with_its_code(tmp_path: Path) -> None:
    played = Played(_phases(pre_build=["echo one", "(exit 7)", "echo never"], build=["echo never"]), tmp_path)
    assert played.said == ["one"]
    assert played.code == 7
    assert played.phases == ["begin pre_build", "end pre_build 7"]


@pytest.mark.programs
def test_finally_runs_after_a_failed_phase_too(tmp_path: Path) -> None:
    failing = {"commands": ["false", "echo never"], "finally": ["echo at last"]}
    played = Played(_phases(install={"commands": ["echo in"], "finally": ["echo after"]}, build=failing), tmp_path)
    assert played.said == ["in", "after", "at last"]
    assert played.code == 1


@pytest.mark.programs
def test_a_failing_finally_fails_the_phase(tmp_path: Path) -> None:
    played = Played(_phases(install={"commands": ["true"], "finally": ["(exit 5)"]}, build=["echo never"]), tmp_path)
    assert played.code == 5
    assert played.phases == ["begin install", "end install 5"]


@pytest.mark.programs
def test_the_code_is_that_of_what_failed_first(tmp_path: Path) -> None:
    failing = {"commands": ["(exit 3)"], "finally": ["(exit 4)"]}
    assert Played(_phases(build=failing, post_build=["(exit 5)"]), tmp_path).code == 3


@pytest.mark.programs
@pytest.mark.parametrize(
    ("failing", "on_failure", "begun"),
    [
        # https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details-phases.html
        ("install", None, ["install"]),
        ("pre_build", None, ["install", "pre_build"]),
        ("build", None, ["install", "pre_build", "build", "post_build"]),
        ("post_build", None, ["install", "pre_build", "build", "post_build"]),
        ("build", "ABORT", ["install", "pre_build", "build"]),
        ("install", "CONTINUE", ["install", "pre_build", "build", "post_build"]),
        ("pre_build", "CONTINUE", ["install", "pre_build", "build", "post_build"]),
    ],
)
def test_phases_after_a_failed_phase(tmp_path: Path, failing: str, on_failure: str | None, begun: list[str]) -> None:
    # Given a buildspec with one failing phase
    phases: dict[str, Any] = {name: {"commands": ["true"]} for name in PHASES}
    phases[failing] = {"commands": ["(exit 9)"], **({"on-failure": on_failure} if on_failure else {})}
    # When it runs
    played = Played(_spec(phases=phases), tmp_path)
    # Then the phases that follow are CodeBuild's, and the build fails in every case
    assert [line.split()[1] for line in played.phases if line.startswith("begin")] == begun
    assert played.code == 9


@pytest.mark.programs
def test_phases_after_a_failure_see_its_variable(tmp_path: Path) -> None:
    played = Played(_phases(build=["false"], post_build=["echo $CODEBUILD_BUILD_SUCCEEDING"]), tmp_path)
    assert played.said == ["0"]


@pytest.mark.programs
def test_variables_are_exported_as_they_are_at_the_end(tmp_path: Path) -> None:
    spec = _spec(
        env={"exported-variables": ["LINES", "UNSET", "LAST"]},
        phases={
            "build": {"commands": ["LINES='one\ntwo = 2'", "LAST=early"]},
            "post_build": {"commands": ["LAST=late"]},
        },
    )
    assert Played(spec, tmp_path).exported == ["LINES=one\ntwo = 2", "UNSET=", "LAST=late"]


@pytest.mark.programs
@pytest.mark.parametrize("last", ["(exit 4)", "exit 4"])
def test_variables_are_exported_from_a_build_that_failed(tmp_path: Path, last: str) -> None:
    spec = _spec(env={"exported-variables": ["MADE"]}, phases={"install": {"commands": ["MADE=1", last]}})
    played = Played(spec, tmp_path)
    assert (played.code, played.exported) == (4, ["MADE=1"])


@pytest.mark.programs
def test_the_shell_is_the_one_that_it_names(tmp_path: Path) -> None:
    spec = _spec(env={"shell": "bash"}, phases={"build": {"commands": ["[[ a == a ]] && echo ${BASH_VERSION:+bash}"]}})
    assert Played(spec, tmp_path).said == ["bash"]


_COMMANDS = st.lists(st.sampled_from(["true", "false", "(exit 3)", "echo said"]), max_size=3)


@pytest.mark.programs
@settings(max_examples=25, deadline=None)
@given(st.fixed_dictionaries(dict.fromkeys(PHASES, _COMMANDS)))
def test_a_build_succeeds_if_every_command_does(phases: dict[str, list[str]]) -> None:
    # The shell decides; its exit code is compared with the one computed from the commands' own codes
    script = _phases(**phases).script()
    environment = {"PATH": "/usr/bin:/bin", "SLIPWAY_PHASES": "/dev/null", "SLIPWAY_EXPORTED": "/dev/null"}
    code = subprocess.run(["sh", "-c", script], env=environment, check=False, capture_output=True).returncode
    codes = {"true": 0, "false": 1, "(exit 3)": 3, "echo said": 0}
    failures = [codes[command] for name in PHASES for command in phases[name] if codes[command]]
    assert code == (failures[0] if failures else 0)


# --- Files ---


def _tree(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


TREE = ("a.txt", "b.json", "sub/a.txt", "sub/deep/c.txt", "other/a.txt", ".hidden")


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["**/*"], sorted(TREE)),
        (["*"], [".hidden", "a.txt", "b.json"]),
        (["*.txt"], ["a.txt"]),
        (["a.txt"], ["a.txt"]),
        (["sub/a.txt"], ["sub/a.txt"]),
        (["**/a.txt"], ["a.txt", "other/a.txt", "sub/a.txt"]),
        (["**/*.txt"], ["a.txt", "other/a.txt", "sub/a.txt", "sub/deep/c.txt"]),
        (["sub/*"], ["sub/a.txt"]),
        (["sub/**/*"], ["sub/a.txt", "sub/deep/c.txt"]),
        (["*/a.txt"], ["other/a.txt", "sub/a.txt"]),
        (["?.json", "sub/[a-c].txt"], ["b.json", "sub/a.txt"]),
        (["A.txt", "nothing"], []),
    ],
)
def test_patterns_match_as_in_codebuild(tmp_path: Path, patterns: list[str], found: list[str]) -> None:
    _tree(tmp_path, *TREE)
    assert sorted(name for _, name in Files(tuple(patterns)).found(tmp_path)) == found


def test_excluded_files_are_left_out(tmp_path: Path) -> None:
    _tree(tmp_path, *TREE)
    files = Files(("**/*",), excluded=("**/a.txt", ".hidden"))
    assert [name for _, name in files.found(tmp_path)] == ["b.json", "sub/deep/c.txt"]


def test_files_are_named_from_their_base(tmp_path: Path) -> None:
    _tree(tmp_path, *TREE)
    assert list(Files(("**/*",), base="sub").found(tmp_path)) == [
        (tmp_path / "sub" / "a.txt", "a.txt"),
        (tmp_path / "sub" / "deep" / "c.txt", "deep/c.txt"),
    ]
    assert list(Files(("**/*",), base="not there").found(tmp_path)) == []


def test_without_their_paths_files_have_their_names(tmp_path: Path) -> None:
    _tree(tmp_path, "sub/deep/c.txt")
    assert [name for _, name in Files(("**/*",), flat=True).found(tmp_path)] == ["c.txt"]


def test_a_base_with_a_wildcard_means_every_folder_that_matches(tmp_path: Path) -> None:
    # Given folders of which some match, and a file that matches too
    _tree(tmp_path, "site-a/one.txt", "site-b/sub/two.txt", "other/three.txt", "site-c")
    # When their files are searched
    found = [name for _, name in Files(("**/*",), base="site-*").found(tmp_path)]
    # Then they are named relative to the folders that matched
    assert found == ["one.txt", "sub/two.txt"]
