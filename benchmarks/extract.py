"""Frames of many videos into files, as the download stage takes them, against decoding each video to its end.

``python -m benchmarks.extract`` writes 8 films of 300 frames at 1280x720, whose content moves, and copies them to 200
videos (``--quick``: 2 films, 8 videos). It takes 32 frames of each and prints seconds a video and core, and those of a
plain decode of the whole file with PyAV on one thread; ``ratio`` is the latter over the former. It prints the highest
memory of all processes by the number of videos done. At last it kills the extraction in the middle, runs it again, and
says whether the files are those of a run that nothing disturbed. That is exit status 1 if they are not.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av

from benchmarks import arguments, machine, seconds
from benchmarks.scale import family, memory
from benchmarks.video import TAKEN, write
from deepfake_detection.common.parallel import cpu_count
from deepfake_detection.sources.video_frames import take_frames

FRAMES = 300


def decode(path: Path) -> int:
    """Decodes every frame on one thread, and returns their number."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "NONE"
        return sum(1 for _ in container.decode(video=0))


def started(videos: Path, work: Path) -> "subprocess.Popen[bytes]":
    """A process that takes frames of all ``videos``, in a session of its own, to be killed as a whole."""
    command = [sys.executable, "-m", "benchmarks.extract", "take", str(videos), str(work)]
    return subprocess.Popen(command, start_new_session=True)  # noqa: S603


def done(work: Path) -> int:
    """The videos of which all frames are there."""
    return sum(not entry.name.startswith(".") for entry in work.iterdir()) if work.exists() else 0


def watched(videos: Path, work: Path, marks: list[int]) -> tuple[float, dict[int, float]]:
    """Runs an extraction. Returns its seconds, and its highest memory up to each number of videos in ``marks``."""
    start, peak, peaks = time.perf_counter(), 0.0, dict.fromkeys(marks, 0.0)
    process = started(videos, work)
    while process.poll() is None:
        peak = max(peak, sum(memory(pid, work) for pid in family(process.pid)))
        count = done(work)
        for mark in marks:
            if count <= mark:
                peaks[mark] = max(peaks[mark], peak)
        time.sleep(0.1)
    if process.wait():
        sys.exit("error: the extraction failed")
    return time.perf_counter() - start, peaks


def hashes(work: Path) -> dict[str, str]:
    """The SHA-256 of every file."""
    files = (path for path in work.rglob("*") if path.is_file())
    return {path.relative_to(work).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def main() -> None:
    options = arguments(__doc__)
    films, count = (2, 8) if options.quick else (8, 200)
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "videos").mkdir()
        for film in range(films):
            write(folder / f"{film}.mp4", FRAMES, seed=film)
        for number in range(count):
            shutil.copyfile(folder / f"{number % films}.mp4", folder / "videos" / f"{number:03d}.mp4")
        plain = seconds(lambda: [decode(folder / f"{film}.mp4") for film in range(films)]) / films
        marks = sorted({count // 20, count // 4, count} - {0})
        took, peaks = watched(folder / "videos", folder / "work", marks)
        expected = hashes(folder / "work")
        ours = took * cpu_count() / count
        print(f"{count} videos of {FRAMES} frames, {TAKEN} frames of each, in {took:.0f} s on {cpu_count()} cores")
        print(f"{'':24}{'seconds a video and core':>26}")
        print(f"{'decoding all of it':24}{plain:26.2f}\n{'taking frames into PNG':24}{ours:26.2f}")
        print("highest memory: " + ", ".join(f"{peak:.0f} MB up to {mark} videos" for mark, peak in peaks.items()))
        process = started(folder / "videos", folder / "again")
        while done(folder / "again") < count // 2:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kept = done(folder / "again")
        started(folder / "videos", folder / "again").wait()
        same = hashes(folder / "again") == expected
        print(
            f"killed after {kept} videos and run again: {len(expected)} files, {'the same' if same else 'NOT the same'}"
        )
    print(f"ratio: {plain / ours:.2f}")
    if not same:
        sys.exit("error: the files differ from those of an undisturbed run")


if __name__ == "__main__":
    if sys.argv[1:2] == ["take"]:
        list(take_frames(sorted(Path(sys.argv[2]).iterdir()), Path(sys.argv[3]), TAKEN, "png"))
    else:
        main()
