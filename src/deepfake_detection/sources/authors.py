"""Downloads what the FaceForensics++ authors say of their 1000 sequences: their split, and the recordings."""

from pathlib import Path

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import SPLITS
from deepfake_detection.common.text import one_line

# pinned, because a list that changed later would silently change results
COMMIT = "b952e41cba017eb37593c39e12bd884a934791e1"
ADDRESS = f"https://raw.githubusercontent.com/ondyari/FaceForensics/{COMMIT}/dataset"
CONVERSION = "conversion_dict.json"
PLACES = {**{f"{name}.json": f"splits/{name}.json" for name in SPLITS}, CONVERSION: CONVERSION}


def fetch_lists(folder: Path, address: str = ADDRESS) -> None:
    """Writes the authors' ``train.json``, ``val.json``, ``test.json`` and ``conversion_dict.json`` to ``folder``.

    ``address`` is ``dataset`` of github.com/ondyari/FaceForensics (Roessler et al. 2019, FaceForensics++). The stage
    ``split`` checks what they hold. Raises UserError when one of them cannot be downloaded.
    """
    import requests  # slow to import, and most runs download nothing of the authors'

    folder.mkdir(parents=True)
    for name, place in PLACES.items():
        try:
            answer = requests.get(f"{address}/{place}", timeout=30)
            answer.raise_for_status()
        except requests.HTTPError as error:
            problem = f"status {error.response.status_code}"
        except requests.RequestException as error:
            cause = error.args[0] if error.args else error
            problem = one_line(getattr(cause, "reason", cause))
        else:
            (folder / name).write_bytes(answer.content)
            continue
        raise UserError(
            f"lists: {name} cannot be downloaded ({problem}): get {', '.join(PLACES)} from {address}/, put them into "
            "one folder and name it in split.official_dir, with lists: none"
        )
