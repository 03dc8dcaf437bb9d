"""`python -m sensemble_apps` is `sensemble`."""

import sys

from sensemble_apps.cli import main

sys.exit(main())
