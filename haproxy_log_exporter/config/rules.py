"""Rules for labels in the configuration file."""

from haproxy_log_exporter.config.places import Mistakes, name_kind
from haproxy_log_exporter.config.yamltext import MappingNode, Node, SequenceNode
from haproxy_log_exporter.labels.rules import Action, Regex, Rule, read_match, read_replacement

_FORM = "- {match: REGEX, replace: TEXT}"
_KEYS = ("match", "replace", "action")
# What the same is called in Prometheus's relabelling.
_IN_PROMETHEUS = {"regex": "match", "replacement": "replace"}


def read_rules(node: Node, mistakes: Mistakes) -> tuple[Rule, ...]:
    """Rules = 1*( "-" rule )."""
    if not isinstance(node, SequenceNode):
        mistakes.tell(node, f"a label's rules are a list, not a {name_kind(node)}: {_FORM}")
        return ()
    read = (_read_rule(item, mistakes) for item in node.items)
    return tuple(rule for rule in read if rule is not None)


def _read_rule(node: Node, mistakes: Mistakes) -> Rule | None:
    """Rule = "match" regex ( "replace" text / "action" ( "keep" / "drop" ) )."""
    if not isinstance(node, MappingNode):
        mistakes.tell(node, f"a rule is a mapping, not a {name_kind(node)}: {_FORM}")
        return None
    given = _read_keys(node, mistakes)
    if len(given) == len(node.entries):
        if "match" not in given:
            mistakes.tell(node, f"this rule has no match: {_FORM}")
        if ("replace" in given) == ("action" in given):
            has = "has both replace and action" if "replace" in given else "has neither replace nor action"
            mistakes.tell(node, f"this rule {has}; it takes one of replace: TEXT, action: keep and action: drop")
    match = _read_match(given.get("match"), mistakes)
    action = _read_action(given.get("action"), mistakes)
    if action is not None:
        return Rule(match, action) if match else None
    return _read_replace(given.get("replace"), match, mistakes) if match else None


def _read_keys(node: MappingNode, mistakes: Mistakes) -> dict[str, Node]:
    """Read the values of a rule by key: those that are known, and have one."""
    given: dict[str, Node] = {}
    for key, value in node.entries:
        if key.text in _IN_PROMETHEUS:
            mistakes.tell(key, f"a rule has no {key.text!r}; it is {_IN_PROMETHEUS[key.text]!r}")
        elif key.text not in _KEYS:
            mistakes.tell_unknown(key, _KEYS, "a rule has no")
        elif mistakes.has_value(key, value, "; '' is the empty text"):
            given[key.text] = value
    return given


def _read_match(node: Node | None, mistakes: Mistakes) -> Regex | None:
    text = node and mistakes.text(node, "'match'")
    if not node or not text:
        return None
    try:
        return read_match(text.text)
    except ValueError as error:
        mistakes.tell(node, str(error))
        return None


def _read_action(node: Node | None, mistakes: Mistakes) -> Action | None:
    text = node and mistakes.text(node, "'action'")
    if not node or not text:
        return None
    if text.text not in (Action.KEEP.value, Action.DROP.value):
        hint = "; replace: TEXT is itself one" if text.text == Action.REPLACE.value else ""
        mistakes.tell(node, f"an action is keep or drop, not {text.text!r}{hint}")
        return None
    return Action(text.text)


def _read_replace(node: Node | None, match: Regex, mistakes: Mistakes) -> Rule | None:
    text = node and mistakes.text(node, "'replace'")
    if not node or not text:
        return None
    try:
        return Rule(match, Action.REPLACE, read_replacement(text.text, match))
    except ValueError as error:
        mistakes.tell(node, str(error))
        return None
