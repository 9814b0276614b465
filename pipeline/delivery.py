"""The order of the delivery: every push goes through every environment.

    source → synth → self-mutation → assets → for each environment: approval → foundation → services, wave after wave

The last wave of an environment ends with its protection and its tests, and then bakes. `docs/pipeline.md` shows it.
"""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import pipelines
from constructs import Construct

from slipway.blocks.assets import AssetStore
from slipway.delivery.stack import Delivered, DeliveryStack
from slipway.delivery.steps import ProtectStep, VerifyStep, verifying
from slipway.delivery.waves import Wave, arrange
from slipway.service import Service
from slipway.settings import Environment, Settings
from stages.foundation_stage import FoundationStage
from stages.service_stage import ServiceStage


class PipelineStack(DeliveryStack):
    """The self-mutating CodePipeline in the tools account, and beneath it every stage that it deploys.

    Args:
        scope: The app.
        construct_id: Id in it.
        settings: All of `config/`.
        services: The classes of the services that each environment gets.
        assets: The built assets.

    Raises:
        ConfigurationError: The configured waves and the services do not match.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        services: Sequence[type[Service]],
        assets: AssetStore,
    ) -> None:
        waves = arrange(services, settings)
        super().__init__(scope, construct_id, settings=settings, assets=assets)
        self.finish([self._deliver(environment, waves) for environment in settings.environments])

    def _deliver(self, environment: Environment, waves: Sequence[Wave]) -> Delivered:
        """Return an environment's stages: approval if configured, the foundation, then the services wave by wave."""
        name = environment.name
        delivered = Delivered(environment)
        if approval := self.approval(environment):
            # A separate stage: an answer may come at night, and the deployment window is checked after it.
            self.pipeline.add_wave(f"{name}-approval", pre=approval)
            delivered.approval = True

        everything = [service.name for wave in waves for service in wave]
        foundation = FoundationStage(self, environment=environment, services=everything, assets=self.assets)
        self.pipeline.add_wave(f"{name}-foundation").add_stage(foundation)
        delivered.waves.append((f"{name}-foundation", foundation.node.id))

        verifier = verifying(self, environment=environment, services=everything)
        handover = self.synth.handover
        for number, services in enumerate(waves, start=1):
            names = [service.name for service in services]
            verify = VerifyStep(handover=handover, environment=name, services=names, role=verifier)
            steps: list[pipelines.CodeBuildStep] = [verify]
            if number == len(waves):
                protect = ProtectStep(self, handover=handover, environment=environment, services=everything)
                # One after the other: two at once are more than the quota of a new account (slipway.settings.quotas).
                verify.add_step_dependency(protect)
                tests = self.tests(environment, services=everything, after=verify)
                steps = [protect, verify, *tests, *self.bake(environment, after=[verify, *tests][-1])]
            wave = f"{name}-services" if len(waves) == 1 else f"{name}-services-{number}"
            delivered.waves.append(self._deploy(wave, environment, services, post=steps))
            delivered.builds += steps
        return delivered

    def _deploy(
        self, wave: str, environment: Environment, services: Wave, *, post: Sequence[pipelines.Step]
    ) -> tuple[str, str | None]:
        side_by_side = self.pipeline.add_wave(wave, post=list(post))
        stages = [
            ServiceStage(self, service=service(environment=environment, assets=self.assets)) for service in services
        ]
        for stage in stages:
            side_by_side.add_stage(stage)
        return wave, stages[0].node.id if len(stages) == 1 else None
