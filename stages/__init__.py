"""One module a DVC stage, run from the project's root as ``python -m stages.<name>``."""

import sys
from collections.abc import Callable

try:
    from deepfake_detection.errors import UserError
except ModuleNotFoundError:
    sys.exit(f"error: {sys.executable} has none of the project's packages: `make env`, then `. .venv/bin/activate`")


def run(stage: Callable[[], None]) -> None:
    """Runs a stage; a mistake the user can mend ends it with one line and exit status 1."""
    try:
        stage()
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(f"error: {where}{error.strerror or error}; check permissions and free disk space")
