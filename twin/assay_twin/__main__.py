"""`python3 -m assay_twin`."""

import sys

from .cli import main

sys.exit(main())
