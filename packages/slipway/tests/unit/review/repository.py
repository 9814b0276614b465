"""A repository that is synthesised quickly: its app writes the assembly described by one of its files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unit.review.assemblies import resource, template

_MAKEFILE = """\
.PHONY: install build
install:
\t@mkdir -p .venv/bin && ln -sf {python} .venv/bin/python && touch installed
.venv/.installed:
\t@echo "make install was asked for" >&2; exit 1
build: install .venv/.installed
\t@mkdir -p build/assets && cp content.json build/assets/content.json
"""

_APP = """\
import json
import time
from pathlib import Path

import config


class AssetStore:
    def __init__(self):
        self.content = json.loads(Path("build/assets/content.json").read_text())


class App:
    def __init__(self, store, outdir):
        self.content, self.outdir = store.content, Path(outdir)

    def synth(self):
        if "fails" in self.content:
            raise ValueError(self.content["fails"])
        time.sleep(self.content.get("seconds", 0))
        self.outdir.mkdir()
        artifacts = {}
        for name, template in self.content["stacks"].items():
            (self.outdir / f"{name}.json").write_text(json.dumps(template))
            properties = {"templateFile": f"{name}.json", "stackName": name}
            place = "aws://333333333333/us-east-1"
            artifacts[name] = {"type": "aws:cloudformation:stack", "environment": place, "properties": properties}
        manifest = {"version": self.content.get("version", "55.0.0"), "artifacts": artifacts}
        (self.outdir / "manifest.json").write_text(json.dumps(manifest))


def build(settings, store, *, outdir):
    return App(store, outdir)
"""

_CONFIG = "def load():\n    return None\n"

TABLE = {"Table": resource("AWS::DynamoDB::Table")}
TOPIC = {"Topic": resource("AWS::SNS::Topic")}


class Repository:
    """A git repository whose commits define what they deploy."""

    def __init__(self, root: Path, *, copied: Repository | None = None) -> None:
        self.root = root
        if copied is not None:
            shutil.copytree(copied.root, root)
            return
        root.mkdir()
        self._git("init", "--quiet", "--initial-branch", "main")
        (root / "Makefile").write_text(_MAKEFILE.format(python=sys.executable), encoding="utf-8")
        (root / "app.py").write_text(_APP, encoding="utf-8")
        (root / "config").mkdir()
        (root / "config" / "__init__.py").write_text(_CONFIG, encoding="utf-8")
        (root / ".gitignore").write_text("/build/\n/.venv/\n__pycache__/\ninstalled\n", encoding="utf-8")
        (root / "requirements").mkdir()
        # Marks a project created from this template
        (root / "config" / "pipeline.toml").write_text("", encoding="utf-8")
        self.lock("one")

    def lock(self, content: str) -> None:
        """Write the lock files."""
        (self.root / "requirements" / "dev.txt").write_text(content, encoding="utf-8")

    def deploys(self, resources: Mapping[str, Any], **options: Any) -> None:
        """Set what the working tree deploys, without committing it."""
        content = {"stacks": {"prod-items-data": template(resources)}, **options}
        (self.root / "content.json").write_text(json.dumps(content), encoding="utf-8")

    def waives(self, text: str) -> None:
        """Write the file of waivers, without committing it."""
        (self.root / "config" / "waivers.toml").write_text(text, encoding="utf-8")

    def commit(self, date: str = "2026-11-01T12:00:00Z") -> str:
        """Commit the working tree and return the commit's id."""
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "--message", "a change", date=date)
        return self._git("rev-parse", "HEAD")

    def clone(self, root: Path) -> Repository:
        """Clone the repository's branches."""
        self._git("clone", "--quiet", "--no-local", str(self.root), str(root))
        cloned = Repository.__new__(Repository)
        cloned.root = root
        return cloned

    def worktrees(self) -> list[str]:
        """Return the worktrees that git knows, besides the main one."""
        return self._git("worktree", "list").splitlines()[1:]

    def _git(self, *arguments: str, date: str | None = None) -> str:
        people = dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "somebody")
        mails = dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "somebody@example.com")
        dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date} if date else {}
        done = subprocess.run(
            ["git", "-C", str(self.root), *arguments],
            env={**os.environ, **people, **mails, **dates, "GIT_CONFIG_GLOBAL": "/dev/null"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()
