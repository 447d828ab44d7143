"""What the arguments of a command stand for, and that nothing of it is dropped without a word."""

import os
from pathlib import Path

import pytest
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.serving.paths import find_checkpoint, find_files, left_out
from tests.support.permissions import open_folder, unprivileged
from tests.unit.videos.test_video import film


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that are read, under fitting, misleading and no suffixes, and everything else that lies beside them."""
    root = tmp_path_factory.mktemp("mixed")
    for below in ("one/two", ".thumbnails", "__MACOSX"):
        (root / below).mkdir(parents=True)
    for name in ("a.png", "one/B.JPG", "one/two/c"):
        Image.new("RGB", (40, 40), "grey").save(root / name, "PNG")
    film(root / "d.mp4", 3)
    (root / "d.mp4").rename(root / "d.3gp")
    (root / "one" / "e").write_bytes((root / "d.3gp").read_bytes())
    (root / "text.jpg").write_text("hello")
    for name in ("f.heic", "one/G.HEIC"):
        (root / name).write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    for name in ("notes.txt", "README"):
        (root / name).write_text("hello")
    for name in ("._a.png", "__MACOSX/._a.png", ".DS_Store", ".thumbnails/a.png", "Thumbs.db", "desktop.ini"):
        (root / name).write_bytes((root / "a.png").read_bytes())
    (root / "gone.jpg").symlink_to("nowhere")
    (root / "one" / "back").symlink_to(root)
    os.mkfifo(root / "pipe.jpg")
    return root


READ = ["a.png", "d.3gp", "one/B.JPG", "one/e", "one/two/c", "text.jpg"]
LEFT = {"hidden": 6, ".heic": 2, ".txt": 1, "without a suffix": 1, "broken link": 1, "special file": 1}


def test_a_folder_gives_what_can_be_read_and_counts_the_rest(folder: Path) -> None:
    found = find_files([str(folder)])
    assert found.files == [str(folder / name) for name in READ]
    assert found.problems == []
    assert found.left_out == LEFT
    assert left_out(found) == ("left out: 6 hidden, 2 .heic, 1 .txt, 1 broken link, 1 special file, 1 without a suffix")


def test_a_link_to_a_folder_is_followed_and_leads_to_each_file_once(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(folder)
    (tmp_path / "again").symlink_to(tmp_path / "linked")
    found = find_files([str(tmp_path / "linked")])
    assert found.files == [str(tmp_path / "linked" / name) for name in READ]
    inside = find_files([str(tmp_path)])
    assert len(inside.files) == len(READ)
    assert inside.left_out == LEFT


def test_patterns(folder: Path) -> None:
    def found(pattern: str) -> list[str]:
        return [Path(name).relative_to(folder).as_posix() for name in find_files([str(folder / pattern)]).files]

    assert found("*.png") == ["a.png"]
    assert found("**/*.JPG") == ["one/B.JPG"]
    assert found("one/tw?") == ["one/two/c"]  # a folder
    assert found("**") == READ  # by the link, it comes to each again and again
    everything = find_files([str(folder / "**")])
    assert {**everything.left_out, "hidden": 6} == LEFT  # a hidden folder may count twice


def test_a_file_is_taken_as_it_is_named_and_as_often(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a[1].png").write_bytes((folder / "a.png").read_bytes())
    names = [str(tmp_path / "a[1].png"), *(str(folder / name) for name in ("notes.txt", "._a.png", "a.png", "a.png"))]
    names += [str(folder / "pipe.jpg"), str(folder / "gone.jpg"), "missing.png"]
    found = find_files(names)
    assert found.files == names
    assert not found.problems
    assert not found.left_out


def test_what_gives_nothing_is_a_problem(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "new\nline").mkdir()
    found = find_files([str(tmp_path / "new\nline"), str(folder / "*.gif"), str(folder / "*.heic")])
    assert found.files == []
    assert found.problems == [
        f"{tmp_path}/new?line: no picture or video there",
        f"{folder}/*.gif: no picture or video there",
        f"{folder}/*.heic: no picture or video there (left out: 1 .heic)",
    ]
    assert not found.left_out


def test_what_may_not_be_read_is_not_dropped(folder: Path) -> None:
    with open_folder() as root:
        for name in ("open", "closed"):
            (root / name).mkdir(mode=0o755)
            (root / name / "a.png").write_bytes((folder / "a.png").read_bytes())
        (root / "open" / "secret").write_bytes((folder / "a.png").read_bytes())
        (root / "open" / "secret").chmod(0)
        (root / "closed").chmod(0)
        with unprivileged():
            found = find_files([str(root)])
        (root / "closed").chmod(0o755)
    assert found.files == [f"{root}/open/a.png", f"{root}/open/secret"]  # its line will say why
    assert found.problems == [f"{root}/closed: permission denied"]


def test_a_checkpoint_is_found_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no detector here yet: .*dvc repro.*dvc pull.*--checkpoint"):
        find_checkpoint(None)
    models = tmp_path / "models"
    models.mkdir()
    (models / "weights.pth").write_text("")  # without the file beside it
    with pytest.raises(UserError, match="no detector here yet"):
        find_checkpoint(None)
    with pytest.raises(UserError, match="models: no checkpoint in this folder"):
        find_checkpoint(models)
    for name in ("best_model_efficientnet_lite0.pth", "best_model_efficientnet_lite0.json"):
        (models / name).write_text("")
    expected = Path("models/best_model_efficientnet_lite0.pth")
    assert find_checkpoint(None) == find_checkpoint(Path("models")) == expected
    assert find_checkpoint(Path("other.pth")) == Path("other.pth")  # whoever loads it says that it is not there
    for name in ("b0.safetensors", "b0.json"):
        (models / name).write_text("")
    with pytest.raises(UserError, match=r"models has 2 checkpoints: name one with --checkpoint, e\.g\. models/b0"):
        find_checkpoint(None)
