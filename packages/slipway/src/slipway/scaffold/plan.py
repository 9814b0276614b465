"""Changes to the project's files when a service is added or removed."""

from __future__ import annotations

import json
import keyword
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment as Templates
from jinja2 import PackageLoader, StrictUndefined

from slipway.errors import SlipwayError
from slipway.scaffold.shapes import WORDS, Shape
from slipway.settings.model import EnvironmentKind, Services

NAME = re.compile(r"[a-z][a-z0-9]{1,19}")
"""A name is a Python package too, so it has no hyphen."""

_COMMON = (
    "settings.py",
    "infrastructure.py",
    "README.md",
    "runtime/hooks.py",
    "runtime/storage.py",
    "tests/smoke/test_smoke.py",
    "tests/unit/conftest.py",
)
_OF_APIS = (
    *_COMMON,
    "tests/performance/locustfile.py",
    "runtime/api.py",
    "runtime/openapi.py",
    "runtime/routes.py",
    "runtime/schemas.py",
)
_PIPELINE = "config/pipeline.toml"
_PACKAGES = ("", "runtime", "tests", "tests/smoke", "tests/unit")


class ScaffoldError(SlipwayError):
    """The change cannot be made. The message says why and what to do."""

    exit_code = 2


@dataclass(frozen=True)
class Plan:
    """A change of the project's files.

    Args:
        written: File, from the project's root → its new text.
        deleted: Deleted folders.
    """

    written: Mapping[str, str]
    deleted: tuple[str, ...] = ()


def add(root: Path, name: str, shape: Shape) -> Plan:
    """Plan a new service.

    Args:
        root: The project.
        name: The service's name.
        shape: Source of its work.

    Raises:
        ScaffoldError: The name cannot be used, or a file does not look as expected.
    """
    _check_name(root, name)
    written = {f"services/{name}/{file}": text for file, text in _files(name, shape)}
    written["app.py"] = _with_service(_read(root, "app.py"), name)
    for file in _environments(root):
        text = _read(root, file)
        kind = EnvironmentKind(tomllib.loads(text)["kind"])
        folder = "api" if shape.has_api else "common"
        table = _render(f"{folder}/table.toml", name, shape, kind=kind)
        written[file] = f"{text.rstrip()}\n{table}"
    pipeline = _read(root, _PIPELINE)
    if waves := tomllib.loads(pipeline).get("waves"):
        written[_PIPELINE] = _with_waves(pipeline, [*waves[:-1], [*waves[-1], name]])
    return Plan(written)


def remove(root: Path, name: str) -> Plan:
    """Plan the removal of a service.

    Raises:
        ScaffoldError: The service does not exist, or it is the only one.
    """
    known = services(root)
    if name not in known:
        raise ScaffoldError(f"unknown service {name!r}; choose from {', '.join(known)}")
    if len(known) == 1:
        raise ScaffoldError(f"{name} is the only service: add another one first")
    written = {"app.py": _without_service(_read(root, "app.py"), name)}
    written |= {file: _without_tables(_read(root, file), name) for file in _environments(root)}
    pipeline = _read(root, _PIPELINE)
    waves = tomllib.loads(pipeline).get("waves", [])
    if any(name in wave for wave in waves):
        left = [[each for each in wave if each != name] for wave in waves]
        written[_PIPELINE] = _with_waves(pipeline, [wave for wave in left if wave])
    return Plan(written, deleted=(f"services/{name}",))


def apply(root: Path, plan: Plan) -> None:
    """Make the change."""
    for folder in plan.deleted:
        for path in sorted((root / folder).rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        (root / folder).rmdir()
    for file, text in plan.written.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text, encoding="utf-8")


def services(root: Path) -> list[str]:
    """Return the names of the services that have a folder."""
    return sorted(file.parent.name for file in (root / "services").glob("*/infrastructure.py"))


def environments(root: Path) -> list[str]:
    """Return the names of the environments, in the pipeline's order."""
    return list(tomllib.loads(_read(root, _PIPELINE))["environments"])


def _environments(root: Path) -> list[str]:
    return [f"config/{name}.toml" for name in environments(root)]


def _check_name(root: Path, name: str) -> None:
    if not NAME.fullmatch(name):
        raise ScaffoldError(f"{name!r} must be 2 to 20 lower-case letters and digits, a letter first")
    if keyword.iskeyword(name) or hasattr(Services, name) or name == "foundation":
        raise ScaffoldError(f"{name!r} is reserved: choose another name")
    if (root / "services" / name).exists():
        raise ScaffoldError(f"services/{name} already exists")


def _files(name: str, shape: Shape) -> Iterator[tuple[str, str]]:
    for folder in _PACKAGES:
        yield f"{folder}/__init__.py".lstrip("/"), ""
    if shape.has_api:
        signs_in = ("commands.py",) if shape is Shape.HTTP else ()
        for file in (*_OF_APIS, "tests/unit/test_api.py", *signs_in):
            yield file, _render(f"api/{file}", name, shape)
        return
    for file in (*_COMMON, "tests/unit/test_worker.py"):
        yield file, _render(f"common/{file}", name, shape)
    yield "runtime/worker.py", _render(f"{shape}/worker.py", name, shape)


def _render(template: str, name: str, shape: Shape, *, kind: EnvironmentKind | None = None) -> str:
    templates = Templates(  # nosec B701  # writes Python, TOML and Markdown, no HTML
        loader=PackageLoader("slipway.scaffold"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Python and TOML, not HTML
    )
    kinds = {"production": kind is EnvironmentKind.PRODUCTION, "development": kind is EnvironmentKind.DEVELOPMENT}
    values = {"name": name, "title": name.capitalize(), "shape": shape.value, **kinds}
    return templates.get_template(f"{template}.j2").render({**values, **WORDS[shape]})


def _read(root: Path, file: str) -> str:
    try:
        return (root / file).read_text(encoding="utf-8")
    except OSError as error:
        raise ScaffoldError(f"{file}: {error.strerror}") from None


_IMPORTS = re.compile(r"(?m)^from services\.(\w+)\.infrastructure import (\w+)\n")
_WAVES = re.compile(r"(?ms)^waves\s*=\s*\[.*?\](?=\s*(?:#[^\n]*)?(?:\n\s*(?:#|\[?[\w\"]|$)|\Z))")
_SERVICES = re.compile(r"(?m)^(?P<head>SERVICES\b[^=\n]*= )\((?P<names>[^)]*)\)")


def _with_waves(text: str, waves: list[list[str]]) -> str:
    """Return the pipeline's file with new waves, otherwise unchanged.

    Raises:
        ScaffoldError: The format of the waves is not recognised.
    """
    changed = _WAVES.sub(lambda _: f"waves = {json.dumps(waves)}", text, count=1)
    if tomllib.loads(changed) != tomllib.loads(text) | {"waves": waves}:
        raise ScaffoldError(f"{_PIPELINE}: change `waves` to {json.dumps(waves)} manually first")
    return changed


def _with_service(app: str, name: str) -> str:
    line = f"from services.{name}.infrastructure import {name.capitalize()}\n"
    after = [found for found in _IMPORTS.finditer(app) if found[1] < name] or [*_IMPORTS.finditer(app)][:1]
    place = after[-1].end() if after and after[-1][1] < name else (after[0].start() if after else -1)
    if place < 0 or not _SERVICES.search(app):
        raise ScaffoldError("app.py does not name its services as `SERVICES = (…)`: add the new one manually")
    return _named(app[:place] + line + app[place:], lambda names: [*names, name.capitalize()])


def _without_service(app: str, name: str) -> str:
    found = next((found for found in _IMPORTS.finditer(app) if found[1] == name), None)
    if found is None or not _SERVICES.search(app):
        raise ScaffoldError(f"app.py does not import {name} as expected: remove it manually")
    gone = found[2]
    return _named(app.replace(found[0], ""), lambda names: [each for each in names if each != gone])


def _named(app: str, change: object) -> str:
    def write(found: re.Match[str]) -> str:
        names = [name.strip() for name in found["names"].split(",") if name.strip()]
        names = change(names)  # type: ignore[operator]
        return f"{found['head']}({', '.join(names)}{',' if len(names) == 1 else ''})"

    return _SERVICES.sub(write, app, count=1)


def _without_tables(text: str, name: str) -> str:
    """Return a TOML file without the tables of a service, otherwise unchanged: a comment belongs to the table below."""
    kept: list[str] = []
    comments: list[str] = []
    gone = False
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("#"):
            comments.append(line)
            continue
        if header := re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line):
            gone = header[1] == f"services.{name}" or header[1].startswith(f"services.{name}.")
        if not gone:
            kept += [*comments, line]
        comments = []
    return "".join([*kept, *comments]).rstrip() + "\n"
