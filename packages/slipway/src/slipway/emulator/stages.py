"""Convert a synthesised stage into one that the emulator can deploy.

This reads the nested assembly that `cdk synth` wrote for a stage, and applies the rows of
`slipway.emulator.substitutions` to its templates. The result is an assembly again: the CDK CLI deploys it like the
original.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway.assembly.flat import stack_template
from slipway.assembly.nested import nested_stacks
from slipway.assembly.reader import MANIFEST_FILE, Manifest, StackEntry, is_assembly, read_manifest, read_object
from slipway.emulator.layers import LAYERS, file_digest, pointer
from slipway.emulator.substitutions import NESTED, SUBSTITUTIONS, Resource, Substitution, Template, TemplatePlace
from slipway.errors import RehearsalError

LAYER = "layer.zip"
LOCAL_LAYER = "layer-local.zip"


@dataclass(frozen=True)
class EmulatedStack:
    """One stack of an assembly."""

    name: str
    template: Template = field(repr=False)

    @property
    def references(self) -> set[tuple[str, str]]:
        """Outputs of other stacks that this one reads (`Fn::GetStackOutput`): stack and output."""
        found: set[tuple[str, str]] = set()

        def visit(node: Any) -> None:
            if isinstance(node, dict):
                if isinstance(reference := node.get("Fn::GetStackOutput"), dict):
                    found.add((str(reference["StackName"]), str(reference["OutputName"])))
                for value in node.values():
                    visit(value)
            elif isinstance(node, list):
                for value in node:
                    visit(value)

        visit(self.template)
        return found


@dataclass(frozen=True)
class EmulatedStage:
    """A stage that is ready to be deployed on the emulator."""

    folder: Path
    stacks: tuple[EmulatedStack, ...]
    used: Mapping[Substitution, int]
    """Used rows, with the number of resources that each matched."""


_STAGE = "assembly-Pipeline-{environment}-{name}"


def staged(assembly: Path, environment: str) -> tuple[str, ...]:
    """Return the stages of an assembly for an environment: `foundation`, and the services that the app names.

    CDK leaves folders of earlier syntheses in place, for example of a removed service, so the manifest decides.

    Args:
        assembly: The whole assembly, `cdk.out`.
        environment: Name of the environment.

    Raises:
        AssemblyError: Its manifest is missing or damaged.
    """
    prefix = _STAGE.format(environment=environment, name="")
    folders = [folder.name for _, folder in read_manifest(assembly).assemblies()]
    return tuple(sorted(name.removeprefix(prefix) for name in folders if name.startswith(prefix)))


def stage_folder(assembly: Path, environment: str, name: str) -> Path:
    """Return the folder in which `cdk synth` wrote a stage.

    Args:
        assembly: The whole assembly, `cdk.out`.
        environment: Name of the environment.
        name: `foundation`, or the service.

    Raises:
        RehearsalError: It does not exist.
    """
    folder = assembly / _STAGE.format(environment=environment, name=name)
    if not is_assembly(folder):
        raise RehearsalError(f"{assembly.name} has no stage {environment}-{name}; run `make synth`")
    return folder


def translate_stage(
    source: Path,
    target: Path,
    *,
    plain_port: int,
    assets: Path,
    unknown_types: Callable[[Iterable[str]], set[str]],
    marks: Mapping[str, str] | None = None,
    player: str | None = None,
    layers: Path = LAYERS,
    only: Collection[str] | None = None,
    rows: Sequence[Substitution] = SUBSTITUTIONS,
) -> EmulatedStage:
    """Write the stage in `source` to `target`, with unsupported resources substituted.

    Args:
        source: Folder of an assembly: of a stage, or of the app itself.
        target: Folder to write to; it is emptied first. If it is `source`, it is changed in place, and keeps the stages
            beneath it.
        plain_port: The emulator's port for plain HTTP.
        assets: `build/assets`, which holds the layer for this machine.
        unknown_types: Returns which of some resource types the emulator does not support.
        marks: Stack → text that goes into the template's metadata. CloudFormation updates a stack only when its
            template changed; a new mark makes it read the outputs of other stacks again. Default: none.
        player: ARN of the function that notifies the player of custom resources. Default: no player.
        layers: Folder into which layers are unpacked. Default: `build/layers`.
        only: Ids of the stacks to convert. Default: all stacks of the folder.
        rows: The table of substitutions. Default: ours.

    Raises:
        RehearsalError: A resource type is unsupported and no row names it, a reference to a dropped resource has no
            replacement, or the layer for this machine is missing.
    """
    manifest = read_manifest(source)
    in_place = target == source
    if not in_place:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
    entries = [entry for entry in manifest.stacks() if only is None or entry.id in only]
    templates = {entry.id: stack_template(entry) for entry in entries}
    _stop_at_unknown_types({entry.name: templates[entry.id] for entry in entries}, unknown_types, rows)
    used = _count_nested(entries)
    stacks = []
    for entry in entries:
        # A stack without assets, such as a support stack in another region, has no list.
        files = read_object(entry.assets_file) if entry.assets_file.is_file() else {}
        local = _local_layers(source, files, assets, layers)
        names = {key: f"{file_digest(layer)}.zip" for key, layer in local.items()}
        place = TemplatePlace(plain_port=plain_port, local_layers=names, player=player)
        template, met = substitute(templates[entry.id], place, stack=entry.name, rows=rows)
        used.update(met)
        digest = _write_template(entry, template, target, mark=(marks or {}).get(entry.name))
        renamed = {**names, "": f"{digest}.json"}
        _hand_on(files, entry.properties["templateFile"], renamed, local, source=source, in_place=in_place)
        if files:
            (target / entry.assets_file.name).write_text(json.dumps(files, indent=1), encoding="utf-8")
        stacks.append(EmulatedStack(entry.name, template))
    _write_manifest(manifest, source, target)
    return EmulatedStage(target, tuple(stacks), used)


def _count_nested(entries: Iterable[StackEntry]) -> Counter[Substitution]:
    nested = sum(1 for entry in entries for _ in nested_stacks(entry.template))
    return Counter({NESTED: nested}) if nested else Counter()


def _write_manifest(manifest: Manifest, source: Path, target: Path) -> None:
    if target == source:
        document = manifest.document
    else:
        # The synthesis has already printed the annotations and done the lookups.
        document = manifest.deployable()
        shutil.copy(source / "cdk.out", target)
    (target / MANIFEST_FILE).write_text(json.dumps(document, indent=1), encoding="utf-8")


def _write_template(entry: StackEntry, template: dict[str, Any], target: Path, *, mark: str | None) -> str:
    """Write a stack's template with its mark, let the manifest name it as an asset, and return its digest."""
    if mark is not None:
        template.setdefault("Metadata", {})["References"] = mark
    text = json.dumps(template, indent=1)
    digest = hashlib.sha256(text.encode()).hexdigest()
    (target / entry.properties["templateFile"]).write_text(text, encoding="utf-8")
    if url := entry.properties.get("stackTemplateAssetObjectUrl"):
        entry.properties["stackTemplateAssetObjectUrl"] = f"{url.rpartition('/')[0]}/{digest}.json"
    return digest


def _hand_on(
    files: dict[str, Any],
    template_file: str,
    names: Mapping[str, str],
    local: Mapping[str, Path],
    *,
    source: Path,
    in_place: bool,
) -> None:
    """Update a list of assets to the changed template and this machine's layers."""
    for file in files.get("files", {}).values():
        if file["source"].get("path") == template_file:
            _rename(file, {_key(file): names[""]})
        elif _key(file) in names:
            layer = local[_key(file)]
            _rename(file, names)
            if in_place:
                layer = Path(shutil.copy(layer, (source / file["source"]["path"]).resolve().parent))
            file["source"]["path"] = os.path.relpath(layer, source) if in_place else str(layer)
        elif not in_place:
            # This folder is moved, but the files that it refers to are not.
            file["source"]["path"] = str((source / file["source"]["path"]).resolve())


def substitute(
    template: Template, place: TemplatePlace, *, stack: str, rows: Sequence[Substitution] = SUBSTITUTIONS
) -> tuple[Template, Counter[Substitution]]:
    """Apply the table to one template.

    Args:
        template: The synthesised template, which is not changed.
        place: The place that it is deployed to.
        stack: Its stack, for messages.
        rows: The table. Default: ours.

    Returns:
        The new template, and the number of resources that each row matched.

    Raises:
        RehearsalError: A reference to a dropped resource has no replacement.
    """
    result = deepcopy(template)
    used: Counter[Substitution] = Counter()
    rewrites: dict[str, Substitution] = {}
    dropped: dict[str, Resource] = {}
    if place.player:
        # These rows come first, because played resources may refer to dropped ones.
        for logical_id, resource in template["Resources"].items():
            for row in rows:
                if row.played is not None and row.applies(resource):
                    used[row] += 1
                    row.played(logical_id, result, place)
    for logical_id, resource in template["Resources"].items():
        for row in rows:
            if not row.applies(resource):
                continue
            if place.player and row.played is not None:
                continue
            used[row] += 1
            if row.change is not None:
                row.change(result["Resources"][logical_id], place)
            if row.references or row.drops:
                rewrites[logical_id] = row
            if row.drops:
                dropped[logical_id] = resource
                del result["Resources"][logical_id]
                break
    if not result["Resources"]:
        # CloudFormation creates no stack without resources, so this resource creates nothing.
        result["Resources"] = {"NothingLeft": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}
    return _References(rewrites, dropped, stack).rewrite(result), used


class _References:
    """Replaces a template's references to dropped or renamed resources."""

    def __init__(self, rows: Mapping[str, Substitution], dropped: Mapping[str, Resource], stack: str) -> None:
        self._rows, self._dropped, self._stack = rows, dropped, stack

    def rewrite(self, template: Template) -> Template:
        for resource in template["Resources"].values():
            depends_on = resource.get("DependsOn", [])
            kept = [
                name
                for name in ([depends_on] if isinstance(depends_on, str) else depends_on)
                if name not in self._dropped
            ]
            if kept:
                resource["DependsOn"] = kept
            else:
                resource.pop("DependsOn", None)
        for section in ("Resources", "Outputs", "Conditions"):
            if section in template:
                template[section] = self._visit(template[section], section)
        return template

    def _visit(self, node: Any, path: str) -> Any:
        if isinstance(node, list):
            return [self._visit(value, f"{path}[{index}]") for index, value in enumerate(node)]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((key, value),) = node.items()
            if key == "Ref" and value in self._rows:
                return self._stand_in(value, "Ref", path, node)
            if key == "Fn::GetAtt":
                logical_id, attribute = value.split(".", 1) if isinstance(value, str) else value
                if logical_id in self._rows:
                    return self._stand_in(logical_id, attribute, path, node)
            if key == "Fn::Sub":
                return self._sub(value, path)
        return {key: self._visit(value, f"{path}.{key}") for key, value in node.items()}

    def _sub(self, value: Any, path: str) -> Any:
        text, variables = (value, {}) if isinstance(value, str) else (value[0], self._visit(value[1], path))
        for name in re.findall(r"\$\{([^!}][^}]*)\}", text):
            logical_id, _, attribute = name.partition(".")
            if logical_id in self._rows and name not in variables:
                original = {"Fn::GetAtt": [logical_id, attribute]} if attribute else {"Ref": logical_id}
                stand_in = self._stand_in(logical_id, attribute or "Ref", path, original)
                if stand_in != original:
                    variable = re.sub(r"\W", "", name) + "StandIn"
                    text = text.replace(f"${{{name}}}", f"${{{variable}}}")
                    variables[variable] = stand_in
        return {"Fn::Sub": [text, variables] if variables else text}

    def _stand_in(self, logical_id: str, attribute: str, path: str, original: Any) -> Any:
        row = self._rows[logical_id]
        if attribute in row.references:
            return row.references[attribute](logical_id)
        if logical_id not in self._dropped:
            return original
        raise RehearsalError(
            f"{self._stack}: {path} reads {attribute} of {logical_id} ({self._dropped[logical_id]['Type']}), which the "
            f"emulator does not host: give {row.subject} a replacement for it in slipway.emulator.substitutions"
        )


def _stop_at_unknown_types(
    templates: Mapping[str, Template],
    unknown_types: Callable[[Iterable[str]], set[str]],
    rows: Sequence[Substitution],
) -> None:
    left = {
        (stack, logical_id): resource["Type"]
        for stack, template in templates.items()
        for logical_id, resource in template["Resources"].items()
        if not any(row.drops and row.applies(resource) for row in rows)
    }
    unknown = unknown_types(set(left.values()))
    strangers = [f"{stack}: {name} ({kind})" for (stack, name), kind in left.items() if kind in unknown]
    if strangers:
        raise RehearsalError(
            f"the emulator does not support {'; '.join(strangers)}; add a row to slipway.emulator.substitutions"
        )


def _local_layers(source: Path, files: dict[str, Any], assets: Path, layers: Path) -> dict[str, Path]:
    """Map the object key of the shipped layer to the layer that replaces it on this machine."""
    layer, local = assets / LAYER, assets / LOCAL_LAYER
    shipped = file_digest(layer)
    if shipped is None:
        return {}
    keys = [
        _key(file)
        for file in files.get("files", {}).values()
        if (path := source / file["source"]["path"]).suffix == ".zip" and file_digest(path) == shipped
    ]
    return {key: pointer(local, layers) for key in keys}


def _key(file: dict[str, Any]) -> str:
    """Return the object key of a file; it is the same at every destination."""
    return str(next(iter(file["destinations"].values()))["objectKey"])


def _rename(file: dict[str, Any], names: Mapping[str, str]) -> None:
    for destination in file["destinations"].values():
        destination["objectKey"] = names[destination["objectKey"]]
