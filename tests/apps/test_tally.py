"""What a run came to."""

import numpy as np
from sensemble_apps.stream import Said
from sensemble_apps.tally import Tally
from sensemble_runtime.prediction import Prediction


def test_counts_that_begin_anew_when_a_sensor_comes_back_add_up() -> None:
    tally = Tally(("one",), virtual=True)
    for dropped in ({"audio": 2}, {"audio": 5}, {"video": 1}, {"audio": 6}, {"audio": 1}):
        probabilities = np.ones(1, np.float32)
        said = Prediction(
            0.0, ("audio",), {}, probabilities, probabilities, {"audio": 0.1}, dropped, dropped, dropped
        )
        tally.add(Said(0.0, said, None))
    assert "5 windows encoded, 13 dropped for newer ones" in tally.lines
    assert "the duty saved these encodings: audio 12 of 17, video 1 of 1" in tally.lines
    assert "samples that were lost, for nobody read them in time: 12 of audio, 1 of video" in tally.lines
