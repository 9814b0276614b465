"""`python -m slipway.build`."""

import sys

from slipway.build.builder import main

sys.exit(main())
