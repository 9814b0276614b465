"""Synthesise a variant once, and read its templates as plain data."""

from __future__ import annotations

import atexit
import hashlib
import inspect
import json
import os
import re
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from aws_cdk import App, CfnResource, DefaultStackSynthesizer, Stack
from filelock import FileLock

from pipeline.delivery import PipelineStack
from services.items.infrastructure import Items
from slipway.app import CDK_JSON
from slipway.blocks.assets import MANIFEST_FILE, AssetManifest, AssetRecord, AssetStore, file_digest
from slipway.delivery.roles import VerificationRole
from slipway.nag.packs import CONTEXT
from slipway.service import Service
from slipway.settings import Environment, Settings
from stages.foundation_stage import FoundationStage
from stages.service_stage import ServiceStage
from tests.infrastructure.matrix import ENVIRONMENTS

Resource = dict[str, Any]
"""A resource as the template holds it: Type, Properties, DependsOn, …"""

SERVICES_FOLDER = CDK_JSON.with_name("services")

KEPT = {("Retain", "Retain"), ("RetainExceptOnCreate", "Retain")}
"""Deletion and replacement policies under which a resource outlives its template."""

# A reference in `Deployment.text`: <stack/LogicalId> or <stack/LogicalId.Attribute>.
_REFERENCE = re.compile(r"^<(?P<stack>[^/>]+)/(?P<id>[^.>]+)(\.(?P<attribute>[^>]+))?>$")


@dataclass(frozen=True)
class Template:
    """One stack's template.

    Args:
        name: `security`, `data`, `compute`, `observability`, `foundation` or `pipeline`.
        raw: the JSON document.
        stack_name: the stack's name in CloudFormation.
        termination_protection: whether the assembly asks for it.
        account: where the stack goes.
        region: where the stack goes.
    """

    name: str
    raw: Mapping[str, Any]
    stack_name: str
    termination_protection: bool
    account: str
    region: str

    @property
    def resources(self) -> Mapping[str, Resource]:
        """Every resource by its logical id."""
        return {key: value for key, value in self.raw["Resources"].items() if value["Type"] != "AWS::CDK::Metadata"}

    @property
    def outputs(self) -> Mapping[str, Any]:
        """The outputs that people and tests read; those that CDK publishes for weak references are left out."""
        return {key: value for key, value in self.raw.get("Outputs", {}).items() if not key.startswith("PublishOutput")}

    def of_type(self, resource_type: str) -> Mapping[str, Resource]:
        """The resources of a type by their logical ids."""
        return {key: value for key, value in self.resources.items() if value["Type"] == resource_type}

    def properties_of(self, resource_type: str) -> list[dict[str, Any]]:
        """The properties of every resource of a type."""
        return [resource.get("Properties", {}) for resource in self.of_type(resource_type).values()]

    def only(self, resource_type: str, where: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The properties of the one resource of a type for which `where` holds."""
        found = [properties for properties in self.properties_of(resource_type) if where(properties)]
        assert len(found) == 1, f"{self.name}: {len(found)} of {resource_type}"
        return found[0]

    def text(self) -> str:
        """The template as JSON."""
        return json.dumps(self.raw, ensure_ascii=False)


class Deployment:
    """The stacks of one service and the foundation of one environment, with references followed across stacks."""

    def __init__(self, variant: str, environment: Environment, templates: Mapping[str, Template]) -> None:
        self.variant = variant
        self.environment = environment
        self.templates = templates
        self._by_stack_name = {template.stack_name: template for template in templates.values()}

    def __getitem__(self, stack: str) -> Template:
        return self.templates[stack]

    def __iter__(self) -> Iterator[Template]:
        return iter(self.templates.values())

    def text(self, stack: str, value: Any) -> str:
        """A value with its references written out: `<stack/LogicalId.Attribute>`, the same from whichever stack."""
        match value:
            case str():
                return value
            case bool() | int() | float():
                return json.dumps(value)
            case {"Ref": str(name)}:
                return f"<{name}>" if name.startswith("AWS::") else f"<{stack}/{name}>"
            case {"Fn::GetAtt": [str(name), str(attribute)]}:
                return f"<{stack}/{name}.{attribute}>"
            case {"Fn::Join": [str(delimiter), list(parts)]}:
                return delimiter.join(self.text(stack, part) for part in parts)
            case {"Fn::GetStackOutput": {"StackName": str(owner), "OutputName": str(name)}}:
                template = self._by_stack_name[owner]
                return self.text(template.name, template.raw["Outputs"][name]["Value"])
            case {"Fn::Split": [str(delimiter), inner]}:
                return f"split({delimiter},{self.text(stack, inner)})"
            case {"Fn::Select": [index, inner]}:
                return f"select({index},{self.text(stack, inner)})"
        raise AssertionError(f"{self.variant}: {stack}: cannot follow {value!r}")

    def texts(self, stack: str, value: Any) -> set[str]:
        """As `text`, for one value or a list of them."""
        return {self.text(stack, entry) for entry in (value if isinstance(value, list) else [value])}

    def output(self, name: str) -> str:
        """What the output of that name shows, in whichever stack it is."""
        found = [(template.name, template.outputs[name]) for template in self if name in template.outputs]
        assert len(found) == 1, f"{self.variant}: {len(found)} outputs {name}"
        stack, entry = found[0]
        return self.text(stack, entry["Value"])

    def behind(self, reference: str) -> Resource:
        """The resource that a reference written by `text` or `output` points to."""
        match = _REFERENCE.match(reference)
        assert match, f"{reference} is no reference"
        return self[match["stack"]].resources[match["id"]]

    def function(self, handler: str) -> dict[str, Any]:
        """Properties of the function with that handler, given without `services.<name>.runtime.`."""
        return self.functions()[handler]

    def functions(self) -> Mapping[str, dict[str, Any]]:
        """Properties of every function by its handler, without `services.<name>.runtime.`."""
        return {
            _short(resource): resource["Properties"]
            for template in self
            for resource in template.of_type("AWS::Lambda::Function").values()
        }

    def place_of_function(self, handler: str) -> tuple[str, str]:
        """Stack and logical id of the function with that handler."""
        for template in self:
            for key, resource in template.of_type("AWS::Lambda::Function").items():
                if _short(resource) == handler:
                    return template.name, key
        raise AssertionError(f"{self.variant}: no function {handler}")

    def aliases(self, handler: str) -> Mapping[str, str]:
        """References to a function's aliases by their names."""
        stack, function = self.place_of_function(handler)
        return {
            resource["Properties"]["Name"]: f"<{stack}/{key}>"
            for key, resource in self[stack].of_type("AWS::Lambda::Alias").items()
            if resource["Properties"]["FunctionName"] == {"Ref": function}
        }


def _short(function: Resource) -> str:
    return str(function["Properties"]["Handler"]).partition(".runtime.")[2]


@cache
def assets() -> AssetStore:
    """Zips that stand in for the built ones: templates depend on their digests and on nothing else."""
    folder = _scratch() / "assets"
    write_assets(folder)
    return AssetStore(folder)


@cache
def _scratch() -> Path:
    """A folder for what this process synthesises, gone when it ends."""
    folder = tempfile.mkdtemp(prefix="infrastructure-tests-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def write_assets(folder: Path) -> None:
    """Fill a folder as `make build` does, with zips of one file."""
    folder.mkdir(parents=True, exist_ok=True)
    records = {}
    services = sorted(path.parent.name for path in SERVICES_FOLDER.glob("*/runtime"))
    for name in (*services, "pipeline", "layer", "layer-local"):
        path = folder / f"{name}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(zipfile.ZipInfo("name.txt"), name)
        digest = file_digest(path)
        assert digest
        records[name] = AssetRecord(sha256=digest, inputs=digest, unzipped_bytes=len(name))
    (folder / MANIFEST_FILE).write_text(AssetManifest(assets=records).model_dump_json(), encoding="utf-8")


def new_folder() -> Path:
    """A folder for an assembly."""
    return Path(tempfile.mkdtemp(prefix="cdk-out-", dir=_scratch()))


def new_app() -> App:
    """An app with the context and synthesizer of `app.py`."""
    return App(
        outdir=str(new_folder()),
        # The gate has them run itself where templates are judged; here they would take a second of each process, and
        # longer than the synthesis of a service.
        builtin_cloud_formation_validation=False,
        context=json.loads(CDK_JSON.read_text(encoding="utf-8"))["context"],
        post_cli_context=CONTEXT,
        default_stack_synthesizer=DefaultStackSynthesizer(),
    )


@cache
def shared() -> Path:
    """Return the folder that keeps what was synthesised from exactly these sources, across processes and runs.

    What any synthesis reads decides its name, the interpreter and the locked packages included. Of other sources, the
    folders that nobody used for a week are deleted.
    """
    digest = hashlib.sha256(sys.version.encode())
    for file in _sources():
        digest.update(f"{file.relative_to(_ROOT)}\0{file_digest(file)}\n".encode())
    folder = _ROOT / "build" / "tests" / "synthesised" / digest.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    for other in folder.parent.iterdir():
        if time.time() - other.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(other, ignore_errors=True)
    return folder


def place_of(name: str, *, made_by: Path) -> Path:
    """Return where something is kept that is synthesised from these sources.

    Args:
        name: what it is.
        made_by: the file beside the sources that decides what it is: of a test, or of a service in one.
    """
    return shared() / f"{name} {file_digest(made_by)}"


def _sources() -> Iterator[Path]:
    """Every file that a synthesis may read."""
    for place in _READ:
        found = [place] if place.is_file() else sorted(place.rglob("*"))
        yield from (file for file in found if file.is_file() and "__pycache__" not in file.parts)


_ROOT = CDK_JSON.parent
_KEPT_SECONDS = 7 * 24 * 3600
_READ = (
    *(
        _ROOT / name
        for name in ("app.py", "cdk.json", "config", "pipeline", "requirements", "services", "stacks", "stages")
    ),
    *sorted(_ROOT.glob("packages/*/src")),
    _ROOT / "docs" / "runbooks",
    Path(__file__),
    Path(__file__).with_name("matrix.py"),
)


@cache
def deployment(variant: str, service: type[Service] = Items) -> Deployment:
    """A service in a variant of the matrix, synthesised once for these sources, by whichever process is first."""
    place = place_of(f"{service.__name__} {variant}", made_by=Path(inspect.getfile(service)))
    file = place.with_suffix(".json")
    with FileLock(place.with_suffix(".lock")):
        if file.is_file():
            kept = {name: Template(**content) for name, content in json.loads(file.read_text(encoding="utf-8")).items()}
            return Deployment(variant, ENVIRONMENTS[variant], kept)
        deployed = deploy(variant, ENVIRONMENTS[variant], service)
        content = {name: asdict(template) for name, template in deployed.templates.items()}
        # A run that is broken off leaves no half of it.
        written = place.with_suffix(".part")
        written.write_text(json.dumps(content), encoding="utf-8")
        written.replace(file)
        return deployed


def deploy(variant: str, environment: Environment, service: type[Service] = Items) -> Deployment:
    """Foundation and a service of an environment, synthesised."""
    app = new_app()
    FoundationStage(app, environment=environment, services=[service.name])
    ServiceStage(app, service=service(environment=environment, assets=assets()))
    return Deployment(variant, environment, read_templates(Path(app.synth().directory)))


class Tiny(Service[None, None, None]):
    """A service of one resource a stack, for tests of what is around services."""

    name = "tiny"
    description = "Tiny"

    def add_security(self, stack: Stack) -> None:
        CfnResource(stack, "Handle", type="AWS::CloudFormation::WaitConditionHandle")

    def add_data(self, stack: Stack, security: None) -> None:
        self.add_security(stack)

    def add_compute(self, stack: Stack, security: None, data: None, verification: VerificationRole) -> None:
        self.add_security(stack)

    def add_observability(self, stack: Stack, security: None, data: None, compute: None) -> None:
        self.add_security(stack)


class Small(Tiny):
    """A second one: CDK Pipelines calls a wave with one stage by the stage's name."""

    name = "small"


def pipeline(
    settings: Settings, services: Sequence[type[Service]] = (Tiny, Small)
) -> tuple[Template, Mapping[str, Template], Path]:
    """The pipeline's own template, those of every stack in the assembly by stack name, and the assembly."""
    app = new_app()
    PipelineStack(app, "Pipeline", settings=settings, services=services, assets=assets())
    assembly = Path(app.synth().directory)
    templates = {template.stack_name: template for template in _templates(assembly)}
    return templates[f"{settings.pipeline.app}-pipeline"], templates, assembly


def read_templates(assembly: Path) -> Mapping[str, Template]:
    """Every template of an assembly and of those nested in it, by the last word of the stack's name."""
    return {template.name: template for template in _templates(assembly)}


def _templates(assembly: Path) -> Iterator[Template]:
    manifest = json.loads((assembly / "manifest.json").read_text(encoding="utf-8"))
    for artifact in manifest["artifacts"].values():
        properties = artifact.get("properties", {})
        if artifact["type"] == "cdk:cloud-assembly":
            yield from _templates(assembly / properties["directoryName"])
        elif artifact["type"] == "aws:cloudformation:stack":
            stack_name = properties["stackName"]
            account, region = artifact["environment"].removeprefix("aws://").split("/")
            yield Template(
                name=stack_name.rpartition("-")[2],
                raw=json.loads((assembly / properties["templateFile"]).read_text(encoding="utf-8")),
                stack_name=stack_name,
                termination_protection=properties.get("terminationProtection", False),
                account=account,
                region=region,
            )
