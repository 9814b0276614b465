"""Properties use the specimen's configuration."""

from tests import specimen

specimen.install()
