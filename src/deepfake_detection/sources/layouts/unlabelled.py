"""Any folder of pictures and videos, of which nobody says whether they are original or fake.

It is not one of the layouts that are recognised, because any folder would fit.
"""

from pathlib import Path

from deepfake_detection.common.tables import VIDEO
from deepfake_detection.sources.layouts.names import Name, frame_of, numbered
from deepfake_detection.sources.layouts.table import DEFAULT, Found, Layout, Options
from deepfake_detection.sources.layouts.tree import NOT_MEDIA, Tree, kind_of, stem_of

CATEGORY = "unlabelled"


def read(folder: Path, options: Options = DEFAULT) -> Layout:
    """The pictures and videos below ``folder``, all with the label 0, which means nothing here.

    The pictures in a folder are the frames of a video. Those directly in ``folder`` are of the video that their names
    say, or each is one of its own. Every video is a group of its own.
    """
    tree = Tree(folder, options.trusted)
    found = Found(tree, CATEGORY, options)
    videos: dict[str, list[str]] = {}
    for path, reason in tree.walk():
        kind, stem = kind_of(path), stem_of(path)
        if reason or not kind:
            found.reject(path, CATEGORY, reason or NOT_MEDIA)
        elif kind == "video":
            found.add(path, CATEGORY, 0, Name(path, group=path), VIDEO)
        else:
            videos.setdefault(path.rpartition("/")[0] or (frame_of(stem) or (stem, 0))[0], []).append(path)
    for video, paths in videos.items():
        numbers = numbered(paths)
        for path in paths:
            found.add(path, CATEGORY, 0, Name(video, group=video), numbers[path])
    return found.layout()
