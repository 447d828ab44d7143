"""Studies that train several networks from the pipeline's prepared frames. `dvc repro` does not run them."""

from deepfake_detection.common.parallel import spin_briefly

spin_briefly()  # before a study's own imports load torch
