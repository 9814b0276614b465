"""The player: what CodePipeline, CodeBuild and CodeDeploy do, done here with what was synthesised.

`execution.py` is the one file to read for the order of things. Each kind of action is a module of its own.
"""
