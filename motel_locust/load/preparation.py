"""Everything that can be wrong with a run, found before anything starts.

This happens on the master or the only process: when the command line was read, when the start form
is sent, and when a run begins. All that is wrong is told at once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from motel_locust.load import values
from motel_locust.load.collection import collection
from motel_locust.load.destination import settings_for
from motel_locust.load.recordings import Recording, read_recording, unfit_options
from motel_locust.load.run import Part
from motel_locust.load.run_options import OptionError, plain_values, run_options
from motel_locust.otlp.receiver_process import ReceiverError
from motel_locust.otlp.replayed import find_recording, recording_of
from motel_locust.otlp.resources import resource_attributes
from motel_locust.otlp.settings import SettingsError
from motel_locust.otlp.transports import check_reachable
from motel_locust.topology.conventions import read_conventions
from motel_locust.topology.diagnostics import TopologyError
from motel_locust.topology.reading import parse_topology
from motel_locust.topology.sources import read_source, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from motel_locust.load.user import TopologyUser
    from motel_locust.otlp.endpoints import Protocol
    from motel_locust.otlp.ledger import Signal
    from motel_locust.otlp.settings import Settings
    from motel_locust.topology.conventions import Conventions
    from motel_locust.topology.model import Topology
    from motel_locust.topology.reading import Reading
    from motel_locust.topology.sources import Source

NO_TOPOLOGY: Final = (
    "no topology: give --topology FILE or an http(s) URL, or set LOCUST_TOPOLOGY"
    " or the attribute topology of the user class"
)
NO_RECORDING: Final = (
    "no recording: give --recording FILE, or set LOCUST_RECORDING or the attribute recording of the"
    " user class"
)
NO_ENDPOINT: Final = (
    "no endpoint: a cluster over machines needs one that all of them can reach; give --host URL or"
    " set OTEL_EXPORTER_OTLP_ENDPOINT. The built-in receiver serves one machine only, standalone or"
    " with --processes"
)
SHOWN: Final = (
    '--host: what follows "?" may be secret, and the pages of Locust show all of it; send it as a'
    " header with --otlp-headers, or name the endpoint in OTEL_EXPORTER_OTLP_ENDPOINT"
)


WAITING: Final = "is it running? --wait-for-endpoint SECONDS waits for it"


class PreparationError(ValueError):
    """What stands in the way of a run, in words for the person who starts it."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run depends on besides its options."""

    user_classes: Sequence[type[TopologyUser]]
    hosts: Mapping[str, str]
    """What ``--host``, the form or the class itself says, by class; may be empty."""
    receiver: Callable[[Protocol], str] | None
    """Starts the built-in receiver if need be, returns its endpoint; None where it may not be."""
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Preparation:
    """A run that can begin."""

    parts: tuple[Part, ...]
    readings: Mapping[str, Reading | Recording]
    """The topologies and recordings, by the hash of their text."""
    options: Mapping[str, Any]
    environ: Mapping[str, str]

    def warnings(self) -> Iterator[str]:
        """Yield what a person should know of the run all the same."""
        signals = run_options(self.options).signals
        for reading in self.readings.values():
            yield from map(str, reading.warnings)
            if isinstance(reading, Recording):
                continue
            if "metrics" in signals and not _defines_metrics(reading.topology):
                yield (
                    f"{reading.source.name}: defines no metrics, so none of those that --signals"
                    " asks for will come"
                )


def _defines_metrics(topology: Topology) -> bool:
    return any(
        service.metrics or any(operation.metrics for operation in service.operations.values())
        for service in topology.services.values()
    )


def otel_variables() -> dict[str, str]:
    """Return the OTEL_ variables of this process: those of the whole run are its master's."""
    return {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}


@cache
def _standard_input() -> Source:
    """Return what standard input held; it can be read only once."""
    return read_source("-")


@cache
def _conventions(folder: str) -> Conventions:
    """Return what a folder holds, read once: a large one takes seconds."""
    return read_conventions(folder)


def _source(text: str) -> Source:
    return _standard_input() if text == "-" else read_source(text)


def prepare(given: Mapping[str, Any], around: Surroundings, *, partly: bool = False) -> Preparation:
    """Return the run that the options *given* describe; raise PreparationError.

    *partly* checks what is there and misses nothing: a topology and an endpoint may still come.
    """
    options = checked_options(given)
    preparing = _Preparing(options, around, partly=partly)
    parts = [preparing.draft(user_class) for user_class in around.user_classes]
    readings = preparing.read(parts)
    preparing.reach({part.endpoint for part in parts})
    if preparing.problems:
        raise PreparationError("\n".join(preparing.problems))
    return Preparation(
        tuple(preparing.finish(part, readings) for part in parts),
        {reading.source.sha256: reading for reading in readings.values()},
        options,
        around.environ,
    )


def unwritable(path: str) -> str:
    """Return why the file *path* cannot be written; empty if it seems that it can."""
    file = Path(path)
    if not file.parent.is_dir():
        return f"the folder of {path} does not exist"
    if file.is_dir():
        return f"{path} is a folder"
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        return f"{path} cannot be written: permission denied"
    return ""


def checked_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain values of our options among those *given*; raise PreparationError."""
    try:
        return plain_values(given)
    except OptionError as problem:
        raise PreparationError(str(problem)) from None


class _Preparing:
    """The steps of :func:`prepare`; each adds to ``problems`` and goes on."""

    def __init__(self, options: Mapping[str, Any], around: Surroundings, *, partly: bool) -> None:
        self.problems: list[str] = []
        self._options, self._around, self._partly = options, around, partly
        self._undecided: dict[str, Protocol] = {}

    def draft(self, user_class: type[TopologyUser]) -> Part:
        """Return what *user_class* asks for: by its own attributes, else by the options."""
        for attribute, parse in (
            ("rate", values.rate),
            ("arrivals", values.one_of("", *values.ARRIVALS)),
        ):
            try:
                parse(str(getattr(user_class, attribute)))
            except ValueError as problem:
                self.problems.append(f"{user_class.__name__}.{attribute}: {problem}")
        # Of ReplayUser only, which cannot be imported here: it registers those who call us.
        recording = getattr(user_class, "recording", None)
        replays = recording is not None
        return Part(
            user_class=user_class.__name__,
            source=(recording or self._options["recording"])
            if replays
            else (user_class.topology or self._options["topology"]),
            sha256="",
            endpoint=user_class.endpoint or self._around.hosts[user_class.__name__],
            rate=user_class.rate or self._options["rate"],
            arrivals=user_class.arrivals or self._options["arrivals"],
            replays=replays,
        )

    def read(self, parts: Sequence[Part]) -> dict[tuple[str, bool], Reading | Recording]:
        """Return the topologies and recordings, by source and by which of them was asked for."""
        readings: dict[tuple[str, bool], Reading | Recording] = {}
        try:
            conventions = _conventions(self._options["semconv"])
        except TopologyError as error:
            self.problems.append(str(error))
            return readings
        for source, replays in sorted({(part.source, part.replays) for part in parts}):
            if source:
                try:
                    readings[source, replays] = self._read(source, conventions, replays=replays)
                except TopologyError as error:
                    self.problems.append(str(error))
            elif not self._partly:
                self.problems.append(NO_RECORDING if replays else NO_TOPOLOGY)
        recordings = [isinstance(each, Recording) for each in readings.values()]
        if recordings:
            self.problems += unfit_options(self._options, recordings)
        return readings

    def _read(self, source: str, conventions: Conventions, *, replays: bool) -> Reading | Recording:
        if replays:
            recording = find_recording(source)
        else:
            reading = parse_topology(_source(source), conventions)
            if reading.topology.mode != "replay":
                return reading
            recording = recording_of(reading)
        return read_recording(recording, preserve_ids=self._options["preserve_ids"])

    def reach(self, endpoints: set[str]) -> None:
        """Find out what cannot be written or sent to, and which endpoints nobody named."""
        for flag, path in (
            ("--summary", self._options["summary"]),
            ("--cpu-profile", self._options["cpu_profile"]),
        ):
            if path and (problem := unwritable(path)):
                self.problems.append(f"{flag}: {problem}")
        signals = run_options(self._options).signals
        try:
            resource_attributes(self._around.environ)
            if "metrics" in signals:
                collection(self._options, self._around.environ)
        except SettingsError as problem:
            self.problems.append(str(problem))
        for endpoint in sorted(endpoints):
            try:
                settings = [self._settings(endpoint, signal) for signal in signals]
                shown = endpoint and endpoint in self._around.hosts.values()
                if shown and settings[0].endpoint.query:
                    raise SettingsError(SHOWN)
                self._reach(settings, endpoint)
            except SettingsError as problem:
                self.problems.append(str(problem))

    def _settings(self, endpoint: str, signal: Signal) -> Settings:
        return settings_for(endpoint, self._options, self._around.environ, signal)

    def _reach(self, settings: Sequence[Settings], endpoint: str) -> None:
        """Find out whether all signals can be sent as *settings* say; raise SettingsError."""
        nobodys = [each for each in settings if each.endpoint_is_default]
        if not nobodys:
            wait_s = self._options["wait_for_endpoint"]
            for each in settings:
                check_reachable(each, wait_s=wait_s, advice=WAITING)
        elif len(nobodys) < len(settings):
            left_out = " and ".join(each.signal for each in nobodys)
            raise SettingsError(
                f"no endpoint for {left_out}: give --host URL or set OTEL_EXPORTER_OTLP_ENDPOINT,"
                f" or OTEL_EXPORTER_OTLP_{nobodys[0].signal.upper()}_ENDPOINT"
            )
        elif len({each.protocol for each in settings}) > 1:
            raise SettingsError(
                "no endpoint: the built-in receiver can stand in where all signals have one"
                " protocol; give --otlp-protocol or --host URL"
            )
        elif self._around.receiver:
            self._undecided[endpoint] = settings[0].protocol
        elif not self._partly:
            raise SettingsError(NO_ENDPOINT)

    def finish(self, part: Part, readings: Mapping[tuple[str, bool], Reading | Recording]) -> Part:
        """Return *part* with what it runs, and the receiver where nothing else is named."""
        endpoint, built_in = part.endpoint, False
        if endpoint in self._undecided and self._around.receiver:
            built_in = True
            try:
                endpoint = self._around.receiver(self._undecided[endpoint])
            except ReceiverError as problem:
                raise PreparationError(str(problem)) from None
        reading = readings.get((part.source, part.replays))
        return replace(
            part,
            source=without_secrets(part.source),
            sha256=reading.source.sha256 if reading is not None else "",
            endpoint=endpoint,
            built_in=built_in,
            replays=isinstance(reading, Recording),
        )
