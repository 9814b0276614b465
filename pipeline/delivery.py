"""The order of the delivery: every push goes through every environment.

    source → synth → self-mutation → assets → for each environment: approval → foundation → services, wave after wave

The last wave of an environment ends with its protection and its tests, and then bakes. Environments that are deployed
side by side share their stages. `docs/pipeline.md` shows it.
"""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Stage, pipelines
from constructs import Construct

from slipway.blocks.assets import AssetStore
from slipway.delivery.names import approval_stage, foundation_stage
from slipway.delivery.stack import Delivered, DeliveryStack
from slipway.delivery.steps import ProtectStep, VerifyStep, in_turn, verifying
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
        self.finish([self._deliver(together, waves) for together in settings.turns])

    def _deliver(self, together: Sequence[Environment], waves: Sequence[Wave]) -> Delivered:
        """Return the stages of an environment and of those deployed alongside it.

        Approval if configured, the foundation, then the services wave by wave.
        """
        delivered = Delivered(together)
        name = delivered.name
        if approval := self.approval(together):
            # A separate stage, so that the deployment window is checked after the answer, which may come at night.
            self.pipeline.add_wave(approval_stage(name), pre=approval)
            delivered.approval = True

        everything = [service.name for wave in waves for service in wave]
        foundations = [
            FoundationStage(self, environment=environment, services=everything, assets=self.assets)
            for environment in together
        ]
        delivered.waves.append(self._deploy(foundation_stage(name), foundations))

        verifiers = {each.name: verifying(self, environment=each, services=everything) for each in together}
        handover = self.synth.handover
        for number, services in enumerate(waves, start=1):
            names = [service.name for service in services]
            steps: list[pipelines.CodeBuildStep] = []
            for environment in together:
                place = delivered.place(environment)
                verify = VerifyStep(handover=handover, place=place, services=names, role=verifiers[environment.name])
                if number < len(waves):
                    steps.append(verify)
                else:
                    protect = ProtectStep(self, handover=handover, place=place, services=everything)
                    steps += [protect, verify, *self.tests(place, services=everything)]
            if number == len(waves):
                steps += self.bake(together)
            wave = f"{name}-services" if len(waves) == 1 else f"{name}-services-{number}"
            stages = [
                ServiceStage(self, service=service(environment=environment, assets=self.assets))
                for environment in together
                for service in services
            ]
            # One after the other: two at once are more than the quota of a new account (slipway.settings.quotas).
            delivered.waves.append(self._deploy(wave, stages, post=in_turn(steps)))
            delivered.builds += steps
        return delivered

    def _deploy(
        self, wave: str, stages: Sequence[Stage], *, post: Sequence[pipelines.Step] = ()
    ) -> tuple[str, str | None]:
        side_by_side = self.pipeline.add_wave(wave, post=list(post))
        for stage in stages:
            side_by_side.add_stage(stage)
        return wave, stages[0].node.id if len(stages) == 1 else None
