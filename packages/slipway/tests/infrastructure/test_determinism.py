"""Synthesis is pure: no network, no clock, no randomness, nothing of the machine."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import specimen
from slipway.project import own_packages
from slipway.testing.synthesis import write_assets

_MACHINES = (
    {"TZ": "Pacific/Kiritimati", "LANG": "C", "USER": "one", "LOGNAME": "one", "PYTHONHASHSEED": "1"},
    {
        "TZ": "America/Adak",
        "LANG": "C.UTF-8",
        "USER": "somebody-special",
        "LOGNAME": "somebody-special",
        "PYTHONHASHSEED": "2",
        "CI": "true",
    },
)


def _start(folder: Path, machine: dict[str, str]) -> subprocess.Popen[str]:
    """Synthesise a checkout of the specimen as another user, in another folder."""
    repository = specimen.checkout(folder / "repository")
    write_assets(repository / "build" / "assets", specimen.MODELS)
    home = folder / "home"
    home.mkdir()
    # The proxies don't exist, so a synthesis that uses the network fails
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "CDK_OUTDIR": str(folder / "out"),
        **own_packages(repository),
        **nowhere,
        **machine,
    }
    return subprocess.Popen(
        [sys.executable, "-O", "app.py"],
        cwd=repository,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.requirement("from a push to prod")
@pytest.mark.timeout(300)
def test_two_syntheses_from_two_folders_are_identical(tmp_path: Path) -> None:
    # Given the same commit in two folders, with different users, time zones, languages and hash seeds
    folders = [tmp_path / "a", tmp_path / "a-place-of-its-own" / "and-deeper"]
    runs = []
    for folder, machine in zip(folders, _MACHINES, strict=True):
        folder.mkdir(parents=True)
        runs.append(_start(folder, machine))

    # When both are synthesised
    output = [run.communicate()[0] for run in runs]
    for run, text in zip(runs, output, strict=True):
        # Exit code 1 is a red gate, which other tests judge; the assembly is written nevertheless
        assert run.returncode in {0, 1}, text

    # Then all files of the assemblies are identical, byte for byte
    first, second = (_digests(folder / "out") for folder in folders)
    assert len([name for name in first if name.endswith(".template.json")]) >= 13
    assert {name for name in first.keys() | second.keys() if first.get(name) != second.get(name)} == set()
    # And none contains the folder or the user
    for name in second:
        content = (folders[1] / "out" / name).read_bytes()
        assert b"a-place-of-its-own" not in content, name
        assert b"somebody-special" not in content, name
