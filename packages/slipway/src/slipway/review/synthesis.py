"""Synthesise a revision with its own code, beside this one and without judging it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from filelock import FileLock

from slipway.review.assembly import Assembly, read_assembly
from slipway.review.errors import ReviewError
from slipway.review.revisions import Repository, Revision

CACHE = Path("build", "review")
"""Where the assemblies of revisions are kept, by commit; from the root of the repository."""

KEPT = 5
"""How many of them are kept."""

ONLY = "SLIPWAY_SERVICES"
"""Variable that narrows an app to some services (`app.py`): its assembly is another one."""

LOCKS = ("requirements/bootstrap.txt", "requirements/dev.txt", "package.json", "package-lock.json")
"""What decides which packages a revision wants."""

_HERE = "head-"
_DRIVER = Path(__file__).with_name("driver.py")
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


class Processes:
    """Processes that end with whoever started them, and everything that they started as well."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = Lock()
        self._stopped = False

    def run(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a command to its end.

        Args:
            command: what.
            cwd: where.
            env: its whole environment.

        Raises:
            ReviewError: `stop` was called before or meanwhile.
        """
        with self._lock:
            if self._stopped:
                raise ReviewError("interrupted")
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                # A group of its own can be ended as a whole.
                start_new_session=True,
            )
            self._running.add(process)
        try:
            out, error = process.communicate()
        finally:
            with self._lock:
                self._running.discard(process)
        if self._stopped:
            raise ReviewError("interrupted")
        return subprocess.CompletedProcess(command, process.returncode, out, error)

    def stop(self) -> None:
        """End everything that runs."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue


def synthesised(repository: Repository, revision: Revision, processes: Processes) -> Assembly:
    """The assembly of a revision, from the cache where it is there.

    Args:
        repository: the repository.
        revision: which revision.
        processes: what runs the synthesis.

    Raises:
        ReviewError: it does not synthesise.
    """
    cache = repository.root / CACHE
    name = "-".join([revision.commit, *os.environ.get(ONLY, "").split()])
    folder = cache / name
    kept = folder / "cdk.out"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{name}.lock"):
        if not kept.is_dir():
            with (
                repository.checkout(revision, folder / "tree") as tree,
                _own(tree, repository.root, processes, str(revision)),
            ):
                made = folder / "unfinished"
                shutil.rmtree(made, ignore_errors=True)
                _synthesise(tree, made, processes, str(revision), env=environment(tree))
                # Only what is finished is found by the next run.
                made.rename(kept)
        os.utime(folder)
        _forget(cache, name)
        return read_assembly(kept)


def synthesised_here(root: Path, processes: Processes) -> Assembly:
    """The assembly of the working tree as it is.

    Args:
        root: the working tree.
        processes: what runs the synthesis.

    Raises:
        ReviewError: it does not synthesise.
    """
    cache = root / CACHE
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_HERE, dir=cache) as folder:
        made = Path(folder, "cdk.out")
        _synthesise(root, made, processes, "the working tree", env=environment(root))
        return read_assembly(made)


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
    command = [str(_python(tree)), "-O", str(_DRIVER), str(outdir)]
    _checked(processes, command, tree, f"{name} does not synthesise", env=env)
    if not (outdir / "manifest.json").is_file():
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
    if sources := sorted(map(str, tree.glob("packages/*/src"))):
        env["PYTHONPATH"] = os.pathsep.join(sources)
    env["CDK_CONTEXT_JSON"] = json.dumps(_CONTEXT)
    # Neither CDK's own checks of the templates nor the packs: they judge, and change nothing.
    env["CDK_VALIDATION"] = "false"
    env["CDK_DISABLE_CLI_TELEMETRY"] = "true"
    return env


def _checked(
    processes: Processes, command: Sequence[str], tree: Path, failed: str, *, env: Mapping[str, str] | None = None
) -> None:
    done = processes.run(command, cwd=tree, env=env if env is not None else environment(tree))
    if done.returncode != 0:
        raise ReviewError(f"{failed}: {_reason(done)}")


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """The last thing that was said, without make's own remark."""
    lines = [line.strip() for line in (*done.stdout.splitlines(), *done.stderr.splitlines()) if line.strip()]
    said = [line for line in lines if not line.startswith("make")]
    return said[-1][:300] if said else f"exit code {done.returncode}"
