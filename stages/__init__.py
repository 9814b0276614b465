"""The stages: what is deployed to an environment as one."""
