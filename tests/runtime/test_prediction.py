"""A prediction names its most probable label."""

import numpy as np
from sensemble_runtime import Prediction


def test_a_prediction_knows_its_label_and_how_confident_it_is() -> None:
    probabilities = np.array([0.25, 0.75], np.float32)
    prediction = Prediction(0.0, ("audio",), {}, probabilities, probabilities, {}, {}, labels=("hum", "clap"))
    assert (prediction.label, prediction.confidence) == ("clap", 0.75)
    assert prediction.copy().label == "clap"
