"""Whether an earlier commit can be launched in the accounts of a later one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from slipway.rehearsal.launch import unlike

FILES = {
    "config/pipeline.toml": 'account = "999999999999"\nregion = "us-east-1"\nenvironments = ["dev", "prod"]\n',
    "config/dev.toml": 'account = "111111111111"\nregion = "us-east-1"\n',
    "config/prod.toml": 'account = "333333333333"\nregion = "us-east-1"\n',
    "services/items/infrastructure.py": "",
}


def _git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def _commit(folder: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--allow-empty", "--message", "A change")
    return _git(folder, "rev-parse", "HEAD")


@pytest.mark.programs
@pytest.mark.parametrize(
    ("changes", "services", "why"),
    [
        ({"services/items/infrastructure.py": "more"}, (), None),
        ({"config/dev.toml": FILES["config/dev.toml"] + "secret_rotation_days = 7\n"}, (), None),
        ({"services/orders/infrastructure.py": ""}, (), None),
        ({"services/orders/infrastructure.py": ""}, ("items",), None),
        ({"services/orders/infrastructure.py": ""}, ("items", "orders"), "no service orders"),
        (
            {"config/dev.toml": FILES["config/dev.toml"].replace("1111", "4444")},
            (),
            "other accounts, regions, environments or names (dev)",
        ),
        (
            {"config/prod.toml": FILES["config/prod.toml"].replace("us-east-1", "eu-west-1")},
            (),
            "other accounts, regions, environments or names (prod)",
        ),
        (
            {"config/pipeline.toml": FILES["config/pipeline.toml"].replace('"dev", ', "")},
            (),
            "other accounts, regions, environments or names (dev)",
        ),
        (
            {"config/pipeline.toml": FILES["config/pipeline.toml"] + 'name = "acme"\n'},
            (),
            "other accounts, regions, environments or names (pipeline)",
        ),
        (
            {"config/pipeline.toml": "environments = ["},
            (),
            "other accounts, regions, environments or names (dev, pipeline, prod)",
        ),
    ],
)
def test_differences_between_commits_are_named(
    tmp_path: Path, changes: dict[str, str], services: tuple[str, ...], why: str | None
) -> None:
    # Given a commit, and a later one that changes it
    _git(tmp_path, "init", "--quiet")
    before = _commit(tmp_path, FILES)
    commit = _commit(tmp_path, changes)

    assert unlike(tmp_path, before, commit, services) == why


@pytest.mark.programs
def test_a_commit_without_the_group_is_another_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an earlier commit without groups, and two with one
    _git(tmp_path, "init", "--quiet")
    before = _commit(tmp_path, FILES)
    table = '\n[groups.front]\nservices = ["tiny"]\nqualifier = "front"\n'
    grouped = _commit(tmp_path, {"config/pipeline.toml": FILES["config/pipeline.toml"] + table})
    later = _commit(tmp_path, {"README.md": "More."})

    # Then the whole app is the same everywhere, and the group's pipeline is new
    assert unlike(tmp_path, before, later, ()) is None
    monkeypatch.setenv("SLIPWAY_GROUP", "front")
    assert unlike(tmp_path, before, later, ()) == "other accounts, regions, environments or names (pipeline)"
    assert unlike(tmp_path, grouped, later, ()) is None
