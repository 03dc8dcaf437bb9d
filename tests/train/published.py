"""AudioSet, Kinetics-400 and ImageNet-Captions as published and as commonly stored, a few examples each."""

import json
from pathlib import Path

import cv2
import numpy as np

from tests.sensors.studio import write_media

FPS, RATE = 10, 22050


def film(path: Path, seconds: float, *, sound: bool = True, picture: bool = True, first: float = 0.0) -> Path:
    """H.264 and AAC as YouTube gives them, the seconds from `first` on of a film that grows brighter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = {".wav": "pcm_s16le", ".webm": "libopus"}.get(path.suffix, "aac")
    rate = 48000 if codec == "libopus" else RATE
    times = first + np.arange(round(seconds * rate)) / rate
    wave = 0.275 * np.sin(2 * np.pi * 100 * times * (1 + times / 20))[None]
    greys = np.minimum(2 * (np.arange(round(seconds * FPS)) + round(first * FPS)), 255).astype(np.uint8)
    frames = np.broadcast_to(greys[:, None, None, None], (len(greys), 48, 64, 3)).copy()
    video = "libvpx" if path.suffix == ".webm" else "libx264"
    return write_media(
        path,
        frames if picture else None,
        wave if sound else None,
        fps=FPS,
        rate=rate,
        video=(video, "yuv420p"),
        audio=codec,
        options={"g": "12"},
    )


AUDIOSET = {
    "balanced_train_segments.csv": """\
# Segments csv created Sun Mar  5 10:54:31 2017
# num_ytids=3, num_segs=3, num_unique_labels=3, num_positive_labels=4
# YTID, start_seconds, end_seconds, positive_labels
--4gqARaEJE, 3.000, 7.000, "/m/068hy,/m/0bt9lr"
-_wholefilm, 4.000, 8.000, "/m/09x0r"
gone_gone_1, 30.000, 40.000, "/m/09x0r"
""",
    "eval_segments.csv": """\
# Segments csv created Sun Mar  5 10:54:25 2017
# num_ytids=2, num_segs=2, num_unique_labels=2, num_positive_labels=2
# YTID, start_seconds, end_seconds, positive_labels
soundalone1, 2.000, 6.000, "/m/09x0r"
YfilmWithY1, 0.000, 4.000, "/m/0bt9lr"
""",
    "unbalanced_train_segments.csv": """\
# Segments csv created Sun Mar  5 10:54:33 2017
# num_ytids=2, num_segs=2, num_unique_labels=2, num_positive_labels=2
# YTID, start_seconds, end_seconds, positive_labels
unbalanced1, 1.000, 5.000, "/m/068hy"
two_files_1, 0.000, 3.000, "/m/068hy"
""",
    "class_labels_indices.csv": """\
index,mid,display_name
0,/m/09x0r,"Speech"
72,/m/068hy,"Domestic animals, pets"
74,/m/0bt9lr,"Dog"
""",
    "titles.tsv": "--4gqARaEJE\tMy   dog & I\nunbalanced1\tKlakson, który zwala z nóg\n",
}


def audioset(folder: Path) -> Path:
    """Five of seven segments, in the ways that downloaders store them."""
    folder.mkdir(exist_ok=True)
    for name, text in AUDIOSET.items():
        (folder / name).write_text(text, encoding="utf-8")
    film(folder / "train" / "--4gqARaEJE_3.mp4", 4, first=3)  # cut out, and named by its start in seconds
    film(folder / "train" / "-_wholefilm.mp4", 12)  # the whole video
    film(folder / "eval" / "Ysoundalone1.wav", 4, picture=False)  # cut out, and sound alone
    film(folder / "eval" / "YfilmWithY1.webm", 4)
    film(folder / "unbalanced" / "unbalanced1_1000_5000.mkv", 4)  # cut out, and named in milliseconds
    film(folder / "unbalanced" / "two_files_1.mp4", 3, sound=False)
    film(folder / "unbalanced" / "two_files_1.m4a", 3, picture=False)
    info = {"id": "-_wholefilm", "title": "A whole film", "duration": 12}
    (folder / "train" / "-_wholefilm.info.json").write_text(json.dumps(info))
    return folder


def kinetics(folder: Path) -> Path:
    """The layout of the common mirror: a folder a split, lists in `annotations`, and replaced videos."""
    (folder / "annotations").mkdir(parents=True)
    header = "label,youtube_id,time_start,time_end,split,is_cc\n"
    lists = {
        "train": ["abseiling,train_vid_1,1,5,train,0", '"playing, badly",train_vid_2,0,4,train,0'],
        "val": ["abseiling,val_video_1,0,4,val,0"],
        "test": ["abseiling,test_video1,7,11,test,0", '"playing, badly",test_gone_1,7,11,test,0'],
    }
    for split, lines in lists.items():
        (folder / "annotations" / f"{split}.csv").write_text(header + "\n".join(lines) + "\n")
    film(folder / "train" / "train_vid_1_000001_000005.mp4", 4)
    (folder / "train" / "train_vid_2_000000_000004.mp4").write_bytes(b"broken")
    film(folder / "replacement" / "replacement_for_corrupted_k400" / "train_vid_2_000000_000004.mp4", 4)
    film(folder / "val" / "val_video_1_000000_000004.mp4", 4)
    film(folder / "test" / "test_video1_000007_000011.mp4", 4)
    return folder


def imagenet_captions(folder: Path, count: int = 10) -> Path:
    """`count` pictures of two synsets, of which the last is not there."""
    entries = []
    for i in range(count):
        wnid = ("n01440764", "n02134084")[i % 2]
        name = f"{wnid}_{1000 + i}.JPEG"
        entries.append(
            {
                "filename": name,
                "title": f"title {i}",
                "tags": ["fish", "lake"][: i % 3],
                "description": "caught\nlast week" if i % 2 else "",
                "wnid": wnid,
            }
        )
        path = folder / "ILSVRC2012_img_train" / wnid / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if i < count - 1:
            done, jpeg = cv2.imencode(".jpg", np.full((40, 60, 3), 8 * i, np.uint8))
            assert done
            path.write_bytes(jpeg.tobytes())
    (folder / "imagenet_captions.json").write_text(json.dumps(entries))
    glosses = "n01440764 tench, Tinca tinca\nn02134084 ice bear, polar bear, Ursus Maritimus\n"
    (folder / "LOC_synset_mapping.txt").write_text(glosses)
    return folder
