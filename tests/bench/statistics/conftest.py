"""Records made without running anything: the helper of the records' tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "records"))
