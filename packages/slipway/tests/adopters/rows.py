"""The first changes that teams make, one row each: how the change is made, and what has to work afterwards."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adopters.copies import Copy
from adopters.limits import at_limits
from adopters.users import NOBODY, as_nobody

EUROPE = "eu-west-1"
OTHER = "eu-central-1"
_IDENTITY = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "EMAIL": ""}
"""Variables with which git finds no user name."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A change that a team makes.

    Attributes:
        name: Name in the table.
        change: Makes the change in a copy.
        plays: Services whose delivery to the last environment is rehearsed. Default: no rehearsal.
        accepts: True to accept new acknowledgements first (`make baseline`): of added resources, and of those that
            only another region needs, such as its artifact bucket.
        copies: Creates the copy. Default: a clone.
        check: Makes further checks once the assembly exists. Default: none.
        stops: Where the rehearsal has to stop. Default: nowhere, it succeeds.
        group: Group of services whose pipeline is rehearsed. Default: the whole app.
    """

    name: str
    change: Callable[[Copy], None]
    plays: tuple[str, ...] = ()
    accepts: bool = False
    copies: Callable[[Path], Copy] = Copy.make
    check: Callable[[Copy], None] = lambda _: None
    stops: str = ""
    group: str = ""


def slug(row: Row) -> str:
    """Return a row's name as a file may have it."""
    return re.sub(r"\W+", "-", row.name).strip("-")


def _nothing(_: Copy) -> None:
    """Leave everything unchanged."""


# --- Names, accounts, places ---


def _own(copy: Copy) -> None:
    accounts = iter(("472938475610", "583049586721", "694150697832", "705261708943", "816372819054"))
    connection = "arn:aws:codeconnections:{}:{}:connection/12345678-1234-1234-1234-123456789012"
    tools = next(accounts)
    source = {
        "source.repository": "acme/shop",
        "source.connection_arn": connection.format(EUROPE, tools),
        "name": "acme",
        "bucket_prefix": None,
        "key_alias": None,
        "approval.emails": ["leads@acme.example"],
        "notifications.emails": ["platform@acme.example"],
    }
    copy.configure("pipeline", {"account": tools, "region": EUROPE, **_tags(), **source})
    for name in copy.environments():
        emails = [f"{name}@acme.example"]
        place = {"account": next(accounts), "region": EUROPE}
        copy.configure(name, {**place, **_tags(), "alarms.emails": emails})


def _tags() -> dict[str, Any]:
    return {"tags.project": "Shop", "tags.application": "shop", "tags.owner": "acme", "tags.cost_center": "42"}


def _europe(copy: Copy) -> None:
    copy.edit(lambda text: text.replace("us-east-1", EUROPE), *(f"config/{name}.toml" for name in _files(copy)))


def _files(copy: Copy) -> list[str]:
    return ["pipeline", *copy.environments()]


def _two_apps(copy: Copy) -> None:
    copy.configure("pipeline", {"name": "acme", "qualifier": "acme", "bucket_prefix": None, "key_alias": None})


def _apart(copy: Copy) -> None:
    """Check that nothing with a name in the tools account contains the first app's name."""
    tools = copy.toml("pipeline")["account"]
    manifest = json.loads((copy.folder / "cdk.out" / "manifest.json").read_text(encoding="utf-8"))
    stacks = [each for each in manifest["artifacts"].values() if each["type"] == "aws:cloudformation:stack"]
    assert {each["environment"].split("/")[2] for each in stacks} == {tools}
    for stack in stacks:
        assert "slipway" not in stack["properties"]["stackName"]
        template = json.loads((copy.folder / "cdk.out" / stack["properties"]["templateFile"]).read_text())
        for logical_id, resource in template["Resources"].items():
            for key, value in resource.get("Properties", {}).items():
                # An inline policy belongs to its role, whatever its name
                if key.endswith("Name") and key != "PolicyName" and isinstance(value, str):
                    assert "slipway" not in value.lower(), (logical_id, key, value)


# --- Services ---


def _keep(*services: str) -> Callable[[Copy], None]:
    def change(copy: Copy) -> None:
        for name in copy.services():
            if name not in services:
                copy.slipway("service", "remove", name, "--yes")
                copy.commit(f"Remove {name}")

    return change


def _without(service: str) -> Callable[[Copy], None]:
    def change(copy: Copy) -> None:
        copy.slipway("service", "remove", service, "--yes")

    return change


def new(shape: str) -> Callable[[Copy], None]:
    """Return a change that adds a service of a shape with the verb."""

    def change(copy: Copy) -> None:
        copy.slipway("service", "new", "orders", "--shape", shape, "--yes")

    return change


def _groups(copy: Copy) -> None:
    """Give one pipeline to the first service, and another to the others."""
    first, *others = copy.services()
    copy.configure("pipeline", {"groups": {"front": _group([first], "front"), "back": _group(others, "back")}})


def _group(services: list[str], qualifier: str) -> dict[str, Any]:
    return {"services": services, "qualifier": qualifier}


def _pipelines_apart(copy: Copy) -> None:
    """Check that each group's pipeline has its own name, and does not start on changes to the other's services."""
    groups = copy.toml("pipeline")["groups"]
    for group, other in ((group, other) for group in groups for other in groups if other != group):
        folder = f"build/{group}"
        one = groups[group]["services"][0]
        variables = {"CDK_VALIDATION": "false", "CDK_OUTDIR": folder, "SLIPWAY_GROUP": group, "SLIPWAY_SERVICES": one}
        copy.run("python", "-O", "app.py", code=0, **variables)
        template = json.loads((copy.folder / folder / "Pipeline.template.json").read_text(encoding="utf-8"))
        (pipeline,) = (
            each["Properties"]
            for each in template["Resources"].values()
            if each["Type"] == "AWS::CodePipeline::Pipeline"
        )
        assert pipeline["Name"].endswith(f"-{group}")
        ((pushed,),) = (trigger["GitConfiguration"]["Push"] for trigger in pipeline["Triggers"])
        for service in groups[other]["services"]:
            assert any(service in path for path in pushed["FilePaths"]["Excludes"]), (group, service)


# --- Environments ---


def _production_called(name: str) -> Callable[[Copy], None]:
    """Keep only the first and the last environment, and rename the last."""

    def change(copy: Copy) -> None:
        first, *between, last = copy.environments()
        config = copy.folder / "config"
        for gone in between:
            (config / f"{gone}.toml").unlink()
        (config / f"{last}.toml").rename(config / f"{name}.toml")
        copy.configure("pipeline", {"environments": [first, name], "approval_before": None})

    return change


def _four(copy: Copy) -> None:
    first, second, last = copy.environments()
    copy.write("qa", copy.toml(second) | {"account": "444444444444"})
    copy.configure("pipeline", {"environments": [first, "qa", second, last]})


def _one_account(copy: Copy) -> None:
    copy.configure("pipeline", {"share_accounts": True})
    for name in copy.environments():
        copy.configure(name, {"account": copy.toml(copy.environments()[0])["account"]})


def _no_approval(copy: Copy) -> None:
    *names, last = copy.environments()
    (copy.folder / "config" / f"{last}.toml").unlink()
    copy.configure("pipeline", {"environments": names, "approval_before": None})


def _second_region(copy: Copy) -> None:
    *_, last = copy.environments()
    copy.write(f"{last}-eu", copy.toml(last) | {"region": OTHER})
    copy.configure("pipeline", {"share_accounts": True, "environments": [*copy.environments(), f"{last}-eu"]})


def _side_by_side(copy: Copy) -> None:
    """Deploy to two regions in parallel, with waves so that two environments fit into stages of fifty actions."""
    _second_region(copy)
    *_, last, twin = copy.environments()
    first, *others = copy.services()
    copy.configure("pipeline", {"side_by_side": [[last, twin]], "waves": [[first], others] if others else None})


def _frozen(copy: Copy) -> None:
    copy.configure(copy.environments()[-1], {"deployment.frozen": True})


def _long_names(copy: Copy) -> None:
    """Give each environment a long name, all in one account, so that its policies contain all the names."""
    names = copy.environments()
    long = {name: f"{name}-of-the-acme-company" for name in names}
    account = copy.toml(names[0])["account"]
    for old, new_name in long.items():
        (copy.folder / "config" / f"{old}.toml").rename(copy.folder / "config" / f"{new_name}.toml")
        copy.configure(new_name, {"account": account})
    given = {"name": "acme", "share_accounts": True, "approval_before": None, "environments": [*long.values()]}
    copy.configure("pipeline", given)


def _policies_fit(copy: Copy) -> None:
    """Check sizes: of a managed policy without white space, and of a template deployed from a file."""
    copy.slipway("bootstrap")
    written = list((copy.folder / "build" / "bootstrap").glob("*/*.json"))
    assert written
    for file in written:
        text = file.read_text(encoding="utf-8")
        if "template" in file.name:
            assert len(text.encode()) <= 51_200, file.name
        else:
            assert len("".join(text.split())) <= 6_144, file.name


# --- Sources ---


def _source(source: Mapping[str, Any], **more: Any) -> Callable[[Copy], None]:
    def change(copy: Copy) -> None:
        copy.configure("pipeline", {"source": dict(source), **more})
        # Only GitHub's address can be derived from the source
        for name in copy.environments():
            copy.configure(name, {"alarms.runbooks": "https://wiki.acme.example/runbooks"})

    return change


# --- Machines ---


def _in_a_space(folder: Path) -> Copy:
    return Copy.make(folder / "a folder (of mine)")


def _nobodys(folder: Path) -> Copy:
    copy = Copy.make(folder)
    copy.variables |= _IDENTITY | {"HOME": str(folder)}
    return copy


def _worktree(folder: Path) -> Copy:
    main = Copy.make(folder / "main")
    main.run("git", "worktree", "add", "--quiet", "-b", "topic", str(folder / "tree"))
    tree = Copy(folder / "tree")
    for name in (".venv", "node_modules"):
        (tree.folder / name).symlink_to((main.folder / name).resolve())
    shutil.copytree(main.folder / "build", tree.folder / "build")
    tree.age()
    return tree


def _zip(folder: Path) -> Copy:
    return Copy.make(folder, history=False)


def _another_user(folder: Path) -> Copy:
    # Not in the given folder: each session of pytest closes the one around it to all others.
    outside = Path(tempfile.mkdtemp(prefix=folder.name))
    copy, home = Copy.make(outside / "app"), outside / "home"
    home.mkdir()
    for path in (outside, *outside.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    copy.prefix = as_nobody()
    copy.variables |= {"HOME": str(home), "TMPDIR": str(home)}
    return copy


ROWS = (
    Row(name="own accounts, region, repository, name", change=_own, plays=("ingest",), accepts=True),
    Row(name="another region for all", change=_europe, plays=("items",), accepts=True),
    Row(name="only `items`", change=_keep("items"), plays=("items",)),
    Row(name="only `processing`", change=_keep("processing"), plays=("processing",)),
    Row(name="without `items`", change=_without("items"), plays=("ingest",)),
    *(
        Row(name=f"a new service: {shape}", change=new(shape), plays=("orders",), accepts=True)
        for shape in ("rest", "http", "queue", "schedule", "stream")
    ),
    Row(
        name="groups of services with a pipeline each",
        change=_groups,
        check=_pipelines_apart,
        plays=("ingest",),
        group="front",
    ),
    Row(name="`dev` and `production`", change=_production_called("production"), plays=("items",)),
    Row(name="four environments", change=_four, plays=("processing",)),
    Row(name="one account", change=_one_account, check=_policies_fit, plays=("items",)),
    Row(name="no approval", change=_no_approval, plays=("ingest",)),
    Row(
        name="CodeCommit",
        change=_source({"kind": "codecommit", "repository": "shop", "branch": "main"}),
        plays=("processing",),
        accepts=True,
    ),
    Row(
        name="S3",
        # A zip in a bucket has no history that a change could be reviewed against
        change=_source({"kind": "s3", "bucket": "acme-source", "key": "shop.zip"}, **{"gates.review": "off"}),
        plays=("ingest",),
    ),
    Row(
        name="production in two regions",
        change=_second_region,
        check=_policies_fit,
        plays=("processing",),
        accepts=True,
    ),
    Row(
        name="production in two regions side by side",
        change=_side_by_side,
        check=_policies_fit,
        plays=("processing",),
        accepts=True,
    ),
    Row(name="production frozen", change=_frozen),
    Row(name="every figure at its highest", change=lambda copy: at_limits(copy, highest=True)),
    Row(name="every figure at its lowest", change=lambda copy: at_limits(copy, highest=False)),
    Row(name="long names, in one account", change=_long_names, check=_policies_fit),
    Row(name="two apps in one tools account", change=_two_apps, check=_apart),
    Row(name="a path with a space", change=_nothing, copies=_in_a_space, plays=("items",)),
    Row(name="git knows no name", change=_nothing, copies=_nobodys, plays=("items",)),
    Row(name="a work tree", change=_nothing, copies=_worktree, plays=("items",)),
    Row(name="a zip without history", change=_nothing, copies=_zip, plays=("items",), stops="git init"),
    Row(name="another user than root", change=_nothing, copies=_another_user, plays=("items",)),
)
