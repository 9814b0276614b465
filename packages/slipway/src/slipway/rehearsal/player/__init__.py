"""The player: executes CodePipeline, CodeBuild and CodeDeploy locally, on the synthesised templates.

Read `execution.py` for the order of events. Each kind of action has its own module.
"""
