"""The FaceForensics++ authors' own split of the 1000 videos: 360, 70 and 70 pairs of ids."""

import json
import re
from pathlib import Path

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing
from deepfake_detection.common.text import one_line, system_words
from deepfake_detection.sources.layout import SPLITS

# pinned, because a list that changed later would silently change results
COMMIT = "b952e41cba017eb37593c39e12bd884a934791e1"
ADDRESS = f"https://raw.githubusercontent.com/ondyari/FaceForensics/{COMMIT}/dataset/splits"
FILES = tuple(f"{name}.json" for name in SPLITS)

_ID = re.compile(r"[0-9]{3}")


def fetch_official(source: str, folder: Path, address: str = ADDRESS) -> None:
    """Writes ``train.json``, ``val.json`` and ``test.json`` to ``folder``, but only if all three are valid.

    ``source`` is a folder that holds the three files, or "" to download them from ``address``:
    ``dataset/splits`` of github.com/ondyari/FaceForensics (Roessler et al. 2019, FaceForensics++).
    Raises UserError when a file cannot be read or downloaded, is not a list of pairs of three-digit
    ids, or shares an id with another file.
    """
    texts = _read_folder(Path(source).expanduser()) if source else _download(address)
    try:
        _split_of_each_id(texts)
    except ValueError as error:
        raise UserError(f"official split from {source or address}: {error}; {_manual_instructions(address)}") from None
    with replacing(folder) as (part,):
        part.mkdir()
        for name, text in texts.items():
            (part / name).write_text(text, encoding="utf-8", newline="")


def read_official(folder: Path) -> dict[str, str]:
    """The split (train, val or test) of each video id in the lists that ``fetch_official`` wrote to ``folder``.

    Raises UserError when a list is missing or invalid.
    """
    try:
        return _split_of_each_id({name: (folder / name).read_text(encoding="utf-8") for name in FILES})
    except OSError as error:
        problem = f"{error.filename} cannot be read ({system_words(error)})"
    except ValueError as error:
        problem = f"{folder}: {error}"
    raise UserError(f"{problem}: run the download stage again (dvc repro --force download)")


def _read_folder(folder: Path) -> dict[str, str]:
    try:
        return {name: (folder / name).read_text(encoding="utf-8") for name in FILES}
    except OSError as error:
        problem = f"{error.filename} cannot be read ({system_words(error)})"
    except ValueError:
        problem = f"a file of {folder} is not UTF-8"
    raise UserError(f"split.official_dir: {problem}; {_manual_instructions(ADDRESS)}")


def _download(address: str) -> dict[str, str]:
    import requests  # slow to import, and only an official split without a folder downloads

    texts = {}
    for name in FILES:
        try:
            answer = requests.get(f"{address}/{name}", timeout=30)
            answer.raise_for_status()
            texts[name] = answer.content.decode("utf-8")
        except requests.HTTPError as error:
            problem = f"status {error.response.status_code}"
        except requests.RequestException as error:
            cause = error.args[0] if error.args else error
            problem = one_line(getattr(cause, "reason", cause))
        except UnicodeDecodeError:
            problem = "the answer is not UTF-8"
        if name not in texts:
            raise UserError(f"official split: {name} cannot be downloaded ({problem}): {_manual_instructions(address)}")
    return texts


def _manual_instructions(address: str) -> str:
    return f"get {', '.join(FILES)} from {address}/, put them into one folder and name it in split.official_dir"


def _split_of_each_id(texts: dict[str, str]) -> dict[str, str]:
    """The split of each id. Raises ValueError that says which list is wrong."""
    splits: dict[str, str] = {}
    for name, text in texts.items():
        try:
            pairs = json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError(f"{name} is not JSON") from None
        if not (isinstance(pairs, list) and pairs and all(map(_is_pair, pairs))):
            raise ValueError(f'{name} is not a list of pairs of three-digit ids such as [["071", "054"]]')
        split = Path(name).stem
        for video in (video for pair in pairs for video in pair):
            if splits.setdefault(video, split) != split:
                raise ValueError(f"{video} is in {splits[video]}.json and in {name}")
    return splits


def _is_pair(pair: object) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(video, str) and bool(_ID.fullmatch(video)) for video in pair)
    )
