"""What was changed by hand: `slipway drift`, at once what the function in the tools account does once a day."""
