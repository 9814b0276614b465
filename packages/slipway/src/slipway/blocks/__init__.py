"""The reusable constructs: the one way to make a key, a function, a table, a bucket or an API.

A block takes keyword-only, typed arguments, gives its resource the properties that every service must have, and makes
the acknowledgements that its own shape needs. A service composes blocks and nothing else.
"""
