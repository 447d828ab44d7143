"""One module for each DVC stage, run from the project's root as ``python -m stages.<name> [<data set>]``."""

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from inspect import signature
from pathlib import Path

if missing := [name for name in ("pandas", "pydantic", "torch") if not find_spec(name)]:
    sys.exit(f"error: {sys.executable} has no {', '.join(missing)}: `make env`, then `. .venv/bin/activate`")
sys.path.append(str(Path(__file__).parents[1] / "src"))  # a training machine may not have the project installed

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.parallel import spin_briefly
from deepfake_detection.common.text import printable, system_failure
from deepfake_detection.params.data_sections import Dataset
from deepfake_detection.params.load import Params

spin_briefly()


def run(stage: Callable[..., None], arguments: Sequence[str] | None = None) -> None:
    """Runs a stage with ``arguments``, by default those of the command line if it takes any.

    A mistake that the user can fix ends it with a one-line message and exit status 1.
    """
    wanted = len(signature(stage).parameters)
    given = (sys.argv[1:] if wanted else ()) if arguments is None else arguments
    if len(given) != wanted:
        sys.exit("error: name one data set of params.yaml")
    # Pillow warns of malformed metadata in single pictures, which does not matter to the pixels
    warnings.filterwarnings("ignore", module="PIL")
    try:
        stage(*given)
    except UserError as error:
        sys.exit(f"error: {printable(str(error))}")
    except OSError as error:
        sys.exit(f"error: {system_failure(error)}")


def data_set(params: Params, name: str) -> Dataset:
    """The data set that a stage was called for. Raises UserError if the parameters have none of this name."""
    if name not in params.datasets:
        raise UserError(f"datasets has no {name}, only {', '.join(params.datasets)}")
    return params.datasets[name]
