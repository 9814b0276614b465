"""Tests run the code with their own configuration."""

import specimen

specimen.install()
