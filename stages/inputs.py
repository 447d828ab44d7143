"""Links the user's own frames, weights and lists to where DVC sees that they have changed."""

from pathlib import Path

from deepfake_detection.common.files import write_json
from deepfake_detection.params.data import MAX_EXTRA
from deepfake_detection.params.load import Params, load_params
from deepfake_detection.sources.inputs import WHOLE, link_inputs
from deepfake_detection.sources.layout import FRAMES
from stages import run

INPUTS = Path("data/inputs")
OWNED = [Path(name) for name in ("data", "models", "metrics", "report", ".dvc")]  # nothing of the user's is read there


def main() -> None:
    params = load_params()
    write_json(INPUTS / "links.json", link(params))


def link(params: Params) -> dict[str, str]:
    """Makes the links, and returns the paths by parameter: "" for one that is not used."""
    teacher = params.train.teacher
    source, official = params.data.source, params.split.strategy == "official"
    own = Path(params.data.local_dir) if source == "local" else None
    kaggle = own is not None and params.data.layout in ("auto", "kaggle") and (own / FRAMES).is_dir()
    paths = {
        "data.local_dir": params.data.local_dir if kaggle else "",
        # in another layout any file may count, and a list of files names those beside it
        f"{WHOLE}/data.local_dir": str(own.parent if own.is_file() else own) if own and not kaggle else "",
        **{f"{WHOLE}/data.extra.{number}": path for number, path in enumerate(_extra(params))},
        "model.weights": "" if params.model.weights in ("none", "imagenet") else params.model.weights,
        "train.teacher": "" if teacher == "none" else teacher,
        "train.teacher.json": "" if teacher == "none" else str(Path(teacher).with_suffix(".json")),
        # the recordings in it are read with any strategy, but drawn frames need none
        "split.official_dir": params.split.official_dir if official or source != "embedded" else "",
    }
    for unseen in link_inputs(paths, INPUTS, OWNED):
        print(f"{unseen}: a link leads here, so DVC sees no change in it; after one: dvc repro --force download")
    return paths


def _extra(params: Params) -> list[str]:
    """The folder of each of data.extra, or that of its list of files, and "" for each that dvc.yaml could name too."""
    paths = [Path(extra.dir) if extra.dir else None for extra in params.data.extra]
    folders = [str(path.parent if path.is_file() else path) if path else "" for path in paths]
    return folders + [""] * (MAX_EXTRA - len(folders))


if __name__ == "__main__":
    run(main)
