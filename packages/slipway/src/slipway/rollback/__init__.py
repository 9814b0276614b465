"""Take a delivery back: the stages of an environment to an earlier execution, or the alias of a service alone."""
