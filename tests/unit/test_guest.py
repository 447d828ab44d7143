"""The library leaves the program that uses it as it is: its warnings and its memory allocator."""

import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.modules import LIBRARY, ROOT
from tests.support.page_faults import COUNT_FAULTS
from tests.unit.serving.test_detector import save

pytestmark = pytest.mark.slow

MODULES = [
    ".".join(path.relative_to(LIBRARY.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(LIBRARY.rglob("*.py"))
]

# The first import loads other packages, some of which set filters. The second runs only this project's code.
IMPORTS = """
import importlib, sys, warnings
for name in sys.argv[1:]:
    importlib.import_module(name)
warnings.resetwarnings()
for name in [name for name in sys.modules if name.partition(".")[0] == "deepfake_detection"]:
    del sys.modules[name]
for name in sys.argv[1:]:
    importlib.import_module(name)
print(warnings.filters)
"""

READS = """
import sys, threading, warnings
from pathlib import Path
from deepfake_detection.pictures.images import read_rgb
before = warnings.filters[:]
sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=lambda: [read_rgb(Path(sys.argv[1])) for _ in range(30)]) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(warnings.filters == before)
warnings.warn("the program's own")
"""

MALFORMED = """
import sys, warnings
from pathlib import Path
from deepfake_detection.pictures.images import read_rgb
from stages import run
def stage():
    read_rgb(Path(sys.argv[1]))
    warnings.warn("the stage's own")
run(stage, []) if sys.argv[2] == "stage" else stage()
"""

LOAD = """
import sys
from pathlib import Path
load(Path(sys.argv[1]), device="cpu")
"""


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)


def test_imports_set_no_filter() -> None:
    assert len(MODULES) > 50
    assert run(IMPORTS, *MODULES).stdout == "[]\n"


def test_reads_in_threads_leave_the_programs_warnings(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    done = run(READS, tmp_path / "a.png")
    assert done.stdout == "True\n"
    assert "UserWarning: the program's own" in done.stderr


def test_stages_alone_hide_what_pillow_warns_of(tmp_path: Path) -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0" + b"\x01\0" + b"\x12\x01\x05\0\x01\0\0\0\xff\xff\xff\0"  # an offset past the end
    Image.new("RGB", (40, 40)).save(tmp_path / "a.jpg", exif=exif)
    for how, hidden in (("library", False), ("stage", True)):
        shown = run(MALFORMED, tmp_path / "a.jpg", how).stderr
        assert "UserWarning: the stage's own" in shown
        assert ("TiffImagePlugin" not in shown) == hidden, shown


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's malloc")
def test_only_the_command_and_the_page_make_malloc_keep_memory(tmp_path: Path) -> None:
    checkpoint = save(tmp_path / "best.pth")
    loaders = {
        "library": "from deepfake_detection.serving.detector import Detector; load = Detector.load",
        "command": "from deepfake_detection.serving.options import load_detector as load",
        "page": "from deepfake_detection.serving.view import load",
    }
    faults = {who: int(run(f"{loader}\n{LOAD}{COUNT_FAULTS}", checkpoint).stdout) for who, loader in loaders.items()}
    assert faults["library"] > 500  # huge pages, where the system gives them, count as one
    assert max(faults["command"], faults["page"]) < 100
