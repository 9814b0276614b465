"""Synthesise a revision with its own code, beside this one and without judging it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from slipway.assembly.reader import is_assembly
from slipway.git import Repository, Revision
from slipway.process import Processes
from slipway.project import own_packages
from slipway.review.assembly import Assembly, read_assembly
from slipway.review.errors import ReviewError
from slipway.review.projects import Recipe, install, short_hash, synthesize

CACHE = Path("build", "review")
"""Where the assemblies of revisions are kept, by commit, in a project made from our template; from its root."""

KEPT = 5
"""How many of them are kept."""

ONLY = "SLIPWAY_SERVICES"
"""Variable that narrows an app to some services (`app.py`): its assembly is another one."""

LOCKS = ("requirements/bootstrap.txt", "requirements/dev.txt", "package.json", "package-lock.json")
"""What decides which packages a revision wants."""

_HERE = "head-"
_TREE = "the working tree"
_OURS = ("app.py", "Makefile", "config/pipeline.toml")
DRIVER = Path(__file__).with_name("driver.py")
"""What synthesises a revision of a project made from our template, in its working tree."""

_INSTALLED = (".venv", "node_modules")
_ASSETS = Path("build", "assets")
# What the CLI tells an app besides its own context (aws-cdk's `prepareContext`), so that these templates are those that
# `cdk synth` writes.
_CONTEXT = {
    "aws:cdk:enable-path-metadata": True,
    "aws:cdk:enable-asset-metadata": True,
    "aws:cdk:version-reporting": True,
    "aws:cdk:bundling-stacks": ["**"],
    # Where in the code a construct was made is no part of a template, and takes time to find out.
    "aws:cdk:disable-stack-trace": True,
}
# Settings of the make that runs this; another make would take them for its own.
_OF_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "BASE", "HEAD")


@dataclass(frozen=True, kw_only=True)
class Project:
    """A CDK app in a repository.

    Args:
        repository: the repository.
        folder: folder of the app from its root; `.` for the root.
        recipe: how it is synthesised.
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
        """Whether it is made from our template, which builds its assets first and synthesises without judging."""
        return self.recipe == Recipe() and all((self.here / name).is_file() for name in _OURS)

    @property
    def cache(self) -> Path:
        """Where the assemblies of its revisions are kept: nothing is written into somebody else's working tree."""
        if self.is_ours:
            return self.here / CACHE
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return root / "slipway" / "review" / f"{self.here.name}-{short_hash(str(self.here.resolve()))}"


def synthesised(
    project: Project, revision: Revision, processes: Processes, say: Callable[[str], None] = lambda _: None
) -> Assembly:
    """The assembly of a revision, from the cache where it is there.

    Args:
        project: the app.
        revision: which revision.
        processes: what runs the synthesis.
        say: is told what takes a while.

    Raises:
        ReviewError: it does not synthesise.
    """
    cache = project.cache
    name = "-".join(filter(None, [revision.commit, *os.environ.get(ONLY, "").split(), project.recipe.key]))
    folder = cache / name
    kept = folder / "cdk.out"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{name}.lock"):
        if not kept.is_dir():
            made = folder / "unfinished"
            shutil.rmtree(made, ignore_errors=True)
            with project.repository.checkout(revision, folder / "tree") as tree:
                if project.is_ours:
                    with _own(tree, project.repository.root, processes, str(revision)):
                        _synthesise(tree, made, processes, str(revision), env=environment(tree))
                else:
                    _synthesise_any(project, tree, made, processes, name=str(revision), say=say)
                # Only what is finished is found by the next run.
                made.rename(kept)
        os.utime(folder)
        _forget(cache, name)
        return read_assembly(kept)


def synthesised_here(project: Project, processes: Processes, say: Callable[[str], None] = lambda _: None) -> Assembly:
    """The assembly of the working tree as it is, with the packages that are installed there.

    Args:
        project: the app.
        processes: what runs the synthesis.
        say: is told what takes a while.

    Raises:
        ReviewError: it does not synthesise.
    """
    cache = project.cache
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_HERE, dir=cache) as folder:
        made = Path(folder, "cdk.out")
        if project.is_ours:
            _synthesise(project.here, made, processes, _TREE, env=environment(project.here))
        else:
            _synthesise_any(project, project.repository.root, made, processes, name=_TREE, say=say)
        return read_assembly(made)


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
    except ReviewError as error:
        raise ReviewError(f"{name}: {error}") from None
    finally:
        for link in links:
            link.unlink(missing_ok=True)


def _forget(cache: Path, newest: str) -> None:
    """Remove the assemblies of revisions that were not asked for lately."""
    # That of a working tree is still being made, perhaps, and goes by itself.
    kept = (path for path in cache.glob("*/cdk.out") if not path.parent.name.startswith(_HERE))
    folders = sorted(kept, key=lambda path: path.parent.stat().st_mtime, reverse=True)
    for path in folders[KEPT:]:
        if path.parent.name != newest:
            shutil.rmtree(path.parent, ignore_errors=True)
            (cache / f"{path.parent.name}.lock").unlink(missing_ok=True)


@contextmanager
def _own(tree: Path, root: Path, processes: Processes, name: str) -> Iterator[None]:
    """Give a tree its packages: those of the repository's own tree where it wants the same, else others of its own."""
    same = all(_content(tree / lock) == _content(root / lock) for lock in LOCKS)
    links = [tree / installed for installed in _INSTALLED if (root / installed).exists()] if same else []
    try:
        for link in links:
            link.symlink_to(root / link.name, target_is_directory=True)
        if same and (root / _ASSETS).is_dir():
            # Its own build says which of these are what it would build, by their inputs and their digests.
            shutil.copytree(root / _ASSETS, tree / _ASSETS, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
        if not same:
            _checked(processes, ["make", "install"], tree, f"the packages of {name} cannot be installed")
        yield
    finally:
        for link in links:
            link.unlink(missing_ok=True)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _synthesise(tree: Path, outdir: Path, processes: Processes, name: str, *, env: Mapping[str, str]) -> None:
    # Installed is what lies there; make would compare dates, which a fresh checkout has none of.
    installed = ["--old-file=install", "--old-file=.venv/.installed"]
    _checked(processes, ["make", "--no-print-directory", *installed, "build"], tree, f"{name} does not build", env=env)
    command = [str(_python(tree)), "-O", str(DRIVER), str(outdir)]
    _checked(processes, command, tree, f"{name} does not synthesise", env=env)
    if not is_assembly(outdir):
        raise ReviewError(f"{name} does not synthesise: its app.py wrote no assembly")


def _python(tree: Path) -> Path:
    own = tree / ".venv" / "bin" / "python"
    return own if own.exists() else Path(sys.executable)


def environment(tree: Path) -> dict[str, str]:
    """The environment variables of a synthesis in a tree: its own tools, and what the CDK CLI would tell its app."""
    # Without bytecode every synthesis would compile aws_cdk again, for seconds.
    dropped = {*_OF_MAKE, "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    env = {name: value for name, value in os.environ.items() if name not in dropped}
    tools = [str(tree / ".venv" / "bin"), str(tree / "node_modules" / ".bin"), str(Path(sys.executable).parent)]
    env["PATH"] = os.pathsep.join([*tools, env.get("PATH", "")])
    # A revision that brings the tool along runs that one, not the one that is installed here.
    env |= own_packages(tree)
    env["CDK_CONTEXT_JSON"] = json.dumps(_CONTEXT)
    # Neither CDK's own checks of the templates nor the packs: they judge, and change nothing.
    env["CDK_VALIDATION"] = "false"
    env["CDK_DISABLE_CLI_TELEMETRY"] = "true"
    return env


def _checked(
    processes: Processes, command: Sequence[str], tree: Path, failed: str, *, env: Mapping[str, str] | None = None
) -> None:
    done = processes.run(command, folder=tree, environment=env if env is not None else environment(tree), tree=True)
    if done.returncode != 0:
        raise ReviewError(f"{failed}: {done.reason}")
