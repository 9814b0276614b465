"""Contract of every service of an app, whatever its blocks: `pytest --pyargs slipway.testing.contract`.

The suite finds what each service has (an API, tables, buckets, queues) and checks it against the rules. It runs on the
current app, or on the subject that `SLIPWAY_SUBJECT` names as `module:function`: a function that returns a `Subject`
(`slipway.testing.app`).
"""
