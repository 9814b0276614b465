"""What every service of an app must satisfy, whatever it is made of: `pytest --pyargs slipway.testing.contract`.

The suite asks each service what it has (an API, tables, buckets, queues) and holds that to the rules. It runs on the
app at hand, or on what `SLIPWAY_SUBJECT` names as `module:function`: a function that returns a `Subject`
(`slipway.testing.app`).
"""
