"""The stages, each of which is deployed to an environment as a unit."""
