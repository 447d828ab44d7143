"""The command line program ``deepfake-detect``."""

import errno
import json
import re
import sys
import time
import warnings
from contextlib import nullcontext, redirect_stdout
from dataclasses import replace
from functools import partial
from io import TextIOWrapper
from itertools import repeat
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import expanded, write_figure
from deepfake_detection.common.parallel import spin_briefly
from deepfake_detection.common.progress import progress
from deepfake_detection.common.text import printable, system_failure
from deepfake_detection.network.sidecar import FAMILIARITY
from deepfake_detection.pictures.kinds import is_video
from deepfake_detection.serving import options
from deepfake_detection.serving.credentials import credential_fields, read_anchors
from deepfake_detection.serving.import_command import import_
from deepfake_detection.serving.lines import (
    AS_STORED,
    job_of,
    left_to_do,
    outcome,
    print_csv,
    print_json,
    print_line,
    require_whole,
    results,
    shown,
    summary,
)
from deepfake_detection.serving.options import (
    Checkpoint,
    Checkpoints,
    Device,
    Frames,
    Scores,
    Threshold,
    TrustAnchors,
)
from deepfake_detection.serving.outputs import alone, may_write, named_after, refuse_inputs
from deepfake_detection.serving.paths import VIDEO, find_checkpoint, find_files, in_shard, left_out
from deepfake_detection.serving.remembered import recheck, remember
from deepfake_detection.serving.report_command import report
from deepfake_detection.serving.verify import verify

if TYPE_CHECKING:  # torch takes seconds to load, and --help does not need it
    from deepfake_detection.serving.detector import Detector
    from deepfake_detection.serving.results import Prediction

FEW, ENOUGH = 8, 64  # files and frames; batch-norm statistics of less are hardly those of a kind of picture


class _Commands(TyperGroup):
    """The commands. An error that the user can fix ends one with one line and exit status 1, or with --debug as is."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (UserError, OSError) as error:
            if ctx.params.get("debug"):
                error.__suppress_context__ = False  # what was caught before says more
                raise
            if isinstance(error, UserError):
                sys.exit(f"error: {printable(str(error))}")
            if error.errno == errno.EPIPE:
                raise  # typer ends quietly when nobody reads on
            sys.exit(f"error: {system_failure(error)}")


app = typer.Typer(cls=_Commands, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

Backend = Literal["torch", "torch-folded", "torch-graph", "torch-bf16", "openvino", "openvino-bf16", "auto"]


def print_version(wanted: bool) -> None:
    if wanted:
        from deepfake_detection import __version__

        print(f"deepfake-detect {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and end.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Before the command: errors with their traceback.")] = False,
) -> None:
    """Estimate how likely it is that pictures and videos are deepfakes, with a checkpoint of this project."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors=AS_STORED)
    # Pillow warns of malformed metadata in single pictures, which does not matter to the pixels
    warnings.filterwarnings("ignore", module="PIL")


@app.command()
def predict(
    paths: Annotated[
        list[str], typer.Argument(help="Pictures, videos, folders of them, or patterns such as 'a/*.jpg'.")
    ],
    checkpoints: Checkpoints = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")] = False,
    output: Annotated[Path | None, typer.Option(help="Write to this file, whole or not at all.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of --output if it is there.")] = False,
    frames: Frames = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures that the network takes at once.")] = 16,
    backend: Annotated[
        Backend, typer.Option(help="What computes; auto takes the fastest that does not round.")
    ] = "torch",
    device: Device = None,
    threshold: Threshold = None,
    scores: Scores = None,
    shard: Annotated[str | None, typer.Option(help="Take one share of the files only: 2/4 is the second of 4.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="With --json and --output: go on where a killed run stopped.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Judge each file again after eight mild changes; a flip makes it uncertain.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say what each score is worth as evidence.")] = False,
    adapt: Annotated[
        Path | None,
        typer.Option(help="First compute the batch-norm statistics of what is in this folder: other files."),
    ] = None,
    trust_anchors: TrustAnchors = None,
) -> None:
    """Judge pictures and videos.

    For a file that cannot be read, a line says why. The other files are still judged, and the exit status is 1. So it
    is when a folder or pattern gives no file. What else is left out of a folder is counted.
    With --adapt a score depends on the files in that folder, and says nothing without them.
    """
    if as_json and as_csv:
        raise UserError("--json and --csv: choose one of them")
    if adapt and backend != "torch":
        raise UserError(f"--adapt changes the network, which --backend {backend} does not follow: take torch")
    if resume and not (as_json and output):
        raise UserError("--resume goes on with a file of JSON lines: give --json and --output too")
    listed = find_files(paths)
    files = listed.files
    for problem in listed.problems:
        print(f"error: {problem}", file=sys.stderr)
    if listed.left_out:
        print(left_out(listed), file=sys.stderr)
    if not files:
        raise typer.Exit(1)
    files = in_shard(files, shard) if shard else files
    anchors = read_anchors(trust_anchors) if trust_anchors else None
    checkpoint, *others = options.checkpoints_of(checkpoints, scores)
    if adapt and others:
        raise UserError("--adapt changes one network: give one --checkpoint")
    beside = [each.with_suffix(ending) for each in (checkpoint, *others) for ending in (".json", FAMILIARITY)] + others
    with alone(output) if output else nullcontext():
        if resume and output and output.exists() and not force:
            require_whole(output, files)
            print(f"{output} is there already and whole: nothing is left to do", file=sys.stderr)
            return
        if output:
            may_write([output], force, "--output")
            refuse_inputs(output, [*map(Path, files), checkpoint, *beside])
        with redirect_stdout(sys.stderr):  # a backend's own messages are not results
            detector = options.load_detector(checkpoint, backend, device, threshold)
            from deepfake_detection.serving.validation import alarms_of, results_in_use

            second = options.second_opinion(detector, others[0], scores, device, threshold) if others else None
        if adapt:
            detector = adapted(detector, adapt, files)
        tested, alarms = results_in_use(checkpoint, detector.sidecar), set[str]()
        write = print_json if as_json else print_csv if as_csv else partial(print_line, verbose=verbose)
        job = (
            job_of(
                checkpoint,
                beside,
                threshold=threshold,
                frames=frames,
                shard=shard,
                adapt=adapt and str(adapt),
                anchors=anchors and anchors.sha256,
                check=check,
            )
            if resume
            else None
        )
        with results(output, job) as (out, done, outcomes):
            left = left_to_do(files, done)
            # The bar goes to stderr, so that stdout can be piped. On what is no terminal it is a line a minute.
            with progress(total=len(left), unit="file", leave=False) as bar:
                asked = (left, batch_size, frames, bool(shard or resume))
                judged = detector.stream(*asked)
                if check:
                    from deepfake_detection.serving.stability import checked

                    judged = checked(detector, *asked)
                also = second.detector.stream(*asked) if second else repeat(None)
                for number, (found, other) in enumerate(zip(judged, also, strict=False)):
                    outcomes[outcome(found.verdict, found.failed)] += 1
                    alarms.add(alarms_of(found, tested) if tested else "")
                    found = replace(found, transductive=True) if adapt else found
                    about = detector.about(found) | (second.said(found, other) if second and other else {})
                    if not as_csv:
                        about |= {"credentials": None} if found.failed else credential_fields(Path(found.path), anchors)
                    with bar.external_write_mode():
                        write(found, not number, out, about)
                    if resume:
                        out.flush()  # a kill loses no line
                    bar.update()
        failed = outcomes["unreadable"]
        if len(files) > 1:
            print(summary(outcomes), file=sys.stderr)
        for words in sorted(filter(None, alarms)):
            print(words, file=sys.stderr)
        if failed:
            print(f"{failed} of {len(files)} files could not be read", file=sys.stderr)
        if failed or listed.problems:
            raise typer.Exit(1)


def adapted(detector: "Detector", folder: Path, files: list[str]) -> "Detector":
    """The detector with the batch-norm statistics of what is in ``folder``, with words on how to read its scores.

    Raises UserError if there is nothing to adapt to, or if a file to judge is in the folder too.
    """
    listed = find_files([str(folder)])
    if listed.problems:
        raise UserError(f"--adapt: {listed.problems[0]}")
    there = {Path(file).resolve() for file in listed.files}
    if both := [file for file in files if Path(file).resolve() in there]:
        raise UserError(
            f"--adapt: {printable(both[0])} is to be judged and lies in {folder} too: judge files that are not there"
        )
    refused: list[Prediction] = []
    shuffled = Random(0).sample(listed.files, len(listed.files))  # noqa: S311, so that each batch is a mixture
    with progress(shuffled, title="adapting", unit="file", leave=False) as bar:
        changed, frames = detector.adapted_to(bar, refused.append)
    kept = len(shuffled) - len(refused)
    print(
        f"adapted to {frames} frames of {kept} files in {folder}. The scores are transductive: they depend on these "
        "files. A few videos, or one class alone, can make them worse than they are without.",
        file=sys.stderr,
    )
    if kept < FEW or frames < ENOUGH:
        print(f"warning: that is little to adapt to: {FEW} files and {ENOUGH} frames are the least", file=sys.stderr)
    return changed


@app.command()
def serve(
    checkpoint: Checkpoint = None,
    host: Annotated[str, typer.Option(help="Address to listen on; others than loopback let others in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    max_mb: Annotated[int, typer.Option(min=1, help="Larger files are refused.")] = 100,
    max_seconds: Annotated[float, typer.Option(min=0.1, help="A judgement that takes longer is stopped.")] = 60.0,
    max_memory_mb: Annotated[
        int, typer.Option(min=1, help="A judgement that takes more memory than this, besides the network, is stopped.")
    ] = 4000,
    device: Device = None,
    threshold: Threshold = None,
    token_file: Annotated[
        Path | None, typer.Option(help="Answer only who sends the token in this file, as Authorization: Bearer TOKEN.")
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(help="Another name under which it is asked, such as a service's in Docker Compose. Repeat it."),
    ] = None,
    trust_anchors: TrustAnchors = None,
) -> None:
    """Judge pictures and videos on a web page, and for programs at /api/v1/predict. Works offline and keeps nothing."""
    try:
        from deepfake_detection.serving.web import guard, server
    except ModuleNotFoundError as error:
        missing = f"{error.name} is not installed; run make env, or pip install starlette uvicorn python-multipart"
        raise UserError(f"serve: {missing}") from None
    token = guard.read_token(token_file) if token_file else None
    rule, memory = options.as_rule(threshold), max_memory_mb * 10**6
    anchors = read_anchors(trust_anchors) if trust_anchors else None
    checkpoint = find_checkpoint(checkpoint)
    server.serve(checkpoint, host, port, max_mb * 10**6, max_seconds, device, rule, token, memory, name or (), anchors)


@app.command()
def explain(
    path: Annotated[Path, typer.Argument(help="A picture or a video.")],
    out: Annotated[Path | None, typer.Option(help="PNG to write; STEM-explained.png if not given.")] = None,
    checkpoint: Checkpoint = None,
    frames: Frames = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    device: Device = None,
    threshold: Threshold = None,
) -> None:
    """Show which parts of a picture or video point to a fake, as a heat map in a PNG."""
    try:
        from deepfake_detection.serving.explain import explain as explained
    except ModuleNotFoundError as error:
        raise UserError(f"explain: {error.name} is not installed; run make env, or pip install {error.name}") from None

    written = out or named_after(path, "-explained.png")
    if written.suffix.lower() != ".png":
        raise UserError(f"--out {written}: it will be a PNG, so name it .png")
    may_write([written], force)
    checkpoint = find_checkpoint(checkpoint)
    with alone(written):
        print("loading the network", file=sys.stderr)
        detector = options.load_detector(checkpoint, device=device, threshold=threshold)
        print("looking at it", file=sys.stderr)
        figure = explained(detector, path, frames)
        write_figure(written, figure)
    print(shown(written, sys.stdout))


@app.command()
def export(
    form: Annotated[Literal["onnx", "openvino", "safetensors"], typer.Option("--format", help="Format to write.")],
    out: Annotated[Path | None, typer.Option(help="STEM.onnx, .xml or .safetensors if not given.")] = None,
    checkpoint: Checkpoint = None,
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

    listed = find_files(int8 or [])
    if listed.problems:
        raise UserError(f"--int8: {listed.problems[0]}")
    pictures = [file for file in listed.files if not is_video(file)]
    listed.left_out[VIDEO] += len(listed.files) - len(pictures)
    if listed.left_out.total():
        print(left_out(listed), file=sys.stderr)
    checkpoint = find_checkpoint(checkpoint)
    written = out or named_after(checkpoint, "-int8" * bool(int8) + FILES[form][0])
    paths = files_of(form, written)
    may_write(paths, force)
    start = time.perf_counter()
    with alone(written), redirect_stdout(sys.stderr):  # the quantiser prints progress bars
        parity = exported(checkpoint, form, written, pictures)
    kind = form + f", opset {OPSET}" * (form == "onnx") + ", 8 bits" * bool(int8)
    print(f"format: {kind}, in {time.perf_counter() - start:.0f} s")
    for path in filter(Path.exists, paths):  # a checkpoint without familiarity has one file less
        print(f"{shown(path, sys.stdout)}: {path.stat().st_size / 1e6:.1f} MB")
    frames = f"{parity.frames} {'other' if int8 else 'drawn'} faces"
    apart = ", ".join(f"{name} {difference:.1e}" for name, difference in parity.apart.items())
    print(f"largest difference from torch on {frames}: {apart}; other verdicts: {parity.decisions}")


app.command("import")(import_)
app.command()(report)
app.command()(verify)
app.command()(remember)
app.command()(recheck)


@app.command()
def info(
    checkpoint: Annotated[
        Path | None, typer.Argument(help="Checkpoint with its JSON file beside it, or the folder of one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what a checkpoint is, what it was trained on, and at which threshold it decides."""
    from deepfake_detection.serving.words import checkpoint_facts, checkpoint_table

    found = checkpoint_facts(find_checkpoint(checkpoint))
    print(json.dumps(found, indent=2) if as_json else checkpoint_table(found))


def main() -> None:
    """Runs the command."""
    spin_briefly()
    app(args=[re.sub(r"^(--[\w-]+=)?(~.*)", _at_home, word) for word in sys.argv[1:]])


def _at_home(word: re.Match[str]) -> str:
    # a shell expands the ~ of ~/a.jpg, but not that of --csv=~/a.csv and of a pattern in quotes
    return word[0] if Path(word[2]).exists() else (word[1] or "") + expanded(word[2])


if __name__ == "__main__":
    main()
