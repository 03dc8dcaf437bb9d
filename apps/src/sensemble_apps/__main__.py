"""`python -m sensemble_apps` is `sensemble`."""

import sys

from sensemble_apps.entry import main

sys.exit(main())
