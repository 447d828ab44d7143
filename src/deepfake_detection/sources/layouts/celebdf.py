"""Celeb-DF v1, v2 and ++: ``Celeb-real``, ``YouTube-real``, ``Celeb-synthesis`` and ``List_of_testing_videos.txt``.

The fakes of ++ lie in ``Celeb-synthesis/{FaceSwap,FaceReenact,TalkingFace}/<method>``. The list has a line for each
video of the test part, such as ``1 YouTube-real/00170.mp4``, where 1 means real. Copies differ in the case of names.
"""

from pathlib import Path

from deepfake_detection.common.errors import UserError
from deepfake_detection.sources.layouts import names
from deepfake_detection.sources.layouts.clips import HOLDERS, clips
from deepfake_detection.sources.layouts.lists import read_text
from deepfake_detection.sources.layouts.table import DEFAULT, Found, Layout, Options
from deepfake_detection.sources.layouts.tree import ABSOLUTE, MISSING, Tree, cleaned, stem_of

DATASET = "Celeb-DF"
LOOKS_FOR = "Celeb-real/ and Celeb-synthesis/"
LIST = "List_of_testing_videos.txt"

_LABELS = {"Celeb-real": 0, "YouTube-real": 0, "Celeb-synthesis": 1}
_SCENARIOS = ("FaceSwap", "FaceReenact", "TalkingFace")


def recognise(folder: Path) -> str:
    """Why a folder has this layout, or ""."""
    there = _folders(Tree(folder, trusted=True))
    if {canonical for canonical, _ in there} <= {"YouTube-real"}:
        return ""
    return f"it holds {' and '.join(f'{name}/' for _, name in there)}"


def read(folder: Path, options: Options = DEFAULT) -> Layout:
    """The videos, or their frames. Those of the list are the test part, all others are for training.

    Raises UserError for a list that calls an original a fake, is no list, or names nothing that is there.
    """
    tree = Tree(folder, options.trusted)
    found = Found(tree, DATASET, options)
    listed = _read_list(tree, found)
    present = set()
    for canonical, name in _folders(tree):
        label = _LABELS[canonical]
        for below, category in _categories(tree, canonical, name, found):
            wanted = found.wants(category, label)
            for clip in clips(tree, below, category, found) if wanted else ():
                video = names.celebdf(clip.name, label)
                key = _key(f"{below}/{clip.name}")
                present.add(key)
                for file, frame in clip.frames:
                    if video is None:
                        example = "id0_id1_0000" if label else "id0_0000 or 00000"
                        found.reject(file, category, f"name gives no recording: expected one like {example}")
                    else:
                        split = ("test" if key in listed else "train") if listed else ""
                        found.add(file, category, label, video, frame, split)
    _report_list(tree, found, listed, present, options)
    return found.layout()


def _folders(tree: Tree) -> list[tuple[str, str]]:
    """The usual names of the three folders, each with a name on disk: there may be several."""
    there = [(name.lower().replace("_", "-"), name) for name in tree.folders()]
    return [(usual, name) for usual in _LABELS for key, name in there if key == usual.lower()]


def _categories(tree: Tree, canonical: str, name: str, found: Found) -> list[tuple[str, str]]:
    """The folders of videos in one of the three, each with its category. Rejects what lies beside those of ++."""
    usual = {scenario.lower(): scenario for scenario in _SCENARIOS}
    scenarios = [scenario for scenario in tree.folders(name) if scenario.lower() in usual]
    if canonical != "Celeb-synthesis" or not scenarios:
        return [(name, canonical)]
    for below in (name, *(f"{name}/{scenario}" for scenario in scenarios)):
        for file in tree.listing(below).files:
            found.reject(f"{below}/{file}", canonical, "not in the folder of a method")
    for folder in set(tree.folders(name)) - {*scenarios}:
        found.reject(f"{name}/{folder}", canonical, f"none of {', '.join(_SCENARIOS)}")
    return [
        (f"{name}/{scenario}/{method}", f"{usual[scenario.lower()]}-{method}")
        for scenario in scenarios
        for method in tree.folders(f"{name}/{scenario}")
    ]


def _read_list(tree: Tree, found: Found) -> dict[str, str]:
    """What the list of the test part names: keys of videos, each with the path as written. {} without a list."""
    name = next((name for name in tree.listing().files if name.lower() == LIST.lower()), LIST)
    file = tree.list_at(name)
    listed: dict[str, str] = {}
    for number, line in enumerate(read_text(file).splitlines() if file else (), 1):
        if not line.strip():
            continue
        label, text = [*line.split(maxsplit=1), ""][:2]
        at = f"{file}, line {number}"
        if label not in ("0", "1"):
            raise UserError(f"{at}: {line.strip()!r} is not a line like '1 YouTube-real/00170.mp4': get the list again")
        path, reason = cleaned(text)
        if reason and reason != ABSOLUTE:  # what lies before the folder does not count
            found.reject(path, "", reason)
            continue
        key = _key(path)
        usual = next((name for name in _LABELS if key.startswith(f"{name.lower()}/")), "")
        if not usual:
            raise UserError(f"{at}: {path} is in none of {', '.join(_LABELS)}: get the list again")
        if int(label) == _LABELS[usual]:  # in this list, 1 means real
            raise UserError(
                f"{at}: {label} means {('fake', 'real')[int(label)]} in this list, but {path} is the opposite: "
                "get the list again"
            )
        listed[key] = path
    return listed


def _key(path: str) -> str:
    """A path that is the same for a video and its frames, whatever the case, and for what lies before the folder."""
    *parts, name = path.lower().split("/")
    parts = [part.replace("_", "-") for part in parts if part not in HOLDERS]
    usual = {name.lower() for name in _LABELS}
    start = next((number for number, part in enumerate(parts) if part in usual), 0)
    return "/".join([*parts[start:], stem_of(name)])


def _report_list(tree: Tree, found: Found, listed: dict[str, str], present: set[str], options: Options) -> None:
    if not listed:
        found.note(f"{LIST} is not in {tree.root}, or is empty: no video is known to be of the test part")
        return
    absent = [path for key, path in listed.items() if key not in present]
    if not absent or options.categories is not None:  # what is not wanted was not looked for
        return
    if len(absent) == len(listed):
        raise UserError(f"{tree.root / LIST}: none of its {len(listed)} videos is there: get the list of this version")
    for path in absent:
        found.reject(path, "", MISSING)
    found.note(f"{LIST} names {len(absent)} videos that are not there, e.g. {absent[0]}: they are rejected")
