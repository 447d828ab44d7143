"""The frames of a film that ``deepfake-detect predict`` judges, against decoding all of the film, on this machine.

``python -m benchmarks.video`` writes a film of 60 seconds at 1280x720 and 30 frames/s (``--quick``: 10 seconds), whose
content moves. ``all`` decodes every frame with PyAV and takes the 32 that ``predict`` takes, by their number: that is
wrong if frames are on show for unequal times, and it sees no damage. ``ours`` takes them as ``predict`` does. Frames
are those of the film, not those taken. ``ratio`` is the time of ``all`` over ours.
"""

import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks import arguments, in_turn, machine
from deepfake_detection.videos.video import Video

WIDTH, HEIGHT, RATE, TAKEN = 1280, 720, 30, 32


def write(path: Path, frames: int, seed: int = 0) -> None:
    """A coarse random pattern that moves and brightens."""
    pattern = (
        np.random.default_rng(seed).integers(0, 128, (HEIGHT // 8, WIDTH // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    )
    encode(path, (np.roll(pattern, (2 * at, 3 * at), (0, 1)) + np.uint8(at % 64) for at in range(frames)))


def encode(path: Path, pictures: Iterable[NDArray[np.uint8]]) -> None:
    """Writes pictures of shape (HEIGHT, WIDTH, 3) as H.264, RATE of them a second."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"preset": "veryfast"}
        for pixels in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def decode_all(path: Path, frames: int) -> list[Any]:
    wanted = {int((number + 0.5) * frames / TAKEN) for number in range(TAKEN)}
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        decoded = enumerate(container.decode(video=0))
        return [frame.to_ndarray(format="rgb24") for number, frame in decoded if number in wanted]


def main() -> None:
    options = arguments(__doc__, rounds=5)
    frames = RATE * (10 if options.quick else 60)
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        write(path, frames)
        everything, ours = in_turn(
            options.rounds, partial(decode_all, path, frames), lambda: list(Video(path, TAKEN).frames())
        )
    print(f"{'':8}{'seconds':>9}{'frames/s':>10}")
    for name, took in (("all", everything), ("ours", ours)):
        print(f"{name:8}{took:9.2f}{frames / took:10.0f}")
    print(f"ratio: {everything / ours:.2f}")


if __name__ == "__main__":
    main()
