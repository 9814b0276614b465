"""Synthesise a revision of any CDK app: its packages by its own lock files, its templates by its own `cdk.json`.

The app is run as the CDK CLI runs it (https://github.com/aws/aws-cdk-cli, `packages/aws-cdk/lib/cxapp/exec.ts`): the
command in `cdk.json`, with its context and the output folder in the environment. This needs no CDK CLI, so no CLI can
refuse an assembly because of its schema. For other ways to synthesise, the caller passes the command.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from slipway.assembly.reader import MANIFEST_FILE
from slipway.process import Processes
from slipway.revisions.errors import SynthesisError

_CONFIGURATION: Final = "cdk.json"
_LOOKED_UP: Final = "cdk.context.json"
_DEFAULT_OUTPUT: Final = "cdk.out"

_LONGEST_CONTEXT: Final = 100_000
"""Linux allows 131,072 bytes in one variable (`MAX_ARG_STRLEN`); a longer context is passed in a file."""

_CONTEXT: Final[Mapping[str, Any]] = {
    "aws:cdk:enable-path-metadata": True,
    "aws:cdk:enable-asset-metadata": True,
    "aws:cdk:version-reporting": True,
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to synthesise a project.

    Args:
        command: Command that installs packages and synthesises it. Default: according to its lock files and `cdk.json`.
        bundles: True to bundle functions, as the CLI does. Otherwise Docker is not needed, but new code of a bundled
            function is not noticed.
    """

    command: str | None = None
    bundles: bool = True

    @property
    def key(self) -> str:
        """Return a folder name that distinguishes the assemblies of one commit."""
        return "" if self == Recipe() else short_hash(f"{self.command} {self.bundles}")


def short_hash(text: str) -> str:
    """Return a short digest of texts, for names of folders."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class _Installer:
    """The command that installs the packages of a lock file.

    Args:
        lock: Name of the lock file.
        installed: Folder that the packages are in.
        commands: Commands that install them there.
        others: Files that count besides the lock file.
    """

    lock: str
    installed: str
    commands: tuple[tuple[str, ...], ...]
    others: tuple[str, ...] = ()


_NODE = (
    _Installer("package-lock.json", "node_modules", (("npm", "ci", "--no-audit", "--no-fund"),), ("package.json",)),
    _Installer("npm-shrinkwrap.json", "node_modules", (("npm", "ci", "--no-audit", "--no-fund"),), ("package.json",)),
    _Installer("pnpm-lock.yaml", "node_modules", (("pnpm", "install", "--frozen-lockfile"),), ("package.json",)),
    _Installer("yarn.lock", "node_modules", (("yarn", "install", "--frozen-lockfile"),), ("package.json",)),
)
_PYTHON = (
    _Installer("uv.lock", ".venv", (("uv", "sync", "--frozen"),), ("pyproject.toml",)),
    _Installer("poetry.lock", ".venv", (("poetry", "install", "--no-interaction"),), ("pyproject.toml",)),
    _Installer(
        "requirements.txt",
        ".venv",
        (
            ("python3", "-m", "venv", ".venv"),
            (".venv/bin/python", "-m", "pip", "install", "-q", "-r", "requirements.txt"),
        ),
    ),
)
"""Package managers by their lock files; the first match of a language is used. Go, Java and .NET install packages when
the app's own command runs.
"""


def install(project: Path, beside: Path, processes: Processes, say: Callable[[str], None]) -> list[Path]:
    """Provide a checkout's packages: the working tree's if the locks are equal, else a separate installation.

    Args:
        project: The project in the checkout.
        beside: The project in the working tree.
        processes: Runs the installers.
        say: Called before slow steps.

    Returns:
        The links that were made to packages of the working tree.

    Raises:
        SynthesisError: The packages cannot be installed.
    """
    links = []
    for language in (_NODE, _PYTHON):
        installer = next((one for one in language if (project / one.lock).is_file()), None)
        if installer is None or (project / installer.installed).exists():
            continue
        files = (installer.lock, *installer.others)
        same = all(_content(project / file) == _content(beside / file) for file in files)
        if same and (beside / installer.installed).is_dir():
            link = project / installer.installed
            link.symlink_to(beside / installer.installed, target_is_directory=True)
            links.append(link)
            continue
        say(f"installing its packages ({installer.lock})")
        for command in installer.commands:
            _checked(processes, command, project, f"its packages cannot be installed ({installer.lock})")
    return links


def synthesize(
    project: Path, outdir: Path, recipe: Recipe, processes: Processes, *, say: Callable[[str], None]
) -> None:
    """Synthesise a project into a folder.

    Args:
        project: Folder with its `cdk.json`.
        outdir: Folder for the assembly, which does not exist yet.
        recipe: How it is synthesised.
        processes: Runs the commands.
        say: Called with notes for the review's reader.

    Raises:
        SynthesisError: It does not synthesise.
    """
    configuration = _configuration(project, required=recipe.command is None)
    commands = [recipe.command] if recipe.command is not None else list(_commands(project, configuration))
    started = time.time()
    with _environment(project, outdir, configuration, recipe) as env:
        for command in commands:
            done = processes.run(["/bin/sh", "-c", command], folder=project, environment=env, tree=True)
            if done.returncode == 0:
                continue
            # If a construct reports an error, as rule packs do, the CLI fails but still writes the assembly.
            if command is not commands[-1] or _written(project, outdir, configuration, started) is None:
                raise SynthesisError(f"it does not synthesise (`{command}`): {done.reason}{_hint(done.stderr)}")
            say(f"`{command}` ended with exit code {done.returncode}, and wrote its assembly")
    written = _written(project, outdir, configuration, started)
    if written is None:
        raise SynthesisError(f"it does not synthesise: `{commands[-1]}` wrote no assembly to {outdir.name} or cdk.out")
    if written != outdir:
        shutil.copytree(written, outdir)


def _configuration(project: Path, *, required: bool) -> Mapping[str, Any]:
    path = project / _CONFIGURATION
    if not path.is_file():
        if required:
            raise SynthesisError(
                f"{path} is missing: name the project's folder with --project, or its command with --synth"
            )
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SynthesisError(f"{path} is not JSON ({error})") from None
    return content if isinstance(content, dict) else {}


def _commands(project: Path, configuration: Mapping[str, Any]) -> Iterator[str]:
    if build := configuration.get("build"):
        yield str(build)
    app = configuration.get("app")
    if not isinstance(app, str) or not app.strip():
        raise SynthesisError(f"{project / _CONFIGURATION} names no app: name the project's command with --synth")
    first = app.split()[0]
    # The CLI starts a script by its extension (`guessExecutable`).
    yield f"{shlex.quote(_node())} {app}" if first.endswith(".js") and (project / first).is_file() else app


def _node() -> str:
    return shutil.which("node") or "node"


@contextmanager
def _environment(
    project: Path, outdir: Path, configuration: Mapping[str, Any], recipe: Recipe
) -> Iterator[dict[str, str]]:
    """Yield the environment variables of an app, as the CLI sets them."""
    env = {name: value for name, value in os.environ.items() if name not in {"PYTHONHOME", "PYTHONPATH"}}
    tools = [project / "node_modules" / ".bin", project / ".venv" / "bin"]
    if tools[1].is_dir():
        env["VIRTUAL_ENV"] = str(project / ".venv")
    own = Path(sys.prefix, "bin")
    # The app must not see the tool's own packages.
    others = [
        folder for folder in env.get("PATH", "").split(os.pathsep) if Path(folder) != own or not tools[1].is_dir()
    ]
    env["PATH"] = os.pathsep.join([*(str(folder) for folder in tools if folder.is_dir()), *others])
    env["CDK_OUTDIR"] = str(outdir)
    # The CLI reads its own options from variables: this is `--output`.
    env["CDK_OUTPUT"] = str(outdir)
    env["CDK_DISABLE_CLI_TELEMETRY"] = "true"
    context = {
        **_object(project / _LOOKED_UP),
        **(configuration.get("context") or {}),
        **_CONTEXT,
        "aws:cdk:bundling-stacks": ["**"] if recipe.bundles else [],
    }
    text = json.dumps(context)
    if len(text) <= _LONGEST_CONTEXT:
        env["CDK_CONTEXT_JSON"] = text
        yield env
        return
    file = outdir.with_name(f"{outdir.name}.context.json")
    file.write_text(text, encoding="utf-8")
    env["CONTEXT_OVERFLOW_LOCATION"] = str(file)
    try:
        yield env
    finally:
        file.unlink(missing_ok=True)


def _object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SynthesisError(f"{path} is not JSON ({error})") from None
    return content if isinstance(content, dict) else {}


def _written(project: Path, outdir: Path, configuration: Mapping[str, Any], started: float) -> Path | None:
    """Return the folder that this run wrote its assembly to."""
    folders = [outdir, project / str(configuration.get("output") or _DEFAULT_OUTPUT)]
    for folder in folders:
        manifest = folder / MANIFEST_FILE
        # File systems round times; an assembly of an earlier run is older than that.
        if manifest.is_file() and manifest.stat().st_mtime >= started - 1:
            return folder
    return None


def _hint(error: str) -> str:
    if "CDK_DEFAULT_ACCOUNT" in error or "CDK_DEFAULT_REGION" in error:
        return " (set CDK_DEFAULT_ACCOUNT and CDK_DEFAULT_REGION, as the CDK CLI does from your credentials)"
    return ""


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _checked(processes: Processes, command: Sequence[str], project: Path, failed: str) -> None:
    if shutil.which(command[0], path=f"{project}:{os.environ.get('PATH', '')}") is None and "/" not in command[0]:
        raise SynthesisError(f"{failed}: {command[0]} is not installed")
    env = {**os.environ, "POETRY_VIRTUALENVS_IN_PROJECT": "true"}
    env.pop("VIRTUAL_ENV", None)
    done = processes.run(command, folder=project, environment=env, tree=True)
    if done.returncode != 0:
        raise SynthesisError(f"{failed}: {done.reason}")
