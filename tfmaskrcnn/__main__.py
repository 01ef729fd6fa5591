"""`python -m tfmaskrcnn`."""

import sys

from tfmaskrcnn.cli.main import main

sys.exit(main())
