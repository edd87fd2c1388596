"""Find the boxes in the outputs of a detector, in whichever form they are. To add a form, add its row to ``FORMS``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from visualcnn_tf._utils.checks import bad_value, quoted
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.targets.detections.columns import columns_of_rows
from visualcnn_tf.targets.detections.detections import Detections
from visualcnn_tf.targets.detections.levels import levels_of_head
from visualcnn_tf.targets.detections.lists import lists_of_boxes
from visualcnn_tf.targets.detections.outputs import DetectorOutputs
from visualcnn_tf.targets.detections.scores_per_box import scores_per_box

#: What yields the detections of each form.
FORMS: tuple[Callable[[DetectorOutputs], Iterator[Detections]], ...] = (
    scores_per_box,
    columns_of_rows,
    lists_of_boxes,
    levels_of_head,
)


def find_detections(outputs: DetectorOutputs) -> Detections:
    """Return the boxes in the outputs of a detector.

    Raises:
        InvalidArgumentError: where there are none, or it is not certain which output holds their scores.
    """
    if outputs.boxes is not None and outputs.boxes not in outputs.tensors:
        raise bad_value("boxes", f"one of the model's outputs {quoted(outputs.tensors)}", outputs.boxes)
    found = [detections for form in FORMS for detections in form(outputs)]
    if len(found) == 1:
        return found[0]
    if found:
        names = list(dict.fromkeys(detections.output for detections in found))
        raise bad_value("output", f"given: {quoted(names)} may hold the scores of boxes", outputs.asked)
    shapes = {name: tuple(tensor.shape) for name, tensor in outputs.tensors.items()}
    raise InvalidArgumentError(
        "`target` must be other than a box for a model without scores of boxes: (B, N, K) beside boxes (B, N, 4), rows "
        "with corners and scores that are joined in the model, scores (B, N) beside boxes, or maps of probabilities "
        f"(B, h, w, K) beside others. Received: outputs {shapes}. Name the output that holds the scores "
        "(`output='name'`), say which columns do (`Box(0, columns=(4, 84))`), or write a function of the output."
    )
