"""Write the evidence as one self-contained page."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path, PurePosixPath
from posixpath import relpath

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from slipway.drawing.draw import STYLE, draw
from slipway.evidence.collect import Evidence
from slipway.evidence.requirements import PAGE
from slipway.evidence.sources import TEST

# HTML in the text is escaped, and links to scripts are refused.
_MARKDOWN = MarkdownIt("js-default", {"html": False, "linkify": False})
_FILES_OF_REPORT = ("nag.html", "review.html")


def write_page(evidence: Evidence, path: Path, *, commit: str, now: datetime) -> None:
    """Write the page; it needs no network and no other file. Its links to code are relative to where it is.

    Args:
        evidence: The evidence.
        path: The HTML file; its folder is created if necessary.
        commit: Description of the working tree's commit.
        now: The current time.
    """
    root = evidence.sources.root.resolve()
    links = _Links(evidence, relpath(root.as_posix(), path.resolve().parent.as_posix()))
    environment = Environment(
        loader=PackageLoader("slipway.evidence"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(inline=links.inline, code=links.code, test=links.test)
    text = environment.get_template("evidence.html.j2").render(
        evidence=evidence,
        parts={part.anchor: part for part in evidence.parts},
        commit=commit,
        now=now,
        picture=draw(evidence.pipeline),
        picture_style=STYLE,
        whole=[name for name in _FILES_OF_REPORT if (path.parent / name).is_file()],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


class _Links:
    """Makes links from the page into the repository.

    Args:
        evidence: The evidence, which names the repository.
        up: Relative path from the page to the repository's root.
    """

    def __init__(self, evidence: Evidence, up: str) -> None:
        self._sources = evidence.sources
        self._up = up

    def inline(self, markdown: str) -> Markup:
        """Return a line of `docs/requirements.md` as HTML, with its links adjusted to the page's location."""
        tokens = _MARKDOWN.parseInline(markdown)
        for token in tokens[0].children or ():
            href = str(token.attrGet("href") or "")
            if token.type == "link_open" and "://" not in href:
                token.attrSet("href", self._to(str(PurePosixPath(PAGE.parent, href))))
        html: str = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
        return Markup(html)  # noqa: S704  # nosec B704  # the renderer escapes

    def code(self, path: str, symbol: str = "") -> Markup:
        """Return a link to a file, displayed as path, line and symbol. The address omits the line of `path:line`."""
        file, _, line = path.rpartition(":") if path.rpartition(":")[2].isdigit() else (path, "", "")
        if symbol and self._sources.has_file(file):
            line = str(self._sources.line_of(file, symbol) or "")
        place = f"{file}:{line}" if line else file
        named = Markup("{} <code>{}</code>").format(Markup("<code>{}</code>").format(place), symbol) if symbol else None
        return Markup('<a href="{}">{}</a>').format(self._to(file), named or Markup("<code>{}</code>").format(place))

    def test(self, node: str) -> Markup:
        """Return a link to a test, displayed by its id without the tests' common folder."""
        match = TEST.fullmatch(node)
        path = match["path"] if match else node
        return Markup('<a href="{}"><code>{}</code></a>').format(self._to(path), node.removeprefix("tests/"))

    def _to(self, path: str) -> str:
        return f"{self._up}/{relpath(path)}"
