"""Assets are not specific to an environment: not in name, in content, or by differing between environments."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from slipway.rules.model import Stack
from unit.rules.templates import found, stack

CODE = {"services/items/runtime/api.py": "LEVELS = ('DEBUG', 'INFO')  # https://dora.dev\n"}


class Assets:
    """Stacks with one asset each, in an assembly's format."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stacks: list[Stack] = []

    def add(self, path: str, content: dict[str, str], *, name: str = "Api/Code", digest: str = "0a1b") -> None:
        """Add a stack whose only asset is an archive."""
        archive = self.folder / f"asset.{digest}.zip"
        with zipfile.ZipFile(archive, "w") as file:
            for entry, text in content.items():
                file.writestr(entry, text)
        template = self.folder / f"{path.replace('/', '')}.template.json"
        files = {
            digest: {"displayName": name, "source": {"path": archive.name, "packaging": "file"}},
            "ffff": {"displayName": "prod-items-compute Template", "source": {"path": template.name}},
        }
        template.with_name(template.name.replace(".template.", ".assets.")).write_text(json.dumps({"files": files}))
        self.stacks.append(stack(path, {}, template=template))

    def found(self) -> list[tuple[str, str | None]]:
        """Return stack and asset of each finding."""
        return [(path, finding) for path, _, finding in found("AssetOfNoEnvironment", *self.stacks)]


@pytest.fixture
def assets(tmp_path: Path) -> Assets:
    return Assets(tmp_path)


def test_the_same_archive_everywhere_is_accepted(assets: Assets) -> None:
    for environment in ("dev", "staging", "prod"):
        assets.add(f"Pipeline/{environment}-items/Compute", CODE)

    assert assets.found() == []


@pytest.mark.parametrize("name", ["prod/Code", "Api/Code-prod", "prod-items"])
def test_an_asset_is_not_named_after_an_environment(assets: Assets, name: str) -> None:
    assets.add("Pipeline/prod-items/Compute", CODE, name=name)

    assert assets.found() == [("Pipeline/prod-items/Compute", name)]


@pytest.mark.parametrize(
    "content",
    [
        {"config/prod.toml": ""},
        {"prod/settings.json": ""},
        {"services/items/runtime/api.py": "if environment == 'prod':"},
        {"services/items/runtime/api.py": "TABLE = 'prod-items-data-Table'"},
        {"services/items/runtime/api.py": "BUCKET = 'items-prod'"},
        {"services/items/runtime/api.py": "ACCOUNT = '777788889999'"},
    ],
)
def test_an_asset_contains_nothing_specific_to_an_environment(assets: Assets, content: dict[str, str]) -> None:
    assets.add("Pipeline/prod-items/Compute", content)

    assert assets.found() == [("Pipeline/prod-items/Compute", "Api/Code")]


@pytest.mark.parametrize(
    "content",
    [
        {"services/items/runtime/api.py": "product = reproduce(devices)  # https://dora.dev, stagingArea"},
        # Third-party code may contain such words; its lock file pins its hash
        {"python/some_package/settings.py": "if environment == 'prod':"},
    ],
)
def test_other_words_and_third_party_code_are_accepted(assets: Assets, content: dict[str, str]) -> None:
    assets.add("Pipeline/prod-items/Compute", content)

    assert assets.found() == []


def test_a_function_has_the_same_file_in_every_environment(assets: Assets) -> None:
    assets.add("Pipeline/dev-items/Compute", CODE)
    assets.add("Pipeline/prod-items/Compute", {"services/items/runtime/api.py": "x = 1"}, digest="2c3d")

    assert assets.found() == [
        ("Pipeline/dev-items/Compute", "Api/Code"),
        ("Pipeline/prod-items/Compute", "Api/Code"),
    ]


def test_function_of_one_environment_may_have_its_own_file(assets: Assets) -> None:
    # Given a function for the test user that only dev has
    assets.add("Pipeline/dev-items/Compute", CODE, name="TestUser/Code")
    assets.add("Pipeline/prod-items/Compute", {}, digest="2c3d")

    assert assets.found() == []
