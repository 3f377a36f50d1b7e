"""Series that are certain to come: what haproxy.cfg names is shown at 0, so that a first error is an increase."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product

from haproxy_log_exporter.haproxy_cfg import Route
from haproxy_log_exporter.labels.catalogue import Label, Reading
from haproxy_log_exporter.labels.rules import Rule, apply_rules
from haproxy_log_exporter.metrics.account import Account
from haproxy_log_exporter.metrics.totals import Table
from haproxy_log_exporter.stages import Counted

_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
_OF_ROUTES = ("frontend_name", "backend_name", "server_name")

Rules = Mapping[str, Sequence[Rule]]


def declare_routes(routes: Iterable[Route], counted: Iterable[Counted], rules: Rules, account: Account) -> int:
    """Let tables show the label sets of routes, where routes and status classes are all that these tell.

    What was shown so before, and is no more, goes first. They take half of the places at the most: tells how many label
    sets were left out.
    """
    routes, left_out = [*routes], 0
    certain = [row for row in counted if row.table.key == "traffic" and all(map(_is_certain, row.labels))]
    found = [(table, _find_label_sets(routes, table, rules)) for table, _ in certain]
    for table, label_sets in found:
        table.withdraw(label_sets, account.growing(table))
    account.admissions.retain(account.used_values())
    for table, label_sets in found:
        admissions = [account.admissions.of(name) for name in table.names]
        reserved = {
            values: kinds
            for values, kinds in label_sets.items()
            if all(admission.reserve(value) for admission, value in zip(admissions, values, strict=True))
        }
        left_out += len(label_sets) - len(reserved) + table.declare(reserved)
    return left_out


def _find_label_sets(routes: Iterable[Route], table: Table, rules: Rules) -> dict[tuple[str, ...], int]:
    """Give the label sets of routes, each with the kinds of lines that it is of."""
    found: dict[tuple[str, ...], int] = {}
    for route in routes:
        if route.kind in table.layout.kinds:
            for values in _label_sets(route, table.names, rules):
                found[values] = found.get(values, 0) | table.layout.line(route.kind)
    return found


def _is_certain(label: Label) -> bool:
    return label.reading is Reading.STATUS_CLASS or (label.name == label.field and label.field in _OF_ROUTES)


def _label_sets(route: Route, names: Sequence[str], rules: Rules) -> Iterator[tuple[str, ...]]:
    """Give the label sets of a route; none where rules drop its lines."""
    known = {"frontend_name": route.frontend, "backend_name": route.backend, "server_name": route.server}
    found = {name: apply_rules(rules.get(name, ()), value) for name, value in known.items()}
    if None in found.values():
        return
    classes = _CLASSES if route.kind == "http" else ("",)  # sessions have no status
    kept = [
        value for value in (apply_rules(rules.get("status_class", ()), each) for each in classes) if value is not None
    ]
    choices = ((kept if name == "status_class" else [found[name] or ""]) for name in names)
    yield from dict.fromkeys(product(*choices))
