"""Write the verdict as one self-contained page."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from slipway.nag.terminal import by_stack, summary, within
from slipway.nag.verdict import Verdict


def write_page(verdict: Verdict, path: Path) -> None:
    """Write the page; it needs no network and no other file.

    Args:
        verdict: Result of `judge`.
        path: The HTML file; its folder is created if necessary.
    """
    environment = Environment(
        loader=PackageLoader("slipway.nag"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("nag.html.j2").render(
        verdict=verdict,
        summary=summary(verdict),
        findings=by_stack(verdict.findings),
        acknowledgements=by_stack(verdict.acknowledgements),
        within=within,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
