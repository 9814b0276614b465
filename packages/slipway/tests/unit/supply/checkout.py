"""A small checkout that is installed, built and synthesised, in which tests plant faults."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from slipway.project import ROOT
from slipway.supply.policy import Licences, StatedLicence
from slipway.supply.repository import ScannedTree

MIT = Licences(shipped=("MIT", "Apache-2.0"), tools=("MPL-2.0", "BSD-2-Clause"))
HANDLER = "services/items/runtime/handlers.py"
GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")


def pin(name: str, number: str, *, marker: str = "", via: str = "-r requirements/in.txt") -> str:
    """Return an entry of a Python lock file, as uv writes it."""
    digest = hashlib.sha256(f"{name} {number}".encode()).hexdigest()
    return f"{name}=={number}{f' ; {marker}' if marker else ''} \\\n    --hash=sha256:{digest}\n    # via {via}\n"


def metadata(name: str, number: str, *more: str) -> str:
    """Return a package's own metadata."""
    return "\n".join(("Metadata-Version: 2.4", f"Name: {name}", f"Version: {number}", *more, "", ""))


@dataclass
class Checkout:
    """The content of a checkout without faults."""

    root: Path
    layer: dict[str, str] = field(
        default_factory=lambda: {"alpha": metadata("alpha", "1.0", "License-Expression: MIT")}
    )
    """Metadata of the layer's packages, which its lock file pins too."""
    tools: tuple[str, ...] = ("packaging",)
    """Python tools; they are installed where the tests run."""
    npm: Mapping[str, tuple[str, str]] = field(default_factory=lambda: {"left": ("1.0.0", "MIT")})
    """Version and licence of npm packages, by name."""
    notices: Mapping[str, str] = field(default_factory=dict)
    """Notices of packages that are bundled into an npm package, by its name."""
    code: str = "import alpha\n"
    environ: Mapping[str, str] = field(default_factory=dict)
    python: Path = Path(sys.executable)

    def write(self) -> ScannedTree:
        """Write and commit everything."""
        self._locks()
        self._npm()
        self.put(HANDLER, self.code)
        self.put(".gitignore", "/build/\n/cdk.out/\n/node_modules/\n/stub/\n")
        self.zips()
        self.commit()
        return self.repository()

    def repository(self) -> ScannedTree:
        """Return the checkout as the steps see it."""
        return ScannedTree(root=self.root, python=self.python, environ=self.environ or dict(os.environ))

    def put(self, name: str, text: str) -> Path:
        """Write a file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def commit(self) -> None:
        """Commit everything."""
        for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--allow-empty", "-m", "All of it")):
            subprocess.run([*GIT, *words], cwd=self.root, check=True, capture_output=True)

    def zips(self) -> None:
        """Build the zips and their manifest, and synthesise an asset manifest that publishes them."""
        assets = self.root / "build" / "assets"
        assets.mkdir(parents=True, exist_ok=True)
        cache = self.root / "build" / "cache"
        if not cache.exists():
            # Kingfisher takes seconds to compile its rules unless they are cached.
            ScannedTree(root=ROOT).cache.mkdir(parents=True, exist_ok=True)
            cache.symlink_to(ScannedTree(root=ROOT).cache)
        layer = {f"python/{name}-1.dist-info/METADATA": text for name, text in self.layer.items()}
        contents = {"layer": layer, "layer-local": {"python/only/here.py": ""}, "items": {HANDLER: self.code}}
        digests = {name: make_zip(assets / f"{name}.zip", content) for name, content in contents.items()}
        records = {name: {"sha256": digest} for name, digest in digests.items()}
        self.put("build/assets/manifest.json", json.dumps({"assets": records}))
        self.publish("layer", "items")

    def publish(self, *names: str) -> None:
        """Synthesise an assembly that ships some of the zips."""
        stage = self.root / "cdk.out" / "assembly-dev"
        stage.mkdir(parents=True, exist_ok=True)
        files: dict[str, object] = {"t": {"source": {"path": "Data.template.json", "packaging": "file"}}}
        for name in names:
            content = (self.root / "build" / "assets" / f"{name}.zip").read_bytes()
            (stage.parent / f"asset.{name}.zip").write_bytes(content)
            files[name] = {"displayName": name, "source": {"path": f"../asset.{name}.zip", "packaging": "file"}}
        self.put("cdk.out/assembly-dev/Data.template.json", "{}")
        self.put("cdk.out/assembly-dev/Data.assets.json", json.dumps({"version": "55.0.0", "files": files}))

    def stub(self, name: str, out: str, *, code: int = 0) -> Path:
        """Create a program that prints the recorded output of a real one."""
        self.put(f"stub/{name}.out", out)
        program = self.put(f"stub/{name}", f'#!/bin/sh\ncat "{self.root}/stub/{name}.out"\nexit {code}\n')
        program.chmod(0o755)
        return program

    def _locks(self) -> None:
        numbers = {name: text.partition("\nVersion: ")[2].partition("\n")[0] for name, text in self.layer.items()}
        self.put("requirements/layer.txt", "".join(pin(name, number) for name, number in numbers.items()))
        self.put("requirements/bootstrap.txt", pin("pip", version("pip")))
        self.put("requirements/dev.txt", "".join(pin(name, version(name)) for name in self.tools))

    def _npm(self) -> None:
        packages: dict[str, object] = {
            "": {"name": "small", "devDependencies": {name: number for name, (number, _) in self.npm.items()}}
        }
        for name, (number, licence) in self.npm.items():
            packages[f"node_modules/{name}"] = {
                "version": number,
                "integrity": "sha512-" + "A" * 86 + "==",
                "dev": True,
                "license": licence,
            }
            self.put(f"node_modules/{name}/package.json", json.dumps({"name": name, "version": number}))
        for name, text in self.notices.items():
            self.put(f"node_modules/{name}/THIRD_PARTY_LICENSES", text)
        self.put("package.json", json.dumps({"name": "small", **packages[""]}))  # type: ignore[dict-item]
        lock = {"name": "small", "lockfileVersion": 3, "requires": True, "packages": packages}
        self.put("package-lock.json", json.dumps(lock))


def make_zip(path: Path, content: Mapping[str, str]) -> str:
    """Write a zip and return its digest."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in content.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def stated(package: str, expression: str) -> StatedLicence:
    """State the licence of a package that has none in its metadata."""
    return StatedLicence(package=package, expression=expression, reason="the text of it stands in its LICENSE")
