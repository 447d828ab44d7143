"""A miniature of a list of the user's own."""

from pathlib import Path

from tests.support.miniatures.drawing import film, picture

FILES = {"a/1.png": 0, "a/2.png": 0, "b.mp4": 0, "c/1.png": 1, "c/2.png": 1, "d.mp4": 1}


def make(folder: Path) -> None:
    """Videos as frames and as files, with who gave the face and which part they are of."""
    for who, (path, label) in enumerate(FILES.items()):
        (film if path.endswith(".mp4") else picture)(folder / "media" / path, who, bool(label))
    (folder / "manifest.csv").write_text(
        "path,label,video,source,group,category,dataset,split\n"
        "media/a/1.png,0,a,,,camera,mine,train\n"
        "media/a/2.png,0,a,,,camera,mine,train\n"
        "media/b.mp4,real,b,,,camera,mine,test\n"
        "media/c/1.png,1,a,b,,swap,mine,train\n"
        "media/c/2.png,FAKE,a,b,,swap,mine,train\n"
        "media/d.mp4,Fake,d,,alone,swap,mine,test\n"
    )
