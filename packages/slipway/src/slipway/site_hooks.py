"""Hooks for MkDocs (`hooks` in mkdocs.yml): add pages and files from outside docs/."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_SHIM = Path("node_modules/iframe-worker/shim/index.js")
_SHIM_URI = "assets/iframe-worker.js"

_SECTION = "Services"
"""Heading in mkdocs.yml for the services' pages, which differ from app to app."""

# A page links to a file beside docs/ in the way that GitHub shows it; the site contains the services' pages, but no
# sources.
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(((?:\.\./)+[^)\s]+)\)")
_PICTURE = re.compile(r"\]\(../../docs/")
_OWN_PICTURE = re.compile(r"\]\((\w+\.svg)\)")
_SERVICE = re.compile(r"services/([a-z0-9-]+)/README\.md")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the app's services to the nav under their heading."""
    for section in config.nav or []:
        for entry in next(iter(section.values())):
            if isinstance(entry, dict) and _SECTION in entry:
                entry[_SECTION] = [{name: f"services/{name}.md"} for name in _services(config)]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the services' pages and pictures, and the script that search needs for a page opened from disk."""
    root = _root(config)
    for name in _services(config):
        folder = root / "services" / name
        text = _OWN_PICTURE.sub(rf"]({name}/\1)", (folder / "README.md").read_text(encoding="utf-8"))
        files.append(File.generated(config, f"services/{name}.md", content=_PICTURE.sub("](../", text)))
        for picture in folder.glob("*.svg"):
            content = picture.read_text(encoding="utf-8")
            files.append(File.generated(config, f"services/{name}/{picture.name}", content=content))
    files.append(File.generated(config, _SHIM_URI, content=(root / _SHIM).read_text(encoding="utf-8")))
    return files


def _root(config: MkDocsConfig) -> Path:
    return Path(config.config_file_path).parent


def _services(config: MkDocsConfig) -> list[str]:
    return sorted(page.parent.name for page in _root(config).glob("services/*/README.md"))


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, **_: object) -> str:
    """Point links out of docs/ to the page in the site, or remove the link and keep its text."""
    services = _services(config)
    folder = posixpath.dirname(page.file.src_uri)

    def rewritten(match: re.Match[str]) -> str:
        text, target = match.groups()
        path, _, anchor = target.partition("#")
        # The folder of the pages, relative to the repository's root.
        place = posixpath.normpath(posixpath.join("docs", folder, path))
        if place.startswith("docs/"):
            return match.group()
        if (service := _SERVICE.fullmatch(place)) and service[1] in services:
            found = posixpath.relpath(f"services/{service[1]}.md", folder or ".")
            return f"[{text}]({found}{'#' + anchor if anchor else ''})"
        return text

    return _LINK.sub(rewritten, markdown)
