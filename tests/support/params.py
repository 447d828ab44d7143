"""Parameters for tests: small, valid and independent of the committed params.yaml."""

from typing import Any

from deepfake_detection.params.train_sections import Train


def tree() -> dict[str, Any]:
    """A new dictionary with every parameter, nested like params.yaml."""
    return {
        "datasets": {
            "embedded": {
                "path": "none",
                "use": "train",
                "layout": "embedded",
                "real": ["Original"],
                "fake": ["Deepfakes"],
                "unseen": ["FaceSwap"],
                "drawn": {"identities": 40, "frames": 5, "size": 64, "seed": 42},
            }
        },
        "video": {"frames": 4},
        "index": {"max_rejected": 0.05},
        "split": {"strategy": "group", "seed": 42, "official_dir": "none", "train": 0.7, "val": 0.15, "test": 0.15},
        "prepare": {"image_size": 32, "crop": "none", "margin": 0.3},
        "model": {"arch": "efficientnet_b0", "weights": "none", "dropout": 0.2},
        "pretrain": {},
        "train": {
            "seed": 42,
            "method": "supervised",
            "localise": 0.0,
            "align": 0.0,
            "uniform": 0.0,
            "pairs": False,
            "balance": "none",
            "epochs": 3,
            "max_steps": 0,
            "epoch_share": 1.0,
            "batch_size": 8,
            "accumulate": 1,
            "optimizer": "adam",
            "lr": 0.001,
            "weight_decay": 0.0,
            "label_smoothing": 0.0,
            "clip_norm": 0.0,
            "schedule": "constant",
            "warmup_epochs": 0.0,
            "ema": 0.0,
            "monitor": "val_loss",
            "patience": 3,
            "teacher": "none",
            "teacher_weight": 0.5,
            "teacher_temperature": 2.0,
            "unlabelled": "train",
            "adapt": "none",
            "adapt_weight": 1.0,
            "precision": "32-true",
            "compile": "none",
            "checkpoint_activations": False,
            "deterministic": True,
            "threads": 1,
            "devices": 1,
            "num_nodes": 1,
            "num_workers": 0,
            "augment": {
                "flip": 0.5,
                "rotation": 5.0,
                "rotate_p": 1.0,
                "scale": 0.0,
                "shift": 0.0,
                "brightness": 0.1,
                "contrast": 0.1,
                "hue": {"p": 0.0, "range": [-0.05, 0.05]},
                "grey": 0.0,
                "blur": {"p": 0.0, "range": [0.1, 3.0]},
                "noise": {"p": 0.0, "range": [0.0, 0.15]},
                "scaling": {"p": 0.0, "range": [0.25, 1.0]},
                "jpeg": {"p": 0.0, "range": [10, 95]},
                "social": 0.0,
                "erase": 0.0,
            },
        },
        "adapt": [],
        "calibrate": {"threshold": 0.5, "alarms": 0.02, "prior": 0.5, "familiarity": 0.99},
        "evaluate": {
            "missing": "exclude",
            "seed": 42,
            "bootstrap_draws": 200,
            "batch_size": 32,
            "backend": "torch",
        },
        "robustness": {"max_frames": 20},
    }


def train(**changes: Any) -> Train:
    """The section ``train``. ``changes`` replaces values."""
    return Train.model_validate(tree()["train"] | changes)
