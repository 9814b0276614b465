"""Show on one page that a change may be deployed to prod: `slipway evidence` (docs/evidence.md).

It runs no gate. It reads the gates' reports, checks the documents' claims against code and tests, and is green only if
every part is present, belongs to this assembly, and is green itself.
"""
