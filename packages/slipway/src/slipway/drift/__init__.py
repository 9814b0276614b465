"""Report manual changes: `slipway drift` does at once what the function in the tools account does daily."""
