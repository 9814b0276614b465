"""Install AWS's SDK for JavaScript, which Lambda's Node.js runtimes contain.

Only the packages that an app's functions use are installed; all of them would take hundreds of megabytes.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from slipway import process
from slipway.emulator.topology import stacks
from slipway.errors import RehearsalError
from slipway.rehearsal.player.builds import NODE

# https://docs.aws.amazon.com/lambda/latest/dg/lambda-nodejs.html: v3 from Node.js 18 on, v2 before it.
_PACKAGE = re.compile(r"""["'](@aws-sdk/[a-z0-9-]+|@smithy/[a-z0-9-]+)["']""")
_CLIENT = re.compile(r"@aws-sdk/client-[a-z0-9-]+")
_OLD = re.compile(r"nodejs(?:1[0246]|[468])\b")
ENDPOINT = Path(__file__).with_name("endpoint.cjs")
"""Script that sets the endpoint of an old SDK."""
OPTIONS = {"NODE_OPTIONS": f"--require {ENDPOINT}"}
"""Variable that makes every Node.js process load it."""
_SCRIPTS = (".js", ".mjs", ".cjs")
_LARGEST = 8_000_000


def find_packages(assembly: Path) -> set[str]:
    """Return the packages of the SDK that an assembly's functions load.

    Args:
        assembly: Folder of the assembly, `cdk.out`.
    """
    runtimes = {
        str(resource.get("Properties", {}).get("Runtime", ""))
        for stack in stacks(assembly)
        for resource in stack.template.get("Resources", {}).values()
        if resource["Type"] == "AWS::Lambda::Function"
    }
    found = {match for text in _scripts(assembly) for match in _PACKAGE.findall(text)}
    # CDK's `AwsCustomResource` loads the client that its resource names.
    found |= {match for stack in stacks(assembly) for match in _CLIENT.findall(json.dumps(stack.template))}
    # CDK's custom resources run on a different Node.js version in each region (`Fn::FindInMap`).
    return found | ({"aws-sdk"} if any(_OLD.match(runtime) for runtime in runtimes) else set())


def install_packages(names: set[str], folder: Path) -> Path:
    """Install missing packages, and return the folder for `NODE_PATH`.

    Args:
        names: The packages.
        folder: Folder for the packages.

    Raises:
        RehearsalError: npm fails.
    """
    modules = folder / "node_modules"
    missing = sorted(name for name in names if not (modules / name).is_dir())
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        command = [str(NODE / "bin" / "node"), str(NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
        options = ["--prefix", str(folder), "--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts"]
        variables = {**os.environ, "PATH": f"{NODE / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
        done = process.run([*command, "install", *options, *missing], environment=variables, tree=True)
        if done.returncode != 0:
            listed = ", ".join(missing)
            raise RehearsalError(f"the SDK that functions load could not be installed ({listed}): {done.last_error}")
    return modules


def _scripts(assembly: Path) -> Iterator[str]:
    """Yield the text of each script in the assets, except those of bundled packages."""
    for file in sorted(assembly.rglob("asset.*")):
        if file.is_dir():
            for script in sorted(file.rglob("*")):
                if _is_own(script.relative_to(file).as_posix()) and script.stat().st_size <= _LARGEST:
                    yield script.read_text(encoding="utf-8", errors="replace")
        elif file.suffix == ".zip":
            with zipfile.ZipFile(file) as content:
                for entry in content.infolist():
                    if _is_own(entry.filename) and entry.file_size <= _LARGEST:
                        yield content.read(entry).decode("utf-8", "replace")


def _is_own(name: str) -> bool:
    return name.endswith(_SCRIPTS) and "node_modules/" not in name
