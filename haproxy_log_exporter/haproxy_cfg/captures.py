"""The slots of captured headers, in the order in which HAProxy logs them.

Slots are numbered in the order in which the lines that make them stand in the file, whatever the kind of line, and an
heir's come after those of its defaults. (`nb_req_cap++` in src/cfgparse-listen.c, src/proxy.c, src/http_act.c and
src/tcp_rules.c.)
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from haproxy_log_exporter.haproxy_cfg.records import Captures

_HEADER = re.compile(r"""(?:req\.|res\.|s|)f?hdr\(\s*+["']?([^,)"']++)""", re.ASCII)
_CONDITION = ("if", "unless")


class Slot(NamedTuple):
    """One more slot of requests or responses."""

    side: str
    name: str


class Fill(NamedTuple):
    """A rule that writes into a slot that another line makes, perhaps a later one."""

    side: str
    number: int
    name: str


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots that a section has so far, and the rules that write into slots by number."""

    request: tuple[str, ...] = ()
    response: tuple[str, ...] = ()
    fills: tuple[Fill, ...] = ()

    def changed(self, change: Slot | Fill) -> "Slots":
        """Add a slot or a rule."""
        match change:
            case Slot(side="request", name=name):
                return replace(self, request=(*self.request, name))
            case Slot(name=name):
                return replace(self, response=(*self.response, name))
            case Fill():
                return replace(self, fills=(*self.fills, change))

    def named(self) -> Captures:
        """Give the names, those of rules where a slot has none of its own; of several rules the first counts."""
        sides = {"request": [*self.request], "response": [*self.response]}
        for side, number, name in self.fills:
            names = sides[side]
            if number < len(names):
                names[number] = names[number] or name
        return Captures(tuple(sides["request"]), tuple(sides["response"]))


def read_capture(words: Sequence[str]) -> Slot | Fill | None:
    """Read a line that may have to do with captures; None where it makes and fills no slot.

    Raises:
        ValueError: with what would be right.
    """
    match words:
        case ["capture", "request" | "response" as side, "header", name, "len", _, *_]:
            return Slot(side, label_part(name))
        case ["capture", "cookie", *_]:
            return None  # it is %CC and %CS, not a slot
        case ["capture", *_]:
            problem = "capture is: capture request header NAME len LENGTH, or with response"
            raise ValueError(problem)
        case ["declare", "capture", "request" | "response" as side, "len", _, *_]:
            return Slot(side, "")
        case ["declare", *_]:
            problem = "declare is: declare capture request len LENGTH, or with response"
            raise ValueError(problem)
        case ["http-request", "capture", *rule]:
            return _read_rule(rule, "request", ("len", "id"))
        case ["http-response" | "http-after-response", "capture", *rule]:
            return _read_rule(rule, "response", ("id",))
        case ["tcp-request", "content", "capture", *rule]:
            return _read_rule(rule, "request", ("len",))
    return None


def _read_rule(rule: list[str], side: str, known: tuple[str, ...]) -> Slot | Fill:
    """Rule = sample *converter ( "len" length / "id" slot ) [ ( "if" / "unless" ) condition ]."""
    end = next((at for at, word in enumerate(rule) if word in known + _CONDITION), len(rule))
    match rule[end:]:
        case ["len", _, *_] if end:
            return Slot(side, _sample_name(",".join(rule[:end])))
        case ["id", number, *_] if end and re.fullmatch("[0-9]{1,9}", number):
            return Fill(side, int(number), _sample_name(",".join(rule[:end])))
    ways = " or ".join(f"{word} {'LENGTH' if word == 'len' else 'SLOT'}" for word in known)
    problem = f"a capture rule is: capture SAMPLE {ways}, with the sample's blanks quoted"
    raise ValueError(problem)


def _sample_name(sample: str) -> str:
    """Name a sample: by its header, whatever becomes of that, or as it is written."""
    header = _HEADER.match(sample)
    return label_part(header[1] if header else sample)


def label_part(text: str) -> str:
    """Make a part of a label: letters and digits in lower case, all between them one underscore."""
    return re.sub("[^a-z0-9]+", "_", text.lower()).strip("_")
