"""`explain`: a log-format, item by item."""

import json
from collections.abc import Sequence
from typing import Any

from haproxy_log_exporter.formats import find_formats
from haproxy_log_exporter.logformat.aliases import COMPOSITES
from haproxy_log_exporter.logformat.elements import Value, find_elements
from haproxy_log_exporter.logformat.fields import FIELDS, Kind
from haproxy_log_exporter.logformat.tokens import read_items, tokenize
from haproxy_log_exporter.output import write_text

_FIELDS = {field.name: field for field in reversed(FIELDS)}
_ALIASES = {name: field for field in FIELDS for name in field.aliases}
_NOTHING: dict[str, Any] = {"alias": None, "field": None, "kind": None, "meaning": None, "label": None}
_COLUMNS = ("text", "field", "kind", "label", "example", "meaning")


def explain_formats(names: Sequence[str], *, as_json: bool) -> None:
    """Print each format, given as a string or by a preset's name, item by item.

    Raises:
        UsageError: with a caret under what cannot be read.
    """
    for each in find_formats(names, ()):
        explained = explain(each.source)
        write_text(json.dumps(explained, ensure_ascii=False) if as_json else "\n".join(_lines(explained)))


def explain(source: str) -> dict[str, Any]:
    """Say of each item of a log-format what it prints: the contract's object. The texts together are the format."""
    printed = [element.value for element in find_elements(source, tokenize(source)) if element.value]
    values = {value.item.position: value for value in printed}
    items: list[dict[str, Any]] = []
    for item in read_items(source):
        if item.name == "o":
            items.append({"text": item.written, **_NOTHING, "alias": "o", "meaning": "gives its flags to what follows"})
        elif item.name and item.position not in values:
            items.append(
                {"text": item.written, **_NOTHING, "alias": item.name, "meaning": "not printed: it has no name"}
            )
        elif item.name:
            items.append(_value(values[item.position]))
        elif items and items[-1]["alias"] is None:
            items[-1]["text"] += item.written
        else:
            items.append({"text": item.written, **_NOTHING})
    return {"format": source, "items": items}


def _value(value: Value) -> dict[str, Any]:
    fields = value.alias.fields
    main = value.alias.main_field
    known = _ALIASES.get(value.alias.name) or _FIELDS.get(main)
    kind = known.kind if known else Kind.TEXT
    found: dict[str, Any] = {
        "text": value.item.written,
        "alias": value.item.name,
        "field": main,
        "kind": kind.value,
        "meaning": known.meaning if known else "what the sample gives",
        "label": value.label or (f"{main[:-1]}_1, …" if kind is Kind.LIST else main),
        "example": _example(value, known.example if known else ""),
    }
    if len(fields) > 1:
        found["fields"] = [*fields]
    if value.notation.listed and not value.notation.quoted:
        found["note"] = "headers are divided at blanks: write +Q where they may hold some"
    elif value.may_hold_stop(loose=True):
        found["note"] = f"may hold {value.stop.decode('latin-1')!r}: ends where what follows fits"
    return found


def _example(value: Value, example: str) -> str:
    row = COMPOSITES.get(value.alias.name)
    return row.example if row and row.example else example


def _lines(explained: dict[str, Any]) -> list[str]:
    """Write a table, a line for each item that prints a value."""
    items = [item for item in explained["items"] if item["alias"] is not None]
    table = [[*_COLUMNS], *([str(item.get(column) or "") for column in _COLUMNS] for item in items)]
    widths = [max(map(len, texts)) for texts in zip(*table, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
    notes = [f"{item['text']}: {item['note']}" for item in items if "note" in item]
    more = [f"{item['text']}: fields {', '.join(item['fields'])}" for item in items if "fields" in item]
    return [explained["format"], "", *lines, *([""] if notes or more else []), *more, *notes, ""]
