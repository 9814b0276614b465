"""Pages and code are written as docs/style.md asks, and pages name what exists."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from slipway.project import ROOT

BANNED = {
    r"mend(s|ed|ing)?": "fix",
    r"(is|are|was|were) none": "isn't, aren't",
    r"such as there (is|are)": "any",
    r"who(m|so)?ever": "the caller, anyone who",
    r"work(s|ed|ing)? off": "process",
    r"(lets?|letting) go( of)?|(is|are) let go": "accept, delete",
    r"(is|are|was|were|be|being) told": "is notified, learns",
    r"(is|are|was|were) gone": "is deleted, no longer exists",
    r"(goes|go|went|going) off": "is active, becomes active",
    r"becomes? of": "happens to",
    r"another (one )?than": "other than, a different",
    r"(is|are) no (JSON|TOML|YAML|sentence|step)": "isn't a",
    r"one \w+ an? (app|decision|environment|function|job|minute|month|region|second|service|stack)": "one per",
    r"sets? off": "triggers",
    r"stands? (in|beside|below) (a|an|its|the)": "is in, is beside",
    r"in words that": "with a message that",
    r"(came|comes?) of": "results from, happens to",
    r"so many (bytes|functions|minutes|seconds|times)": "the number of",
    r"called with what": "with its arguments",
    r"as people call it": "its usual name",
    r"if need be": "if necessary",
    r"(is|are|was|were) at work": "is running",
    r"(is|are|was|were|be|being) taken back": "is rolled back",
    r"hears? of": "is notified of, learns",
    r"can(not)? be had": "is available",
    r"for want of": "without, because there is no",
    r"of one's own": "its own, custom",
    r"for \w+'s sake": "because of",
    r"by which it (is|was) (called|known)": "its name",
}
"""Phrases that read as translated, as regular expressions, each with a replacement."""

_ANY_BANNED = re.compile(rf"\b({'|'.join(BANNED)})\b", re.IGNORECASE)

EXAMPLES = ROOT / "docs" / "style.md"
"""A page that shows the phrases on purpose."""

_WRITTEN = ("*.md", "docs/**/*.md", "packages/*/README.md", "services/*/README.md")

_CODE_FOLDERS = ("packages/*/src", "pipeline", "services/*", "stacks", "stages")

MODULES = sorted(
    module
    for pattern in _CODE_FOLDERS
    for folder in ROOT.glob(pattern)
    for module in folder.rglob("*.py")
    if "tests" not in module.relative_to(folder).parts
)

TESTS = sorted(
    module
    for pattern in ("packages/*/tests", "services/*/tests", "tests")
    for folder in ROOT.glob(pattern)
    for module in folder.rglob("test_*.py")
)

MOST_WORDS = 10
"""Maximum number of words in a test's name, without `test_`."""

_NO_VERBS = {
    "a", "all", "an", "another", "any", "as", "at", "both", "each", "every", "everything", "for", "from", "how", "if",
    "in", "no", "nothing", "of", "one", "only", "some", "that", "the", "these", "this", "those", "true", "what", "when",
    "where", "whether", "which", "who", "whoever", "whose", "with",
}  # fmt: skip
"""Words that start no imperative sentence. ruff's D401 recognises verbs in other moods, but no other words."""

TEXTS = sorted(
    text
    for pattern in (
        "*.yml", ".*.yaml", "config/**/*.toml", "docs/*.toml", "packages/*/tests/specimen/config/*.toml",
        "pyproject.toml", "services/*/requirements.toml",
    )
    for text in ROOT.glob(pattern)
)  # fmt: skip
"""Configuration and data with comments and prose."""

PAGES = sorted({page for pattern in _WRITTEN for page in ROOT.glob(pattern)} - {EXAMPLES})

_CODE = re.compile(r"^ *```.*?^ *```$|``[^`]+``|`[^`]+`|\]\([^)]*\)", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"`((?:config|docs|packages|pipeline|services|stacks|stages|tests)/[\w./-]+)`")


def banned(text: str) -> Iterator[str]:
    """Yield each banned phrase of a page with its line, ignoring code and links."""
    if not _ANY_BANNED.search(text):
        return
    prose = _CODE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)
    for pattern, instead in BANNED.items():
        for found in re.finditer(rf"\b({pattern})\b", prose, re.IGNORECASE):
            yield f"line {prose.count(chr(10), 0, found.start()) + 1}: {found.group()!r}; write: {instead}"


def prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every comment, docstring and message of a module."""
    named = {  # names of fields and of arguments in docstrings are not prose
        node.lineno: re.sub(r"^( +)[\w`]+:", r"\1", node.value, flags=re.MULTILINE)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" in node.value
    }
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        line = token.start[0]
        if token.type == tokenize.COMMENT:
            yield line, token.string
        elif token.type == tokenize.STRING and token.string.count(" ") > 1:
            text = named.get(line, token.string)
            yield line, re.sub(r"\{[^}]*\}", "{}", text).replace("None", "-")


def without_verb(source: str) -> Iterator[str]:
    """Yield the functions of a module whose docstring starts with a word that isn't a verb; properties may."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        docstring = ast.get_docstring(node) or ""
        word = docstring.split()[0].lower().strip("`'.,:") if docstring else ""
        if word in _NO_VERBS and not any("property" in ast.unparse(decorator) for decorator in node.decorator_list):
            yield f"line {node.lineno}: {docstring.splitlines()[0]}"


def lost(source: str) -> Iterator[int]:
    """Yield the lines of string literals that are statements: the rest of a message that was cut in two."""
    for node in ast.walk(ast.parse(source)):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            for before, statement in pairwise(block if isinstance(block, list) else []):
                if not isinstance(statement, ast.Expr):
                    continue
                # A string below an attribute is its docstring
                targets = [before.target] if isinstance(before, ast.AnnAssign) else getattr(before, "targets", [])
                described = bool(targets) and all(
                    isinstance(each, ast.Attribute) or not isinstance(node, (ast.FunctionDef, ast.If))
                    for each in targets
                )
                is_text = isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)
                if isinstance(statement.value, ast.JoinedStr) or (is_text and not described):
                    yield statement.lineno


_OF_THE_EXAMPLE = re.compile(r"services/orders/|config/(?:dev|staging|prod)\.toml$")
"""Files of the service that the pages add, and of the example's environments, which an app may rename."""


def of_the_example(path: str) -> bool:
    """Return True if a path may be missing here, because pages may show services of the example that the app lacks."""
    folder, _, rest = path.partition("/")
    removed = folder == "services" and not (ROOT / folder / rest.partition("/")[0]).exists()
    return removed or bool(_OF_THE_EXAMPLE.match(path))


@pytest.mark.parametrize("page", [*PAGES, *TEXTS], ids=lambda page: str(page.relative_to(ROOT)))
def test_page_is_plain_english(page: Path) -> None:
    assert list(banned(page.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_names_files_that_exist(page: Path) -> None:
    named = _NAMED.findall(page.read_text(encoding="utf-8"))

    assert [path for path in named if not (ROOT / path).exists() and not of_the_example(path)] == []


def of_modules(find: Callable[[str], Iterable[object]]) -> list[str]:
    """Return what a check finds in the modules, with their paths: one test, as a test costs more than a module."""
    return [
        f"{module.relative_to(ROOT)}: {found}"
        for module in MODULES
        for found in find(module.read_text(encoding="utf-8"))
    ]


def phrases(source: str) -> Iterator[str]:
    """Yield each banned phrase of a module, with the line of its text."""
    for line, text in prose(source):
        yield from (f"line {line}: {phrase}" for phrase in banned(re.sub(r"\s+", " ", text)))


def test_code_is_plain_english() -> None:
    assert of_modules(phrases) == []


def test_docstrings_begin_with_a_verb() -> None:
    assert of_modules(without_verb) == []


def test_no_message_lost_its_end() -> None:
    assert of_modules(lost) == []


def test_lost_end_of_a_message_is_seen() -> None:
    source = """
class A:
    name = 1
    \"\"\"A name.\"\"\"

    def __init__(self) -> None:
        self.port = 1
        \"\"\"A port.\"\"\"
        if self.port:
            why = "stop it with "
            "--now"
        why = f"port "
        f"{self.port}"
"""
    assert list(lost(source)) == [13, 11]


def test_names_of_tests_are_short() -> None:
    long = [
        f"{module.relative_to(ROOT)}: {node.name}"
        for module in TESTS
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        if node.name.startswith("test_") and node.name.count("_") > MOST_WORDS
    ]

    assert long == []


def test_banned_phrase_in_code_is_seen() -> None:
    source = 'def mend() -> None:\n    """Fix it.\n\n    Args:\n        mend: It is none.\n    """\n    # whoever\n'

    assert [text for _, text in prose(source) if list(banned(text))] == [
        "Fix it.\n\n    \n         It is none.\n    ",
        "# whoever",
    ]


def test_docstring_without_a_verb_is_seen() -> None:
    source = 'def path() -> None:\n    """The path."""\n\n\ndef read() -> None:\n    """Read it."""\n'

    assert list(without_verb(source)) == ["line 1: The path."]


def test_banned_phrase_is_seen() -> None:
    assert list(banned("A fault.\nWhoever mends it\nis told.")) == [
        "line 2: 'mends'; write: fix",
        "line 2: 'Whoever'; write: the caller, anyone who",
        "line 3: 'is told'; write: is notified, learns",
    ]


@pytest.mark.parametrize("text", ["`mend`", "```\nmend\n```", "[a](mend)", "amend"])
def test_code_and_links_do_not_count(text: str) -> None:
    assert list(banned(text)) == []
