"""Code under test reads the tests' own configuration."""

from tests import specimen

specimen.install()
