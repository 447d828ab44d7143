"""The command line program ``deepfake-detect``."""

import csv
import json
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import asdict
from glob import glob, has_magic
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from tqdm import tqdm

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import write_figure
from deepfake_detection.common.text import clock, percent, printable
from deepfake_detection.media.images import IMAGE_SUFFIXES
from deepfake_detection.media.videos import VIDEO_SUFFIXES

if TYPE_CHECKING:  # torch takes seconds to load, and --help does not need it
    from deepfake_detection.serving.detector import Detector, Prediction

CHECKPOINT = Path("models/best_model_efficientnet_b7.pth")
SUFFIXES = IMAGE_SUFFIXES | VIDEO_SUFFIXES
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

Backend = Literal["torch", "torch-folded", "torch-bf16", "openvino", "openvino-bf16", "auto"]
Threshold = Annotated[
    str | None,
    typer.Option(help="In place of the checkpoint's: a number, youden or fpr@0.01."),
]
Checkpoint = Annotated[Path, typer.Option(help="Checkpoint that the train stage wrote, with its JSON file beside it.")]


@app.callback()
def about() -> None:
    """Estimate how likely it is that pictures and videos are deepfakes, with a checkpoint of this project."""


@app.command()
def predict(
    paths: Annotated[
        list[str], typer.Argument(help="Pictures, videos, folders of them, or patterns such as 'a/*.jpg'.")
    ],
    checkpoint: Checkpoint = CHECKPOINT,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")] = False,
    frames: Annotated[int, typer.Option(min=1, help="Frames taken of each video.")] = 32,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures that the network takes at once.")] = 16,
    backend: Annotated[
        Backend, typer.Option(help="What computes; auto takes the fastest that does not round.")
    ] = "torch",
    threshold: Threshold = None,
) -> None:
    """Judge pictures and videos.

    For a file that cannot be read, a line says why. The other files are still judged, and the exit status is 1.
    """
    from deepfake_detection.serving.detector import Detector

    files = listed(paths)
    with redirect_stdout(sys.stderr):  # a backend's own messages are not results
        detector = Detector.load(checkpoint, backend, as_rule(threshold))
    write = print_json if as_json else print_csv if as_csv else print_line
    failed = 0
    # The bar goes to stderr, so that stdout can be piped. It is shown only on a terminal.
    with tqdm(total=len(files), unit="file", disable=None) as bar:
        for number, found in enumerate(predictions(detector, files, frames, batch_size)):
            failed += found.failed
            with bar.external_write_mode():
                write(found, first=not number)
            bar.update()
    if failed:
        print(f"{failed} of {len(files)} files could not be read", file=sys.stderr)
        raise typer.Exit(1)


def as_rule(threshold: str | None) -> float | str | None:
    """What the user typed: a number, or the name of a rule."""
    try:
        return None if threshold is None else float(threshold)
    except ValueError:
        return threshold


def listed(paths: list[str]) -> list[str]:
    """The files that ``paths`` stand for. Folders and patterns give only files with a picture or video suffix.

    Raises UserError if there are none.
    """
    files: list[str] = []
    for name in paths:
        if Path(name).is_dir():
            files += sorted(str(path) for path in Path(name).rglob("*") if _suffix(path) in SUFFIXES)
        elif has_magic(name) and not Path(name).exists():
            matches = glob(name, recursive=True)  # noqa: PTH207  Path.glob accepts no absolute pattern
            files += sorted(path for path in matches if _suffix(path) in SUFFIXES)
        else:
            files.append(name)  # the user named this file, so any suffix is accepted
    if not files:
        raise UserError(f"{', '.join(paths)}: no picture or video there ({', '.join(sorted(SUFFIXES))})")
    return files


def predictions(detector: "Detector", files: list[str], frames: int, batch_size: int) -> Iterator["Prediction"]:
    """The prediction of each file, in order."""
    for videos, group in groupby(files, key=lambda file: _suffix(file) in VIDEO_SUFFIXES):
        if videos:
            for file in group:
                yield detector.video(file, frames, batch_size)
        else:
            yield from detector.stream(group, batch_size)


def _suffix(path: str | Path) -> str:
    return Path(path).suffix.lower()


def print_json(found: "Prediction", first: bool) -> None:
    print(json.dumps(asdict(found)))


def print_csv(found: "Prediction", first: bool) -> None:
    row: dict[str, Any] = {name: getattr(found, name) for name in ("path", "verdict", "probability", "logit", "reason")}
    writer = csv.DictWriter(sys.stdout, list(row), lineterminator="\n")
    if first:
        writer.writeheader()
    writer.writerow(row)


def print_line(found: "Prediction", first: bool) -> None:
    if first:
        print(f"{'verdict':10}{'fake':>7}  path")
    probability = "" if found.probability is None else percent(found.probability)
    rest = f": {found.reason}" if found.reason else ""
    if moments := getattr(found, "moments", ()):
        times = ", ".join(f"{clock(each.seconds)} {percent(each.face.probability, 0)}" for each in moments[:3])
        fakes = sum(each.face.verdict == "fake" for each in moments)
        rest += f"  ({fakes} of {len(moments)} frames fake, most suspicious at {times})"
    print(f"{found.verdict:10}{probability:>7}  {printable(found.path)}{rest}")


@app.command()
def serve(
    checkpoint: Checkpoint = CHECKPOINT,
    host: Annotated[str, typer.Option(help="Address to listen on; others than loopback let others in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    max_mb: Annotated[int, typer.Option(min=1, help="Larger files are refused.")] = 100,
    max_seconds: Annotated[float, typer.Option(min=0.1, help="A judgement that takes longer is stopped.")] = 60.0,
    threshold: Threshold = None,
) -> None:
    """Judge pictures and videos on a web page, which works offline and keeps nothing."""
    try:
        from deepfake_detection.serving.web import server
    except ModuleNotFoundError as error:
        missing = f"{error.name} is not installed; run make env, or pip install starlette uvicorn python-multipart"
        raise UserError(f"serve: {missing}") from None
    server.serve(checkpoint, host, port, max_mb * 10**6, max_seconds, as_rule(threshold))


@app.command()
def explain(
    path: Annotated[Path, typer.Argument(help="A picture or a video.")],
    out: Annotated[Path | None, typer.Option(help="PNG to write; STEM-explained.png if not given.")] = None,
    checkpoint: Checkpoint = CHECKPOINT,
    frames: Annotated[
        int, typer.Option(min=1, help="Frames taken of a video, of which the worst four are shown.")
    ] = 32,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    threshold: Threshold = None,
) -> None:
    """Show which parts of a picture or video point to a fake, as a heat map in a PNG."""
    from deepfake_detection.serving.detector import Detector

    try:
        from deepfake_detection.serving.explain import explain as explained
    except ModuleNotFoundError as error:
        raise UserError(f"explain: {error.name} is not installed; run make env, or pip install {error.name}") from None

    written = out or Path(f"{path.stem}-explained.png")
    if written.suffix.lower() != ".png":
        raise UserError(f"--out {written}: it will be a PNG, so name it .png")
    may_write([written], force)
    print("loading the network", file=sys.stderr)
    detector = Detector.load(checkpoint, threshold=as_rule(threshold))
    print("looking at it", file=sys.stderr)
    figure = explained(detector, path, frames)
    write_figure(written, figure)
    print(written)


@app.command()
def export(
    form: Annotated[Literal["onnx", "openvino", "safetensors"], typer.Option("--format", help="Format to write.")],
    out: Annotated[Path | None, typer.Option(help="STEM.onnx, .xml or .safetensors if not given.")] = None,
    checkpoint: Checkpoint = CHECKPOINT,
    int8: Annotated[
        list[str] | None, typer.Option(help="OpenVINO in 8 bits, calibrated on these pictures: a folder or a pattern.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Write the network for another runtime, and check that it gives the same probabilities there.

    If they differ, nothing is written. With --int8, the differences are only printed.
    """
    from deepfake_detection.serving.export import FILES, OPSET, files_of
    from deepfake_detection.serving.export import export as exported

    pictures = [file for file in listed(int8) if _suffix(file) not in VIDEO_SUFFIXES] if int8 else []
    written = out or Path(checkpoint.stem + "-int8" * bool(int8) + FILES[form][0])
    paths = files_of(form, written)
    may_write(paths, force)
    start = time.perf_counter()
    with redirect_stdout(sys.stderr):  # the quantiser prints progress bars
        parity = exported(checkpoint, form, written, pictures)
    kind = form + f", opset {OPSET}" * (form == "onnx") + ", 8 bits" * bool(int8)
    print(f"format: {kind}, in {time.perf_counter() - start:.0f} s")
    for path in paths:
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    frames = f"{parity.frames} {'other' if int8 else 'drawn'} faces"
    print(
        f"largest difference from torch on {frames}: probability {parity.probability:.1e}, "
        f"logit {parity.logit:.1e}; other decisions: {parity.decisions}"
    )


def may_write(paths: list[Path], force: bool) -> None:
    """Raises UserError if one of ``paths`` is a folder, or if it exists and ``force`` is not set."""
    for path in paths:
        if path.is_dir():
            raise UserError(f"{path} is a folder: name a file, with --out")
        if path.exists() and not force:
            raise UserError(f"{path} is there already: name another file with --out, or replace it with --force")


def main() -> None:
    """Runs the command. An error that the user can fix ends it with one line and exit status 1."""
    try:
        app()
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(f"error: {where}{error.strerror or error}; check permissions and free disk space")


if __name__ == "__main__":
    main()
