"""Assets are built once and promoted unchanged, so they must not depend on an environment."""

from __future__ import annotations

import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from slipway.assembly.reader import ASSETS_SUFFIX, TEMPLATE_SUFFIX, read_assets
from slipway.rules.model import Found, Rule, Stack, Templates

# A name counts only as a separate word: `prod`, `prod-data` and `prod.toml` mention it, `dora.dev` does not.
_WORD = re.compile(rb"[A-Za-z0-9_.-]+")
# Third-party packages use their own terms for environments, and their content is fixed by the lock's hashes.
_OURS = re.compile(r"(services|pipeline|config)/.*")


@dataclass(frozen=True)
class _Asset:
    """A file asset of a stack, other than a template."""

    hash: str
    name: str
    path: Path


def _of_an_environment(templates: Templates) -> Iterator[Found]:
    ours = [stack for stack in templates.stacks if stack.environment]
    names = tuple(sorted({str(stack.environment) for stack in ours} | {stack.account for stack in ours}))
    by_stack = {stack.path: _assets(stack) for stack in templates.stacks}
    everywhere = _shared(templates, by_stack)
    for stack in templates.stacks:
        for asset in by_stack[stack.path]:
            said = f"{asset.name} {asset.path.name}".encode()
            named = _says(said, names) or _holds(asset.path.resolve(), names)
            alone = stack.environment and (_twin(stack), asset.hash) not in everywhere
            if named or alone:
                yield Found(stack, finding=asset.name)


def _assets(stack: Stack) -> list[_Asset]:
    manifest = stack.template.with_name(stack.template.name.removesuffix(TEMPLATE_SUFFIX) + ASSETS_SUFFIX)
    if not manifest.is_file():
        return []
    return [
        _Asset(hash=key, name=str(entry.get("displayName", key)), path=manifest.parent / entry["source"]["path"])
        for key, entry in sorted(read_assets(manifest).files.items())
        if "path" in entry.get("source", {}) and not str(entry["source"]["path"]).endswith(TEMPLATE_SUFFIX)
    ]


def _twin(stack: Stack) -> str:
    """Return a stack's name without its environment."""
    return "/".join(part.removeprefix(f"{stack.environment}-") for part in stack.path.split("/"))


def _shared(templates: Templates, by_stack: Mapping[str, list[_Asset]]) -> set[tuple[str, str]]:
    """Return the assets that every environment with such a function shares, by stack and hash.

    A name in a stack means the same function in each environment; if two environments have it, they must use the same
    file.
    """
    hashes: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for stack in templates.stacks:
        for asset in by_stack[stack.path]:
            hashes[_twin(stack), asset.name].add(asset.hash)
    return {(twin, found) for (twin, _), several in hashes.items() if len(several) == 1 for found in several}


@cache
def _holds(path: Path, names: tuple[str, ...]) -> bool:
    """Return True if a file of an archive is named after an environment, or our own code in it mentions one."""
    if not zipfile.is_zipfile(path):
        return path.is_file() and _says(path.read_bytes(), names)
    with zipfile.ZipFile(path) as archive:
        return any(
            _says(entry.encode(), names) or (_OURS.fullmatch(entry) is not None and _says(archive.read(entry), names))
            for entry in archive.namelist()
        )


def _says(text: bytes, names: tuple[str, ...]) -> bool:
    forms = [re.escape(name.encode()) for name in names]
    pattern = re.compile(rb"(?:%b)(?:[-.].*)?|.*-(?:%b)" % (b"|".join(forms), b"|".join(forms)))
    return bool(forms) and any(pattern.fullmatch(word) for word in set(_WORD.findall(text)))


RULES = (
    Rule(
        name="AssetOfNoEnvironment",
        says="An asset depends on an environment: its name, a file in it or our code in it mentions one, or "
        "environments use different files in its place.",
        fix="Pass differences from the configuration as environment variables; ship one file everywhere.",
        check=_of_an_environment,
    ),
)
