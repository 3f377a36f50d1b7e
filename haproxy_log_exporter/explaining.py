"""`explain`: a log-format, item by item."""

import json
from collections.abc import Sequence
from typing import Any

from haproxy_log_exporter.formats import find_formats
from haproxy_log_exporter.logformat.elements import Value, find_elements
from haproxy_log_exporter.logformat.fields import FIELDS, KINDS, Kind
from haproxy_log_exporter.logformat.tokens import Item, tokenize

_FIELDS = {field.name: field for field in reversed(FIELDS)}
_LITERAL: dict[str, Any] = {"alias": None, "field": None, "kind": None, "meaning": None, "label": None}
_COLUMNS = ("text", "field", "kind", "label", "example", "meaning")


def explain_formats(names: Sequence[str], *, as_json: bool) -> None:
    """Print each format, given as a string or by a preset's name, item by item.

    Raises:
        UsageError: with a caret under what cannot be read.
    """
    for each in find_formats(names, ()):
        explained = explain(each.source)
        if as_json:
            print(json.dumps(explained, ensure_ascii=False))
        else:
            print("\n".join(_lines(explained)))


def explain(source: str) -> dict[str, Any]:
    """Say of each item of a log-format what it prints: the contract's object."""
    items = tokenize(source)
    values = iter([element.value for element in find_elements(source, items) if element.value])
    return {"format": source, "items": [_value(next(values)) if item.name else _literal(item) for item in items]}


def _literal(item: Item) -> dict[str, Any]:
    return {"text": item.text, **_LITERAL}


def _value(value: Value) -> dict[str, Any]:
    fields = value.alias.fields
    main = next((name for name in fields if KINDS.get(name) is not Kind.FLAG), fields[0])
    known = _FIELDS.get(main)
    kind = known.kind if known else Kind.TEXT
    found: dict[str, Any] = {
        "text": value.item.written,
        "alias": value.item.name,
        "field": main,
        "kind": kind.value,
        "meaning": known.meaning if known else "what the sample gives",
        "label": value.label or (f"{main[:-1]}_1, …" if kind is Kind.LIST else main),
        "example": known.example if known else "",
    }
    if len(fields) > 1:
        found["fields"] = [*fields]
    if value.may_hold_stop(loose=True):
        found["note"] = f"may hold {value.stop.decode('latin-1')!r}: ends where what follows fits"
    return found


def _lines(explained: dict[str, Any]) -> list[str]:
    """Write a table, a line for each item that prints a value."""
    items = [item for item in explained["items"] if item["alias"] is not None]
    table = [[*_COLUMNS], *([str(item.get(column) or "") for column in _COLUMNS] for item in items)]
    widths = [max(map(len, texts)) for texts in zip(*table, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
    notes = [f"{item['text']}: {item['note']}" for item in items if "note" in item]
    more = [f"{item['text']}: fields {', '.join(item['fields'])}" for item in items if "fields" in item]
    return [explained["format"], "", *lines, *([""] if notes or more else []), *more, *notes, ""]
