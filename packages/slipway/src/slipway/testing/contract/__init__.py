"""Contract of every service of an app, whatever its blocks: `pytest --pyargs slipway.testing.contract`.

The suite finds what each service has (an API, tables, buckets, queues) and checks it against the rules. It runs on the
present app, or on what `SLIPWAY_SUBJECT` names as `module:function`: a function that returns a `Subject`
(`slipway.testing.app`).
"""
