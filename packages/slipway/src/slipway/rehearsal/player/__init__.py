"""The player: CodePipeline, CodeBuild and CodeDeploy, executed here on what was synthesised.

Read `execution.py` for the order of events. Each kind of action has its own module.
"""
