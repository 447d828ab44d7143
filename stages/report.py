"""Writes the report on the trained model: a page, a model card, and test results that stay beside the checkpoint."""

from pathlib import Path

from deepfake_detection.common.files import replacing
from deepfake_detection.common.tables import SOURCE, read_predictions
from deepfake_detection.inference.tested import results_file, summarised, write_tested
from deepfake_detection.network.sidecar import read_sidecar
from deepfake_detection.params.data_sections import folders_of, of_use
from deepfake_detection.params.load import load_params
from deepfake_detection.reporting.measured import read_measured, read_robustness
from deepfake_detection.reporting.report import PLOTS, build_context, render_card, render_html
from stages import run

DATA, METRICS, REPORT = Path("data"), Path("metrics"), Path("report")


def main() -> None:
    params = load_params()
    checkpoint = Path(f"models/best_model_{params.model.arch}.pth")
    robustness, corrupted = read_robustness(METRICS)
    context = build_context(
        index=read_measured(METRICS / "index.json"),
        split=(split := read_measured(METRICS / "split.json")),
        train=read_measured(METRICS / "train.json"),
        test=(test := read_measured(METRICS / "details.json")),
        sidecar=read_sidecar(checkpoint.with_suffix(".json")),
        predictions=read_predictions(DATA / "predictions.csv"),
        raw=DATA / "raw",
        folders=folders_of(params.datasets),
        pictures={name: (DATA if name == "leak_audit" else METRICS / "plots") / f"{name}.png" for name in PLOTS},
        robustness=robustness,
        corrupted=corrupted,
        origins={
            name: read_measured(DATA / "raw" / name / SOURCE)
            for use in ("train", "test")
            for name in of_use(params.datasets, use)
        },
    )
    with replacing(REPORT / "report.html", REPORT / "model_card.md") as (page, card):
        page.write_text(render_html(context), encoding="utf-8", newline="\n")
        card.write_text(render_card(context), encoding="utf-8", newline="\n")
    write_tested(results_file(checkpoint), summarised(checkpoint, context["drawn"], split, test, robustness))
    print(f"report: {REPORT / 'report.html'}, {REPORT / 'model_card.md'}")


if __name__ == "__main__":
    run(main)
