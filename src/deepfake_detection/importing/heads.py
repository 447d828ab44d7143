"""The last layer of a detector of others, as one logit that is higher for fakes."""

from collections.abc import Mapping

from torch import Tensor

NORM_EPS = 1e-5  # of torch's BatchNorm1d


def one_logit(linear: Mapping[str, Tensor], fake: int, norm: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Weight of shape (1, features) and bias of shape (1,) that give the same probability of a fake.

    ``linear`` has the ``weight`` and ``bias`` of a layer of one or two rows. Softmax of two rows is the sigmoid of
    their difference: row ``fake`` less the other. A single row is taken as it is if ``fake`` is 1, else negated.
    ``norm`` has what a batch norm before the layer holds; in evaluation it is a product and a sum.
    """
    weight, bias = linear["weight"].double(), linear["bias"].double()
    if len(weight) == 2:
        weight, bias = weight[[fake]] - weight[[1 - fake]], bias[[fake]] - bias[[1 - fake]]
    elif fake == 0:
        weight, bias = -weight, -bias
    if norm:
        gain = norm["weight"].double() / (norm["running_var"].double() + NORM_EPS).sqrt()
        bias = bias + weight @ (norm["bias"].double() - gain * norm["running_mean"].double())
        weight = weight * gain
    return {"weight": weight.to(linear["weight"].dtype), "bias": bias.to(linear["bias"].dtype)}
