from slipway.testing.functions import running

function_environment = running({})
