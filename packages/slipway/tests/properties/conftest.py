"""Property tests use the specimen's configuration."""

import specimen

specimen.install()
