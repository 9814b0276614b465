"""Names by which a function finds its flags in AppConfig. The infrastructure reads them too: this imports nothing."""

from typing import Final

APPLICATION: Final = "FLAGS_APPLICATION"
"""Variable with the name of the service's application in AppConfig."""
MAX_AGE: Final = "FLAGS_MAX_AGE_SECONDS"
"""Variable with the seconds for which a function keeps what it read."""
ENVIRONMENT_NAME: Final = "live"
"""Name of the application's only environment in AppConfig."""
PROFILE_NAME: Final = "flags"
"""Name of the application's only configuration profile."""
