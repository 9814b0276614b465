"""What MkDocs asks while it builds the site (`hooks` in mkdocs.yml): pages and files from outside of docs/."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_SHIM = Path("node_modules/iframe-worker/shim/index.js")
_SHIM_URI = "assets/iframe-worker.js"

# A page links to a file beside docs/ as GitHub shows it; the site has the pages of the services, and no sources.
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(((?:\.\./)+[^)\s]+)\)")
_PICTURE = re.compile(r"\]\(../../docs/")
_SERVICE = re.compile(r"services/([a-z0-9-]+)/README\.md")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the services' pages, and the script that search needs where a page is opened from a file."""
    root = Path(config.config_file_path).parent
    for page in sorted(root.glob("services/*/README.md")):
        text = _PICTURE.sub("](../", page.read_text(encoding="utf-8"))
        files.append(File.generated(config, f"services/{page.parent.name}.md", content=text))
    files.append(File.generated(config, _SHIM_URI, content=(root / _SHIM).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:
    """Lead links out of docs/ to the page that the site has, or leave their text alone."""
    folder = posixpath.dirname(page.file.src_uri)

    def rewritten(match: re.Match[str]) -> str:
        text, target = match.groups()
        path, _, anchor = target.partition("#")
        # The folder of the pages, as seen from the repository's root.
        place = posixpath.normpath(posixpath.join("docs", folder, path))
        if place.startswith("docs/"):
            return match.group()
        if service := _SERVICE.fullmatch(place):
            found = posixpath.relpath(f"services/{service[1]}.md", folder or ".")
            return f"[{text}]({found}{'#' + anchor if anchor else ''})"
        return text

    return _LINK.sub(rewritten, markdown)
