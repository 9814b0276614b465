"""Reusable constructs: the one way to create a key, a function, a table, a bucket or an API.

A block takes keyword-only, typed arguments, gives its resource the properties that every service needs, and adds the
acknowledgements that its own design requires. A service consists only of blocks.
"""
