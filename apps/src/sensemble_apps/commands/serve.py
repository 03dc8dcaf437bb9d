"""`sensemble serve`: the live page of a bundle on this machine's sensors, a replay, or those of browsers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from ssl import SSLContext

from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import SessionError
from sensemble_runtime.session.hotplug import Hotplug
from sensemble_runtime.session.scheduler import Policy
from sensemble_runtime.session.session import Session
from sensemble_sensors.devices.watcher import Watcher
from sensemble_sensors.media.dataset import Example, read_dataset
from sensemble_sensors.recording.reader import Recorded, RecordingReplay, is_recording
from sensemble_sensors.recording.replay import Replay

from sensemble_apps.console.output import remark, say, say_executors
from sensemble_apps.errors import Ended, InputError
from sensemble_apps.live.device_factory import finders, plug, returning
from sensemble_apps.live.sources import sensors
from sensemble_apps.serve import certificate, security
from sensemble_apps.serve.board import Board
from sensemble_apps.serve.controls import Controls
from sensemble_apps.serve.security import Access
from sensemble_apps.serve.server import Server, listen
from sensemble_apps.serve.switchboard import Switchboard
from sensemble_apps.serve_arguments import Serve


def main(arguments: Serve) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        InputError, BundleError, KeyFileError, BadDataError: an argument cannot be used.
    """
    _check(arguments)
    bundle = Bundle.open(arguments.bundle, trust=arguments.trust)
    say_executors(bundle.executors)
    with ExitStack() as stack:
        listening = listen(arguments.host, arguments.port)
        stack.callback(listening.close)
        session = stack.enter_context(_session(arguments, bundle))
        if arguments.rerun is not None:
            from sensemble_apps import rerun_file  # an extra

            stack.enter_context(rerun_file.written(arguments.rerun, bundle.manifest.labels, session))
        switchboard = Switchboard(session, bundle.specs)
        stack.callback(switchboard.stop_recording)
        example_at = stack.enter_context(_sources(arguments, bundle, session, switchboard))
        board = Board(bundle, switchboard, example_at)
        controls = Controls(board, switchboard, arguments.recordings)
        port = listening.getsockname()[1]
        access, tls, lines = _access(arguments, port)
        if arguments.mqtt is not None:
            from sensemble_apps.serve.mqtt import Publisher

            stack.enter_context(Publisher(arguments.mqtt, board))
        stack.enter_context(Server(listening, access, board, switchboard, controls, tls))
        for line in lines:
            say(line)
        try:
            for item in session.stream():
                board.add(item)
        except KeyboardInterrupt as stop:
            raise Ended(*stop.args) from None


def _check(arguments: Serve) -> None:
    devices = (*arguments.camera, *arguments.microphone, *arguments.captions)
    given = (bool(devices) or arguments.watch, arguments.media is not None, arguments.replay is not None)
    if sum(given) > 1:
        raise InputError(
            "give one of --replay FOLDER, --media FILE, and --camera, --microphone, --captions, --watch"
        )
    if arguments.split is not None and arguments.replay is None:
        raise InputError("--split: only for --replay; leave it out, or replay a dataset")
    if arguments.key is not None and arguments.certificate is None:
        raise InputError("--key: only for --certificate; leave it out, or name the certificate")


def _access(arguments: Serve, port: int) -> tuple[Access, SSLContext | None, list[str]]:
    """Return who may, the context of TLS, and the lines that say where the page is."""
    loopback = security.is_loopback(arguments.host)
    host = arguments.host
    if not loopback and host in ("0.0.0.0", "::"):  # noqa: S104 - asked for by the user
        host = certificate.address_of_this_machine()
    shown = f"[{host}]" if ":" in host else host
    if loopback and arguments.certificate is None:
        return Access(), None, [f"the live page: http://{shown}:{port}/ (Ctrl-C ends it)"]
    token = None if loopback else security.new_token()
    access = Access(secure=True, token=token, names=security.own_names() | {host.lower()})
    query = "" if token is None else f"?token={token}"
    address = f"https://{shown}:{port}/{query}"
    lines = [f"the live page: {address} (Ctrl-C ends it)"]
    if arguments.certificate is not None:
        tls = certificate.own_context(arguments.certificate, arguments.key)
    else:
        tls, fingerprint = certificate.self_signed([host, *sorted(access.names - {host}), "localhost"])
        lines += [f"a browser will warn once: its certificate's SHA-256 must be {fingerprint}"]
    return access, tls, [*lines, *([] if loopback else [certificate.qr_code(address).rstrip("\n")])]


@contextmanager
def _session(arguments: Serve, bundle: Bundle) -> Iterator[Session]:
    session = Session(bundle, policy=Policy(unfamiliar=arguments.unfamiliar), lasting=True)
    try:
        yield session
    finally:
        try:
            session.close()
        except SessionError as error:  # a sensor that does not stop changes nothing about how it ended
            remark(f"sensemble: {error}")


@contextmanager
def _sources(
    arguments: Serve, bundle: Bundle, session: Session, switchboard: Switchboard
) -> Iterator[Callable[[float], Example | None] | None]:
    """Attach what the arguments name; yield a function from a time to the example that was played then."""
    if arguments.replay is not None:
        player = _player(arguments.replay, arguments.split, bundle)
        for modality in player.modalities:
            switchboard.add(player.sensor(modality))
        with player:
            yield player.example_at
        return
    with sensors(arguments, bundle.specs) as found, ExitStack() as stack:
        for sensor in found:
            switchboard.add(sensor)
        unnamed = bundle.specs.keys() - {sensor.modality for sensor in found}
        search = [
            *returning(arguments.camera, arguments.captions),
            *(finders(unnamed) if arguments.watch else ()),
        ]
        if search:
            make = switchboard.maker(partial(plug, in_process=arguments.in_process))
            stack.enter_context(Watcher(search, Hotplug(session, make)))
        yield None


def _player(folder: Path, split: str | None, bundle: Bundle) -> Replay | RecordingReplay:
    recorded = is_recording(folder)
    dataset = read_dataset(folder)
    split = split or (None if recorded else "eval")
    examples = dataset.examples if split is None else dataset.split(split)
    if not examples:
        raise InputError(f"{folder}: no example in split {split}; --split takes another")
    if recorded:
        return RecordingReplay(Recorded(folder, examples, bundle.specs), bundle.specs)
    return Replay(examples, bundle.specs, repeated=True)
