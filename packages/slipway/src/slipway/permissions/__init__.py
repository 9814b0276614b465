"""Check that each action of each function's role is needed: without it, a test must fail (`make permissions`).

A test says which function it exercises with the marker `exercises("<service>/ApiFunction")`: the service, and the path
of the function's construct in its stack. `docs/permissions.md` explains the verb.
"""
