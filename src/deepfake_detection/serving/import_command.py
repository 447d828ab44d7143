"""``deepfake-detect import``: checkpoints of what others trained."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from deepfake_detection.common.crop_rule import CropRule
from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import printable
from deepfake_detection.serving.lines import shown
from deepfake_detection.serving.outputs import may_write, refuse_inputs

if TYPE_CHECKING:  # torch takes seconds to load, and --help does not need it
    from deepfake_detection.network.model import Network
    from deepfake_detection.network.sidecar import Sidecar


def import_(
    files: Annotated[
        list[Path] | None, typer.Argument(help="A file of weights, several that judge together, or an ONNX file.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="What the files are; --list shows the recipes.")] = None,
    card: Annotated[
        Path | None, typer.Option(help="In place of a recipe: YAML file that says how an ONNX file is fed and read.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="Checkpoint to write, or a folder; RECIPE.pth if not given. Its JSON is beside.")
    ] = None,
    accept_license: Annotated[
        bool, typer.Option("--accept-license", help="You have read the licences, and they allow your use.")
    ] = False,
    show: Annotated[bool, typer.Option("--list", help="Print the card of each recipe, or of the one named.")] = False,
    size: Annotated[int | None, typer.Option(min=1, help="Pixels a side, where the recipe leaves it to you.")] = None,
    crop: Annotated[CropRule | None, typer.Option(help="How faces are cut out, where it leaves that to you.")] = None,
    margin: Annotated[float | None, typer.Option(min=0, help="Margin of that, as a share of the face.")] = None,
    fake_class: Annotated[
        int | None,
        typer.Option(min=0, max=1, help="Of two classes the fakes'; of one logit 1 if it is high for fakes."),
    ] = None,
    check_real: Annotated[Path | None, typer.Option(help="With --card: a real picture, to check the polarity.")] = None,
    check_fake: Annotated[Path | None, typer.Option(help="With --card: a fake picture, to check the polarity.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Make a checkpoint of weights that others published, or of an ONNX file.

    The files are yours to get: nothing is downloaded. Their licence is shown first, and yours to accept.
    With --check-real and --check-fake nothing is written unless the fake picture has the higher score.
    """
    from deepfake_detection.importing.recipes import Input, card_lines, recipe_of, recipes

    if show:
        chosen = {recipe: recipe_of(recipe)} if recipe else recipes()
        print("\n\n".join(card_lines(name, each) for name, each in chosen.items()))
        return
    if not files or (recipe is None) == (card is None):
        raise UserError("name the files, and with --recipe what they are, or with --card how an ONNX file is fed")
    if (check_real is None) != (check_fake is None) or (check_real and recipe):
        raise UserError("--check-real and --check-fake: give both, with --card, because two scores are compared")
    if recipe and not accept_license:
        print(card_lines(recipe, recipe_of(recipe)))
        raise UserError("nothing is imported yet: read the licences, and add --accept-license if they allow your use")
    named = f"{recipe or files[0].stem}.pth"
    to = to / named if to and to.is_dir() else to or Path(named)
    if to.suffix != ".pth":
        raise UserError(f"--to {to}: it will be a checkpoint, so name it .pth, or name a folder that is there")
    may_write([to, to.with_suffix(".json")], force, "--to")
    for path in (to, to.with_suffix(".json")):
        refuse_inputs(path, [*files, *([card] if card else [])], "--to")
    if recipe:
        from deepfake_detection.importing.checkpoints import import_weights

        sidecar = import_weights(files, recipe, to, Input(size=size, crop=crop, margin=margin), fake_class)
    else:
        from deepfake_detection.importing.onnx import import_onnx

        if len(files) > 1:
            raise UserError(f"{len(files)} files, and --card is for one ONNX file")
        check = partial(check_polarity, check_real, check_fake) if check_real and check_fake else None
        sidecar = import_onnx(files[0], cast(Path, card), to, check)
    beside = f", and {shown(to.with_suffix('.json'), sys.stdout)}" if sidecar else ""
    print(f"{shown(to, sys.stdout)}: {to.stat().st_size / 1e6:.1f} MB{beside}")
    if sidecar is None:
        print(f"to start training from it: -S model.weights={to}")
        print(f"licence of the weights: {recipe_of(cast(str, recipe)).card.licence_of_weights}")
        return
    from deepfake_detection.network.sidecar import adopting

    print(f"{sidecar.arch}, {sidecar.parameters:,} parameters, {sidecar.size} x {sidecar.size} pixels")
    print(f"licence of the weights: {sidecar.imported and sidecar.imported.licence}")
    print("to calibrate it on labelled pictures of yours, add your data set to")
    print(f"dvc exp run -S profile=adopt -S model.weights={to} {adopting(sidecar)}")


def check_polarity(real: Path, fake: Path, network: "Network", sidecar: "Sidecar") -> None:
    """Prints the scores of two pictures. Raises UserError unless the fake one has the higher score."""
    from deepfake_detection.serving.detector import Detector

    found = Detector(network, sidecar, device="cpu").predict([real, fake])
    for path, label, prediction in zip((real, fake), ("real", "fake"), found, strict=True):
        if prediction.verdict == "none":
            raise UserError(f"{path}: {prediction.reason}; take another picture to check with")
        print(f"{printable(str(path))}: {label}, logit {prediction.logit:.3f}")
    scores = [cast(float, prediction.logit) for prediction in found]
    if scores[0] >= scores[1]:
        raise UserError(
            "the real picture does not have the lower score, so nothing is written: look at `fake`, `colours`, "
            "`normalise` and `crop` in the card"
        )
