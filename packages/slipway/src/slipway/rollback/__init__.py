"""Roll a delivery back: an environment's stages to an earlier execution, or only a service's aliases."""
