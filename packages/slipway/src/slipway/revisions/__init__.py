"""Synthesise another revision of an app, with its own code and its own packages."""
