"""Published results on AudioSet-20K: the lower rows of the paper's Table 3."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    """A row: mAP in per cent by the set of training and evaluation, such as `V` or `AV`."""

    model: str
    source: str
    pretrained_on: str
    scores: dict[str, float]


AUDIOSET_20K = (
    Published("MBT", "Nagrani et al., 2021", "ImageNet-21K", {"A": 31.3, "V": 27.7, "AV": 43.9}),
    Published("CAV-MAE", "Gong et al., 2022", "AudioSet-2M", {"A": 37.7, "V": 19.8, "AV": 42.0}),
    Published("VATT", "Akbari et al., 2021", "ImageNet", {"A": 39.4}),
    Published("Audio-MAE", "Huang et al., 2022", "AudioSet-2M", {"A": 37.0}),
)
