"""The layer omits only modules that nothing can import."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.build.reach import Layer, read_code


def layer(folder: Path, files: dict[str, str | bytes], *whole: str) -> Layer:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Layer(folder, tuple(map(Path, files)), frozenset(whole))


def kept(layer: Layer, **code: str) -> set[str]:
    sources = {f"services/{name}.py": text.encode() for name, text in code.items()}
    return {path.as_posix() for path in layer.needed(read_code(sources))}


def test_only_imported_modules_are_kept(tmp_path: Path) -> None:
    files = layer(tmp_path, {"a/__init__.py": "", "a/b.py": "", "a/c.py": "", "d.py": "", "e/__init__.py": ""})

    assert kept(files, api="import a.b\nimport d") == {"a/__init__.py", "a/b.py", "d.py"}


@pytest.mark.parametrize(
    "statement",
    [
        "from a import used",
        "from a.used import thing",
        "import a.used as other",
        "def late():\n    from a import used",
        "try:\n    import a.used\nexcept ImportError:\n    pass",
        "if TYPE_CHECKING:\n    import x\nelse:\n    import a.used",
        "import importlib\nimportlib.import_module('a.used')",
        "lazy('a.used')",
        "lazy('a.used:thing')",
    ],
)
def test_a_module_that_may_be_imported_stays(tmp_path: Path, statement: str) -> None:
    files = layer(tmp_path, {"a/__init__.py": "", "a/used.py": "", "a/unused.py": ""})

    assert kept(files, api=statement) == {"a/__init__.py", "a/used.py"}


def test_imports_for_type_checkers_are_ignored(tmp_path: Path) -> None:
    files = layer(tmp_path, {"a.py": "", "b.py": ""})
    code = "import typing\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\n"

    assert kept(files, api=code + "if typing.TYPE_CHECKING:\n    import b\n") == set()


@pytest.mark.parametrize(
    "inside",
    [
        "from . import used",
        "from .used import thing",
        "import a.used",
        "def late():\n    from .used import thing",
        "lazy_loader = Lazy('a.used')",
    ],
)
def test_imports_of_packages_are_followed(tmp_path: Path, inside: str) -> None:
    files = layer(tmp_path, {"a/__init__.py": inside, "a/used.py": "import b", "a/unused.py": "", "b.py": ""})

    assert kept(files, api="import a") == {"a/__init__.py", "a/used.py", "b.py"}


def test_relative_imports_go_up(tmp_path: Path) -> None:
    files = layer(
        tmp_path,
        {"a/__init__.py": "", "a/x/__init__.py": "", "a/x/y.py": "from ..z import t\nfrom .. import w",
         "a/z.py": "", "a/w.py": "", "a/unused.py": ""},
    )  # fmt: skip

    assert kept(files, api="import a.x.y") == {f"a/{name}.py" for name in ("__init__", "x/__init__", "x/y", "z", "w")}


def test_modules_named_to_a_lazy_loader_are_kept(tmp_path: Path) -> None:
    files = layer(tmp_path, {"a.py": "b = Lazy('b')", "b.py": "", "c.py": ""})

    assert kept(files, api="import a") == {"a.py", "b.py"}


@pytest.mark.parametrize(
    "call", ["import_module(f'.{name}', __name__)", "importlib.import_module(name)", "__import__(name, fromlist=[''])"]
)
def test_computed_names_keep_the_package(tmp_path: Path, call: str) -> None:
    files = layer(
        tmp_path, {"a/__init__.py": "", "a/b/__init__.py": call, "a/b/c.py": "", "a/b/d.py": "", "a/e.py": ""}
    )

    assert kept(files, api="import a.b") == {"a/__init__.py", "a/b/__init__.py", "a/b/c.py", "a/b/d.py"}


@pytest.mark.parametrize(
    "start", ["'a.ext.%s' % name", "f'a.ext.{name}'", "'a.ext.{}'.format(name)", "'a.ext.' + name"]
)
def test_a_name_prefix_keeps_everything_below_it(tmp_path: Path, start: str) -> None:
    files = layer(
        tmp_path,
        {"a/__init__.py": "", "a/core/__init__.py": "", "a/core/patcher.py": f"import_module({start})",
         "a/ext/__init__.py": "", "a/ext/one.py": "", "a/ext/two/__init__.py": "", "a/unused.py": ""},
    )  # fmt: skip

    assert kept(files, api="import a.core.patcher") == {path.as_posix() for path in files.files} - {"a/unused.py"}


def test_services_that_compute_names_keep_everything(tmp_path: Path) -> None:
    files = layer(tmp_path, {"a/__init__.py": "", "b.py": ""})

    assert kept(files, api="import importlib\nimportlib.import_module(name)") == {"a/__init__.py", "b.py"}


def test_native_code_keeps_its_package_and_named_modules(tmp_path: Path) -> None:
    files = layer(
        tmp_path,
        {"fast/__init__.py": "", "fast/_fast.so": b"\x00a.named\x00", "fast/helper.py": "",
         "a/__init__.py": "", "a/named.py": "", "a/unused.py": ""},
    )  # fmt: skip

    assert kept(files) == {"fast/__init__.py", "fast/_fast.so", "fast/helper.py", "a/__init__.py", "a/named.py"}


def test_data_stays_with_its_package_and_metadata_always(tmp_path: Path) -> None:
    files = layer(
        tmp_path,
        {"a/__init__.py": "", "a/data/rules.json": "", "b/__init__.py": "", "b/data.json": "",
         "a-1.0.dist-info/METADATA": "", "b-1.0.dist-info/METADATA": ""},
    )  # fmt: skip

    assert kept(files, api="import a") == {
        "a/__init__.py", "a/data/rules.json", "a-1.0.dist-info/METADATA", "b-1.0.dist-info/METADATA",
    }  # fmt: skip


def test_packages_that_the_runtime_imports_are_kept_whole(tmp_path: Path) -> None:
    files = layer(tmp_path, {"jmespath/__init__.py": "", "jmespath/functions.py": "", "a.py": ""}, "jmespath")

    assert kept(files) == {"jmespath/__init__.py", "jmespath/functions.py"}


def test_unreadable_syntax_keeps_everything(tmp_path: Path) -> None:
    files = layer(tmp_path, {"a.py": "syntax of next year !", "b.py": ""})

    assert kept(files, api="import a") == {"a.py", "b.py"}


PYDANTIC: dict[str, str | bytes] = {
    "pydantic/__init__.py": "import_module(name)",
    "pydantic/main.py": "def late():\n    __get_validators__\n    from pydantic.v1 import BaseModel",
    "pydantic/mypy.py": "",
    "pydantic/v1/__init__.py": "",
    "pydantic/v1/main.py": "",
}
V1 = {"pydantic/v1/__init__.py", "pydantic/v1/main.py"}


def test_an_unused_extra_is_removed(tmp_path: Path) -> None:
    assert kept(layer(tmp_path, PYDANTIC), api="import pydantic") == {"pydantic/__init__.py", "pydantic/main.py"}


@pytest.mark.parametrize(
    "asks",
    ["from pydantic import v1", "from pydantic.v1.main import X", "class Old:\n    def __get_validators__(cls): ..."],
)
def test_a_requested_extra_is_kept(tmp_path: Path, asks: str) -> None:
    assert kept(layer(tmp_path, PYDANTIC), api=f"import pydantic\n{asks}") >= V1


def test_an_extra_requested_by_another_package_is_kept(tmp_path: Path) -> None:
    files = layer(
        tmp_path, {**PYDANTIC, "other.py": "from pydantic.v1 import BaseModel", "idle.py": "import pydantic.mypy"}
    )

    assert kept(files, api="import other") == {"other.py", "pydantic/__init__.py", "pydantic/main.py", *V1}
