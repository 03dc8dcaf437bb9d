"""Refusals of commands: status 2, and one line that names the mistake."""

import shlex
from pathlib import Path

import pytest

from tests.apps.conftest import DemoRun, Refusal

PHONE = ("--replay data", "--camera 0", "--output mqtt=mqtt://broker", "--demo", "--recordings elsewhere")
ADAPT = "give --replay FOLDER to learn from it, or --show"
REFUSED = [
    ("", "name a command first: demo, data build, "),
    ("recrod", "recrod: no such command; perhaps record"),
    ("live --help", "live: no such command; there are demo, data "),
    ("run", "required: BUNDLE; see `sensemble run --help`"),
    ("run bundle --cammera 0", "--cammera: no such option; perhaps --camera; see "),
    ("run {bundle} other", "other: one argument too many"),
    ("run {bundle} --limit many", "--limit: invalid int value: 'many'"),
    *((f"demo --seed {n}", "--seed: " + n) for n in ("-1", "4294967296", "99999999999999999999", "1e3")),
    *((f"demo --effort {x}", f"--effort: {x}: give") for x in ("0", "nan", "inf", "much")),
    ("data show {clip}", "is no folder"),
    ("run {bundle} --replay {data} --replay=other --fast", "--replay: is given 2 times"),
    ("run nope --captions -", "nope: there is no bundle there"),
    ("run nope", "nope: there is no bundle there"),
    ("run {bundle}", "--replay"),
    ("run {bundle} --media {clip} --replay {data}", "give one of --replay"),
    *((f"run {{bundle}} --captions - {o}", "only for --replay") for o in ("--fast", "--unplug")),
    *((f"run {{bundle}} --captions - {o}", "only for --replay") for o in ("--examples 3", "--split eval")),
    ("run {bundle} --fast --replay {data} --budget 0.5", "--budget is for real time"),
    ("run {empty} --fast --replay {data} --adapt", "--adapt is for real time"),
    ("run {bundle} --captions - --budget 0", "budget"),
    ("run {bundle} --sensor =0", "--sensor =0: give NAME=SOURCE"),
    ("run {bundle} --replay {data} --examples 1 --summary {empty}", "is not a file; name another"),
    ("audit {bundle} --data {data} --template {clip}/gate.toml", "gate.toml: cannot be used (Not a dir"),
    ("audit {bundle} --data {data} --junit {out}", "add --require CRITERIA"),
    ("compare {run} {run} --data {empty} --out {out}", "index.jsonl: cannot be read"),
    ("run {bundle} --captions {empty}/none.txt", "none.txt: cannot be opened (No such file"),
    ("run {bundle} --media {empty}", "is a folder; name a file"),
    ("run {bundle} --media {bad}/index.jsonl", "index.jsonl: cannot be decoded (Invalid data"),
    ("run {bundle} --sensor smell=0", "smell=0: there is no such modality; there are audio"),
    ("run {bundle} --replay {bad}", "index.jsonl:1: split: expected one of"),
    ("run {bundle} --replay {data} --split test", "no example in split test; --split takes pretrain"),
    ("audit {bundle} --data {data} --require webcam>=0.5", "no sensor is called 'webcam'"),
    ("audit {bundle} --data {empty} --require under.video.fog:3>=0.5", "no condition 'fog' of camera"),
    ("audit {bundle} --data {empty} --require under.video.dark:9>=0.5", "no severity 9"),
    ("audit {bundle} --data {empty} --require drop.B-A<=0.1", "is of two audits"),
    ("audit {bundle} --data {data} --conditions radar=quiet", "captions or text, camera or video"),
    *((f"{name} {{bundle}} --unfamiliar drop", "invalid choice: 'drop'") for name in ("run", "serve")),
    *((f"adapt {{empty}} {options}", ADAPT) for options in ("", "--show --replay {empty}")),
    ("record {out}", "--camera"),
    ("record {out} --camera 0 --camera 1", "one of each modality"),
    ("record {out} --media {clip} --camera 0", ", and not both"),
    ("record {out} --captions - --segment 0", "--segment"),
    ("record {out} --captions - --split train", "label"),
    ("record {out} --captions - --label ' '", "each once, none blank"),
    ("record {out} --captions - --split train --label 'a\x1b[2J'", "printable names"),
    ("record {out} --captions - --trust key.pem", "also give --bundle FOLDER"),
    ("record {here} --captions -", "another folder"),
    ("record {out} --camera 0 --classes yes,,no", "each once, none blank"),
    ("record {out} --camera 0 --classes yes,no --label yes", "leave out --label"),
    ("record {out} --captions - --classes yes,no", "standard input has the answers"),
    ("record {out} --camera 0 --classes yes,no --takes 0", "--takes 0: give 1 or more"),
    ("record {out} --camera 0 --classes yes,no --unlabelled -1", "--unlabelled -1: give 0 or more"),
    ("record {out} --camera 0 --backgrounds 6", "--backgrounds: only for takes of --classes"),
    *((f"serve {{bundle}} --phone {o}", f"{o.split()[0]}: not with --phone") for o in PHONE),
    ("serve {bundle} --host no-such-host.invalid", "give an address of this machine"),
    *((f"run {{bundle}} --replay {o}", "has no value; give one") for o in ("x --record=--", "'' --fast")),
    ("serve {bundle} --host ''", "--host: has no value"),  # which a socket takes for every address
    ("serve {bundle} --port 70000", "--port 70000: give 0 to 65535"),
    *((f"serve {{bundle}} {o} --watch", "give one of --replay") for o in ("--replay x", "--demo")),
    ("studio {out} --encoder nonsense", "give MODALITY=SOURCE"),
    ("studio {out} --encoder imu=minilm", "the studio has video and audio"),
    ("studio {out} --encoder video=nonsense", "no such encoder"),
    ("serve {bundle} --split eval", "--split: only for --replay"),
    ("export {empty}", "give a run, a folder that `sensemble train`"),
    ("export {run} --train-modalities audio", "not trained; `sensemble train --out {run}"),
    ("export {run} --method best", "no method 'best'"),
    ("export {run} --target tflite", "unknown target 'tflite'"),
    ("export {run} --scheme audio=int3", "int3"),
    ("export {run} --budget size=1GB", "write size=20MB"),
    ("export {run} --budget drop=1 --scheme audio=fp32", "give one of them"),
    ("export {run} --model elsewhere:made", "--model and --data go together"),
    ("train --data {data} --out {out} --train-modalities audio+", "audio+"),
    ("train --data {data} --out {out} --effort 0", "effort"),
    ("train --instant --teacher {empty}", "--instant, --teacher: give one"),
    ("train matrix imagenet --out {out}", "audioset_contrastive"),
    ("train matrix nosuch.json --out {out}", "nosuch.json: there is no such file"),
    ("train matrix {config} --out {out}", "data: missing"),
    ("train matrix digits --out {out} --held-out 1.5", "--held-out: expected a number from 0 to 1"),
    ("train matrix digits --out {out} --pretrain.steps -3", "--pretrain.steps: expected an integer"),
    ("train matrix digits --out {out} --encoders audio", "--encoders: audio: write NAME=VALUE"),
    ("train matrix digits --out {out} --train-modalities", "--train-modalities: name sets"),
    ("train matrix audioset_contrastive --data {data} --out {out}", "ViT-B-16.pt"),
    (
        "train matrix audioset_contrastive --data {data} --out {empty}/run --initialize random",
        "vocab_16e6.txt.gz",
    ),
    *(
        (f"train matrix {name} --data {{data}} --out {{out}}", "--initialize: this run pretrains nothing")
        for name in ("kinetics", "kinetics_mae", "imagenet_captions")
    ),
    ("data prepare pets here", "dataset: invalid choice: 'pets'"),
    ("data prepare kinetics {empty}/gone", "is not a folder"),
    ("data prepare kinetics {empty}", "holds none of the lists of kinetics"),
    ("report {empty}", "matrix.json"),
    ("report {run} --out {run}/matrix.json/page.html", "page.html"),
    ("report {run} --out /dev/null", "/dev/null: is not a file; name another"),
    ("compare {run} {run} --out {run}/audit.sqlite", "audit.sqlite: is a record, which would be lost; name"),
    ("history {empty}/none.sqlite", "none.sqlite: there is no such file"),
    ("compare {bundle} {run}", "give --data DATASET to audit it on"),
    ("compare {run} {run} --split train", "--split train: is for bundles"),
    ("compare {run} {run}/audit.sqlite --trust {run}/config.json", "audit.sqlite is a record"),
    ("compare {run} {run} --trust {run}/config.json", "config.json: not a public key"),
    ("compare {run} {empty}", "neither a bundle nor a run"),
    *(
        (f"{command} --out /proc/sensemble", "/proc/sensemble: cannot be used (")  # not even root can write
        for command in ("train --data {data}", "train matrix digits --data {data}", "demo --data {data}")
    ),
]


@pytest.mark.parametrize(("command", "named"), REFUSED)
def test_it_is_refused_by_name_and_nothing_is_left(
    command: str, named: str, demo: DemoRun, refusal: Refusal, tmp_path: Path
) -> None:
    folders = {name: tmp_path / name for name in ("empty", "bad")}
    for folder in folders.values():
        folder.mkdir()
    (folders["bad"] / "index.jsonl").write_text('{"id": "a", "split": "exam"}\n')
    (tmp_path / "config.json").write_text("{}")
    known = {
        **folders, "out": tmp_path / "out", "config": tmp_path / "config.json", "here": Path(__file__).parent,
        "run": demo.folder, "bundle": demo.folder / "bundle", "data": demo.data,
        "clip": demo.data / "eval-one-0.mkv",
    }  # fmt: skip
    given = [word.format_map(known) for word in shlex.split(command)]
    assert named.format_map(known) in refusal(*given)
    assert not known["out"].exists()
