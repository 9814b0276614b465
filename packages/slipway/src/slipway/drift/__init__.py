"""Report manual changes: `slipway drift` runs the daily check of the tools account's function immediately."""
