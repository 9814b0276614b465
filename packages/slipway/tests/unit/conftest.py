"""Code under test reads the tests' own configuration."""

import specimen

specimen.install()
