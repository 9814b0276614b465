"""Any content of the files either loads, or is refused with a file and a key."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from slipway import settings as config
from slipway.settings import ConfigurationError, Settings
from unit.settings.configuration import FILES, Documents, pristine, write

Path_ = tuple[str | int, ...]

_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
_SCALARS = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=True)
    | _TEXT
    | st.sampled_from(["*", "destroy", "prod", "on-demand", "s3", "", "\0", "\n", "111111111111", "../dev", "1" * 12])
)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3), max_leaves=5
)
_KEYS = _TEXT | st.sampled_from(["name", "kind", "mode", "s3", "provisioned", "account", "tools_account", "a\nb"])


def _paths(node: Any, above: Path_ = ()) -> list[Path_]:
    """Return the path of every value of a document."""
    entries: list[tuple[str | int, Any]] = []
    if isinstance(node, dict):
        entries = list(node.items())
    elif isinstance(node, list):
        entries = list(enumerate(node))
    return [path for key, value in entries for path in [(*above, key), *_paths(value, (*above, key))]]


@st.composite
def _mutated(draw: st.DrawFn) -> Documents:
    """Draw the specimen's documents with a few values removed, replaced, swapped or added."""
    documents = pristine()
    for _ in range(draw(st.integers(1, 3))):
        document: Any = documents[draw(st.sampled_from(FILES))]
        paths = _paths(document)
        if not paths:
            continue
        *parents, last = draw(st.sampled_from(paths))
        place = document
        for parent in parents:
            place = place[parent]
        match draw(st.sampled_from(["take", "put", "add"])):
            case "take":
                del place[last]
            case "put":
                place[last] = draw(_VALUES)
            case _ if isinstance(place, dict):
                place[draw(_KEYS)] = draw(_VALUES)
            case _:
                place.append(draw(_VALUES))
    return documents


def _load(folder: Path) -> Settings | ConfigurationError:
    try:
        return config.load(folder)
    except ConfigurationError as error:
        return error


@given(documents=_mutated())
@settings(max_examples=200, deadline=None)
def test_a_mutated_configuration_loads_or_names_file_and_key(documents: Documents) -> None:
    # Given files with random changes
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), documents)
        # When they are read
        loaded = _load(Path(folder))

    if isinstance(loaded, Settings):
        # Then they are a configuration with the environments that the pipeline names
        names = tuple(environment.name for environment in loaded.environments)
        assert names == loaded.pipeline.environments
        return
    # Or each problem is one line that names a file, and a key unless the whole file is the problem
    assert loaded.problems
    lines = str(loaded).split("\n")
    assert len(lines) == len(loaded.problems)
    for problem, line in zip(loaded.problems, lines, strict=True):
        assert line.startswith(f"config/{problem.file}: ")
        assert problem.key or problem.allowed.startswith(("is missing", "is not valid TOML", "cannot be read"))
        assert problem.allowed


@given(content=st.binary(max_size=200), file=st.sampled_from(FILES))
@settings(max_examples=100, deadline=None)
def test_any_bytes_in_a_file_are_refused_with_its_name(content: bytes, file: str) -> None:
    # Given a file with random bytes among those of the specimen
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), pristine())
        (Path(folder) / file).write_bytes(content)
        # When the files are read
        loaded = _load(Path(folder))

    # Then only that file is refused
    assert isinstance(loaded, ConfigurationError)
    assert {problem.file for problem in loaded.problems} == {file}
