"""What the FaceForensics++ authors say of their 1000 sequences: their split, and the recordings they were cut from.

The split is 360, 70 and 70 pairs of ids. The sequences come from 977 YouTube videos, here called recordings: 22 of
them gave two or three sequences each, 45 together. Such sequences may show the same place and the same face.
"""

import json
import re
from pathlib import Path

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing, write_json
from deepfake_detection.common.text import one_line, system_words
from deepfake_detection.sources.layout import SPLITS

# pinned, because a list that changed later would silently change results
COMMIT = "b952e41cba017eb37593c39e12bd884a934791e1"
DATASET = f"https://raw.githubusercontent.com/ondyari/FaceForensics/{COMMIT}/dataset"
ADDRESS = f"{DATASET}/splits"
FILES = tuple(f"{name}.json" for name in SPLITS)
CONVERSION = "conversion_dict.json"

_ID = re.compile(r"[0-9]{3}")
_SEQUENCE = re.compile(r"(?P<recording>[A-Za-z0-9_-]+) [0-9]+")  # a YouTube id and a number


def fetch_official(source: str, folder: Path, address: str = ADDRESS) -> None:
    """Writes ``train.json``, ``val.json`` and ``test.json`` to ``folder``, but only if all three are valid.

    ``source`` is a folder that holds the three files, or "" to download them from ``address``:
    ``dataset/splits`` of github.com/ondyari/FaceForensics (Roessler et al. 2019, FaceForensics++).
    Raises UserError when a file cannot be read or downloaded, is not a list of pairs of three-digit
    ids, or shares an id with another file.
    """
    texts = _read_folder(Path(source)) if source else _download_lists(address)
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


def fetch_recordings(
    file: Path, source: str, local_dir: str, official: bool, official_dir: str, address: str = DATASET
) -> None:
    """Writes the recording of each id to ``file``, for ``read_recordings``.

    ``source``, ``official_dir`` and ``local_dir`` are the parameters of these names; ``official`` says whether the
    split is the authors'. The recordings come from the first of these places that has them:

    1. ``conversion_dict.json`` in ``official_dir``, if that is given;
    2. for the source ``local``, the same file in ``local_dir``;
    3. for the source ``kaggle``, and for ``local`` with the official split and no ``official_dir``, the same file
       from ``address``: ``dataset`` of github.com/ondyari/FaceForensics (Roessler et al. 2019, FaceForensics++).

    Otherwise they are unknown, and ``file`` holds an empty object. So it does for ``embedded``, whose drawn sequences
    are each a recording of their own.

    Raises UserError when ``official_dir`` is no folder, or when the file cannot be read or downloaded or does not have
    the authors' form: an object that maps three-digit ids to a YouTube id and a number, such as
    ``{"331": "R03Sko97IDE 0"}``. Nothing is written then.
    """
    if source == "embedded":
        write_json(file, {})
        return
    if official_dir and not Path(official_dir).is_dir():
        raise UserError(f"split.official_dir: {official_dir} is no folder: correct it, or leave it empty")
    folders = [Path(folder) for folder in (official_dir, local_dir if source == "local" else "") if folder]
    download = source == "kaggle" or (official and not official_dir)
    found = next((path for folder in folders if (path := folder / CONVERSION).exists()), None)
    instructions = f"get {CONVERSION} from {address}/, put it into a folder and name that in split.official_dir"
    recordings: dict[str, str] = {}
    if found or download:
        text = _read_conversion(found) if found else _download("recordings", CONVERSION, address, instructions)
        try:
            recordings = _recording_of_each_id(text)
        except ValueError as error:
            raise UserError(f"recordings: {found or f'{address}/{CONVERSION}'} {error}; {instructions}") from None
    write_json(file, recordings)


def read_recordings(file: Path) -> dict[str, str]:
    """The recording of each id, from the file that ``fetch_recordings`` wrote. It is empty if they are unknown.

    Raises UserError when the file is missing or invalid.
    """
    try:
        recordings = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(recordings, dict) and all(isinstance(name, str) and name for name in recordings.values()):
            return recordings
        problem = f"{file} is not an object that maps ids to recordings"
    except OSError as error:
        problem = f"{file} cannot be read ({system_words(error)})"
    except (ValueError, RecursionError):
        problem = f"{file} is not JSON"
    raise UserError(f"{problem}: run the download stage again (dvc repro --force download)")


def _read_conversion(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        problem = f"{path} cannot be read ({system_words(error)})"
    except ValueError:
        problem = f"{path} is not UTF-8"
    raise UserError(f"recordings: {problem}: correct that, or get it again from {DATASET}/{CONVERSION}")


def _recording_of_each_id(text: str) -> dict[str, str]:
    """The recording of each id. Raises ValueError that says what is wrong with the file."""
    try:
        # a dict would hide an id that is named twice; with list, an object becomes a list of tuples
        entries = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not (isinstance(entries, list) and entries and all(map(_is_entry, entries))):
        raise ValueError('does not map three-digit ids to sequences such as {"331": "R03Sko97IDE 0"}')
    recordings: dict[str, str] = {}
    ids: dict[str, str] = {}
    for video, sequence in entries:
        if video in recordings:
            raise ValueError(f"names {video} twice")
        if (other := ids.setdefault(sequence, video)) != video:
            raise ValueError(f'gives {other} and {video} the same sequence "{sequence}"')
        recordings[video] = sequence.partition(" ")[0]
    return recordings


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, tuple)
        and all(isinstance(part, str) for part in entry)
        and bool(_ID.fullmatch(entry[0]) and _SEQUENCE.fullmatch(entry[1]))
    )


def _read_folder(folder: Path) -> dict[str, str]:
    try:
        return {name: (folder / name).read_text(encoding="utf-8") for name in FILES}
    except OSError as error:
        problem = f"{error.filename} cannot be read ({system_words(error)})"
    except ValueError:
        problem = f"a file of {folder} is not UTF-8"
    raise UserError(f"split.official_dir: {problem}; {_manual_instructions(ADDRESS)}")


def _download_lists(address: str) -> dict[str, str]:
    return {name: _download("official split", name, address, _manual_instructions(address)) for name in FILES}


def _download(what: str, name: str, address: str, instructions: str) -> str:
    import requests  # slow to import, and most runs download nothing of the authors'

    try:
        answer = requests.get(f"{address}/{name}", timeout=30)
        answer.raise_for_status()
        return answer.content.decode("utf-8")
    except requests.HTTPError as error:
        problem = f"status {error.response.status_code}"
    except requests.RequestException as error:
        cause = error.args[0] if error.args else error
        problem = one_line(getattr(cause, "reason", cause))
    except UnicodeDecodeError:
        problem = "the answer is not UTF-8"
    raise UserError(f"{what}: {name} cannot be downloaded ({problem}): {instructions}")


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
