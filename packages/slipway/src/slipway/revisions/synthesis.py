"""Synthesise another revision with its own code, without running the gates."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from slipway.assembly.reader import is_assembly
from slipway.git import Repository, Revision
from slipway.narrowing import narrowed_to
from slipway.process import Processes
from slipway.project import own_packages
from slipway.revisions.errors import SynthesisError
from slipway.revisions.recipes import Recipe, install, short_hash, synthesize

CACHE = Path("build", "review")
"""Folder of the cached assemblies, by commit, in a project created from our template; relative to its root."""

KEPT = 5
"""Maximum number of cached assemblies."""

LOCKS = (".npmrc", "requirements/bootstrap.txt", "requirements/dev.txt", "package.json", "package-lock.json")
"""Files that determine a revision's packages: revisions with equal ones share an installation."""

_HERE = "head-"
_TREE = "the working tree"
_OURS = ("app.py", "Makefile", "config/pipeline.toml")
DRIVER = Path(__file__).with_name("driver.py")
"""Script that synthesises a revision of a project created from our template, in its working tree."""

_INSTALLED = (".venv", "node_modules")
_ASSETS = Path("build", "assets")
# The CLI passes this to an app besides its own context (aws-cdk's `prepareContext`); with it these templates equal
# those of `cdk synth`.
_CONTEXT = {
    "aws:cdk:enable-path-metadata": True,
    "aws:cdk:enable-asset-metadata": True,
    "aws:cdk:version-reporting": True,
    "aws:cdk:bundling-stacks": ["**"],
    # A construct's position in the code is not part of a template, and takes time to determine.
    "aws:cdk:disable-stack-trace": True,
}
# Settings of the make that runs this process; a nested make would apply them to itself.
_OF_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "BASE", "HEAD")

_Read = TypeVar("_Read")

Runner = Callable[[Sequence[str], Path, Mapping[str, str], str], None]
"""Runs a command in a folder with environment variables. If it fails, the error begins with the last argument."""


@dataclass(frozen=True, kw_only=True)
class Project:
    """A CDK app in a repository.

    Args:
        repository: The repository.
        folder: Folder of the app from its root; `.` for the root.
        recipe: How it is synthesised.
    """

    repository: Repository
    folder: Path = Path()
    recipe: Recipe = field(default_factory=Recipe)

    @property
    def here(self) -> Path:
        """Its folder in the working tree."""
        return self.repository.root / self.folder

    @property
    def is_ours(self) -> bool:
        """Return True if it was created from our template, which builds assets first and synthesises without gates."""
        return self.recipe == Recipe() and all((self.here / name).is_file() for name in _OURS)

    @property
    def cache(self) -> Path:
        """Return the cache folder of its assemblies, which is never inside another project's working tree."""
        if self.is_ours:
            return self.here / CACHE
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return root / "slipway" / "review" / f"{self.here.name}-{short_hash(str(self.here.resolve()))}"


def synthesise_revision(
    project: Project,
    revision: Revision,
    processes: Processes,
    read: Callable[[Path], _Read],
    say: Callable[[str], None] = lambda _: None,
) -> _Read:
    """Synthesise a revision, or take it from the cache, and read its assembly.

    Args:
        project: The app.
        revision: The revision.
        processes: Runs the synthesis.
        read: Reads the assembly, which may be deleted afterwards.
        say: Called before slow steps.

    Raises:
        SynthesisError: It does not synthesise.
    """
    cache = project.cache
    name = "-".join(filter(None, [revision.commit, *narrowed_to(), project.recipe.key]))
    folder = cache / name
    kept = folder / "cdk.out"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{name}.lock"):
        if not kept.is_dir():
            made = folder / "unfinished"
            shutil.rmtree(made, ignore_errors=True)
            with project.repository.checkout(revision, folder / "tree") as tree:
                if project.is_ours:
                    run = _runner(processes)
                    links = provide_packages(tree, project.repository.root, run, str(revision))
                    try:
                        synthesise_tree(tree, made, run, str(revision))
                    finally:
                        for link in links:
                            link.unlink(missing_ok=True)
                else:
                    _synthesise_any(project, tree, made, processes, name=str(revision), say=say)
                # Only finished assemblies are visible to the next run.
                made.rename(kept)
        os.utime(folder)
        _forget(cache, name)
        return read(kept)


def synthesise_here(
    project: Project,
    processes: Processes,
    read: Callable[[Path], _Read],
    say: Callable[[str], None] = lambda _: None,
) -> _Read:
    """Synthesise the working tree as it is, with the packages that are installed there, and read its assembly.

    Args:
        project: The app.
        processes: Runs the synthesis.
        read: Reads the assembly, which may be deleted afterwards.
        say: Called before slow steps.

    Raises:
        SynthesisError: It does not synthesise.
    """
    cache = project.cache
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_HERE, dir=cache) as folder:
        made = Path(folder, "cdk.out")
        if project.is_ours:
            synthesise_tree(project.here, made, _runner(processes), _TREE)
        else:
            _synthesise_any(project, project.repository.root, made, processes, name=_TREE, say=say)
        return read(made)


def _synthesise_any(
    project: Project,
    tree: Path,
    made: Path,
    processes: Processes,
    *,
    name: str,
    say: Callable[[str], None],
) -> None:
    """Synthesise an app that is not made from our template, in the working tree or in a checkout with its packages."""
    folder = tree / project.folder

    def named(text: str) -> None:
        say(f"{name}: {text}")

    links: list[Path] = []
    try:
        if tree != project.repository.root and project.recipe.command is None:
            links = install(folder, project.here, processes, named)
        synthesize(folder, made, project.recipe, processes, say=named)
    except SynthesisError as error:
        raise SynthesisError(f"{name}: {error}") from None
    finally:
        for link in links:
            link.unlink(missing_ok=True)


def _forget(cache: Path, newest: str) -> None:
    """Delete the assemblies of revisions that were not used recently."""
    # A working tree's assembly may still be in progress, and is deleted separately.
    kept = (path for path in cache.glob("*/cdk.out") if not path.parent.name.startswith(_HERE))
    folders = sorted(kept, key=lambda path: path.parent.stat().st_mtime, reverse=True)
    for path in folders[KEPT:]:
        if path.parent.name != newest:
            shutil.rmtree(path.parent, ignore_errors=True)
            (cache / f"{path.parent.name}.lock").unlink(missing_ok=True)


def have_same_packages(one: Path, other: Path) -> bool:
    """Return True if two trees lock the same packages, so that they can share an installation."""
    return all(_content(one / lock) == _content(other / lock) for lock in LOCKS)


def provide_packages(tree: Path, root: Path, run: Runner, name: str) -> list[Path]:
    """Provide a tree's packages: the repository's own if the locks are equal, else a separate installation.

    Args:
        tree: Tree of the revision.
        root: The repository's own tree, where packages are installed.
        run: Runs the installation.
        name: Name of the revision, for messages.

    Returns:
        The links that were made to packages of the repository's own tree.

    Raises:
        SynthesisError: The packages cannot be installed.
    """
    if not have_same_packages(tree, root):
        run(["make", "install"], tree, environment(tree), f"the packages of {name} cannot be installed")
        return []
    links = [tree / installed for installed in _INSTALLED if (root / installed).exists()]
    for link in links:
        link.symlink_to((root / link.name).resolve(), target_is_directory=True)
    if (root / _ASSETS).is_dir():
        # Its own build decides which of these are up to date, by their inputs and digests.
        shutil.copytree(root / _ASSETS, tree / _ASSETS, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
    return links


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def synthesise_tree(
    tree: Path, outdir: Path, run: Runner, name: str, variables: Mapping[str, str] | None = None
) -> None:
    """Build and synthesise a tree of an app made from our template, without judging it.

    Args:
        tree: The tree, with its packages.
        outdir: Folder for the assembly.
        run: Runs the build and the synthesis.
        name: Name of the revision, for messages.
        variables: Added to the environment. Default: none.

    Raises:
        SynthesisError: It does not build or synthesise.
    """
    env = {**environment(tree), **(variables or {})}
    # Mark the packages as installed; make would compare file dates, which a fresh checkout lacks.
    installed = ["--old-file=install", "--old-file=.venv/.installed"]
    run(["make", "--no-print-directory", *installed, "build"], tree, env, f"{name} does not build")
    failed = f"{name} does not synthesise"
    run([str(_python(tree)), "-O", str(DRIVER), str(outdir)], tree, env, failed)
    if not is_assembly(outdir):
        raise SynthesisError(f"{failed}: its app.py wrote no assembly")


def _python(tree: Path) -> Path:
    own = tree / ".venv" / "bin" / "python"
    return own if own.exists() else Path(sys.executable)


def environment(tree: Path) -> dict[str, str]:
    """Return the environment variables of a synthesis in a tree: its own tools, and what the CDK CLI would pass."""
    # Without bytecode every synthesis would compile aws_cdk again, for seconds.
    dropped = {*_OF_MAKE, "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    env = {name: value for name, value in os.environ.items() if name not in dropped}
    tools = [str(tree / ".venv" / "bin"), str(tree / "node_modules" / ".bin"), str(Path(sys.executable).parent)]
    env["PATH"] = os.pathsep.join([*tools, env.get("PATH", "")])
    # A revision that contains the tool runs its own version, not the installed one.
    env |= own_packages(tree)
    env["CDK_CONTEXT_JSON"] = json.dumps(_CONTEXT)
    # Without CDK's own template checks and the packs, which judge templates but don't change them.
    env["CDK_VALIDATION"] = "false"
    env["CDK_DISABLE_CLI_TELEMETRY"] = "true"
    return env


def _runner(processes: Processes) -> Runner:
    def run(command: Sequence[str], tree: Path, env: Mapping[str, str], failed: str) -> None:
        done = processes.run(command, folder=tree, environment=env, tree=True)
        if done.returncode != 0:
            raise SynthesisError(f"{failed}: {done.reason}")

    return run
