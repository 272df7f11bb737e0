"""Makes the modules of the template importable: each program of this folder is the template with one defect."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "python"))
