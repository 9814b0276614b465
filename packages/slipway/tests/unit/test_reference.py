"""The reference pages match the code: verbs with their options, settings with their limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from slipway import project
from slipway.cli.verbs import JUDGE, Verb
from slipway.reference import settings_page, verbs_page
from slipway.settings.model import ServiceSettings, Traffic


class Kettle(ServiceSettings):
    """Settings of `kettle`."""

    litres: Annotated[int, Field(ge=1, le=3)] = 2
    """Maximum amount | per boil."""
    colours: tuple[Annotated[str, Field(max_length=9)], ...] = Field(strict=False, min_length=1)
    traffic: Traffic


def makefile(folder: Path) -> Path:
    path = folder / "Makefile"
    path.write_text("boil: install ## Boil a | kettle\n\t@true\n\ninner:\n\t@true\n", encoding="utf-8")
    return path


def test_verbs_of_make_are_listed_with_their_summaries(tmp_path: Path) -> None:
    page = verbs_page(makefile(tmp_path), verbs=[])

    assert "| `make boil` | Boil a \\| kettle |\n" in page
    assert "inner" not in page


def test_verb_is_shown_with_its_options(tmp_path: Path) -> None:
    # Given a visible verb, and one that the help hides
    shown = Verb("cost", JUDGE, "", "slipway.cost.command", "cost")
    hidden = Verb("secret-cost", JUDGE, "", "slipway.cost.command", "cost", hidden=True)
    page = verbs_page(makefile(tmp_path), verbs=[shown, hidden])

    assert "### `slipway cost`\n" in page
    assert "* `--set KEY=NUMBER`: " in page
    assert "secret-cost" not in page
    # A default path below the project is the same in every checkout
    assert str(project.ROOT) not in page


def test_setting_is_shown_with_limits_default_and_meaning() -> None:
    page = settings_page({"kettle": Kettle})

    assert "### `[services.kettle]`\n\nSettings of `kettle`.\n" in page
    assert "| `litres` | integer, 1 to 3 | `2` | Maximum amount \\| per boil. |\n" in page
    assert "| `colours` | list of string of up to 9 characters, at least one |  |  |\n" in page


def test_keys_set_elsewhere_are_left_out() -> None:
    page = settings_page({})

    # An environment is named by its file, and the pipeline has a common prefix
    environment, pipeline = page.split("## `pipeline.toml`")
    assert "| `tools_account` |" not in environment
    assert "| `bucket_prefix` |" not in environment
    assert "| `bucket_prefix` |" in pipeline


def test_forms_of_a_table_are_distinguished() -> None:
    page = settings_page({})

    assert '### `[source]`, `kind = "s3"`\n' in page
    assert '### `[source]`, `kind = "codecommit"`\n' in page


def test_table_with_free_keys_shows_their_values() -> None:
    page = settings_page({})

    _, _, groups = page.partition("### `[groups.<name>]`")
    assert groups.partition("### ")[0].count("| `services` |") == 1
