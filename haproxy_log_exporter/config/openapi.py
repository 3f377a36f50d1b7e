"""Descriptions of an API, OpenAPI 3 or Swagger 2.0, to templates of paths: each path behind the base of each server."""

import json
import re
from collections.abc import Iterator
from itertools import chain, product
from math import prod
from urllib.parse import urljoin, urlsplit

from haproxy_log_exporter.config.places import Mistakes, name_kind
from haproxy_log_exporter.config.yamltext import Kind, MappingNode, Mistake, Node, ScalarNode, SequenceNode, read_yaml
from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.labels.templates import read_template

MOST_URLS = 1000  # that the variables of one server may make

_IN_YAML = re.compile(r"""^(["']?)(?:openapi|swagger)\1[ \t]*+:""", re.MULTILINE)
_IN_JSON = re.compile(r'"(?:openapi|swagger)"\s*+:')
_VARIABLE = re.compile(r"\{([^{}]*+)\}")
_QUERY = re.compile(r"[?#].*+", re.DOTALL)
# A host without its scheme would be a relative path: api.example.com/v1.
_BARE_HOST = re.compile(r"(?!\.+(?:/|$))[^/]*[.:][^/]*(?:/|$)")

# OpenAPI 3.1, section 4.8.9.1.
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def looks_like_openapi(text: str) -> bool:
    """Tell a description from a file of templates, one a line."""
    text = text.removeprefix("\ufeff")
    return bool((_IN_JSON if _is_json(text) else _IN_YAML).search(text))


def read_openapi(text: str, path: str) -> list[str]:
    """Read the templates of a description in YAML or JSON, in its order, each once.

    Raises:
        UsageError: with every mistake as PATH:LINE:COLUMN: PROBLEM.
    """
    text = text.removeprefix("\ufeff")
    tree, found = _read_json(text) if _is_json(text) else read_yaml(text)
    templates, messages = _read_tree(tree, found, path)
    if messages and not found and _is_json(text):
        # The json module tells no places; nearly all of JSON is YAML, which is slower to read and has them.
        tree, found = read_yaml(text)
        messages = messages if found else _read_tree(tree, found, path)[1]
    if messages:
        raise UsageError(*messages)
    return templates


def _is_json(text: str) -> bool:
    return text.lstrip().startswith("{")


def _read_tree(tree: Node, found: list[Mistake], path: str) -> tuple[list[str], list[str]]:
    mistakes = Mistakes(path, found)
    is_lost = bool(found) and isinstance(tree, MappingNode) and not tree.entries
    templates = [] if is_lost else [*dict.fromkeys(_Document(mistakes).read(tree))]
    return templates, mistakes.messages()


class _Document:
    """Reads a description."""

    def __init__(self, mistakes: Mistakes) -> None:
        self._mistakes = mistakes
        self._has_servers = True

    def read(self, tree: Node) -> Iterator[str]:
        """Give each path behind each base."""
        if not isinstance(tree, MappingNode):
            self._mistakes.tell(tree, f"a description of an API is a mapping, not a {name_kind(tree)}")
            return
        bases = self._read_version(tree)
        paths = tree.get("paths")
        if not isinstance(paths, MappingNode) or not paths.entries:
            self._mistakes.tell(paths or tree, "there are no paths: they are a mapping, as /users/{id}: {get: …}")
            return
        for key, item in paths.entries:
            if key.text.startswith("x-"):
                continue
            try:
                template = read_template(_QUERY.sub("", key.text), any_name=True)
            except ValueError as error:
                self._mistakes.tell(key, str(error))
                continue
            for base in self._bases_of(item, bases):
                yield base + template

    def _read_version(self, tree: MappingNode) -> list[str]:
        """Check which version it is; give the bases of the whole document."""
        if (version := tree.get("openapi")) is not None:
            self._check_version(version, "openapi", r"3\.[0-9]+(\.[0-9]+.*)?")
            return self._servers(tree.get("servers")) or [""]
        self._has_servers = False
        if (version := tree.get("swagger")) is None:
            self._mistakes.tell(tree, "this says neither openapi: 3.x nor swagger: '2.0'")
            return [""]
        self._check_version(version, "swagger", r"2(\.0)?")
        base = tree.get("basePath")
        text = base and self._mistakes.text(base, "'basePath'")
        if not base or not text:
            return [""]
        if not text.text.startswith("/"):
            self._mistakes.tell(base, f"{text.text!r} is no base path; it is /PATH")
            return [""]
        return self._checked([text.text.rstrip("/")], base)

    def _check_version(self, version: Node, name: str, known: str) -> None:
        text = self._mistakes.text(version, repr(name))
        if text and not re.fullmatch(known, text.text):
            self._mistakes.tell(version, f"{name} {text.text!r} is not known; openapi 3.x and swagger 2.0 are")

    def _bases_of(self, item: Node, bases: list[str]) -> list[str]:
        """Give the bases of a path: those of its own servers or its operations' come before the document's."""
        if isinstance(item, ScalarNode) and item.kind is Kind.NULL:
            return bases
        if not isinstance(item, MappingNode):
            self._mistakes.tell(item, f"a path is a mapping of its operations, not a {name_kind(item)}")
            return []
        if not self._has_servers:
            return bases
        bases = self._servers(item.get("servers")) or bases
        operations = [node for method in _METHODS if isinstance(node := item.get(method), MappingNode)]
        own = [self._servers(operation.get("servers")) or bases for operation in operations]
        return [*dict.fromkeys(chain.from_iterable(own))] or bases

    # --- Servers ------------------------------------------------------------------------------------------------------

    def _servers(self, node: Node | None) -> list[str]:
        """Give the bases of servers; none where none are named."""
        if node is None or (isinstance(node, ScalarNode) and node.kind is Kind.NULL):
            return []
        if not isinstance(node, SequenceNode):
            self._mistakes.tell(
                node, f"'servers' are a list, not a {name_kind(node)}: - url: https://api.example.com/v1"
            )
            return []
        return [*dict.fromkeys(chain.from_iterable(map(self._server, node.items)))]

    def _server(self, node: Node) -> list[str]:
        url = node.get("url") if isinstance(node, MappingNode) else None
        if url is None or not isinstance(node, MappingNode):
            self._mistakes.tell(node, "a server has a url, as - url: https://api.example.com/v1")
            return []
        text = self._mistakes.text(url, "'url'")
        if text is None:
            return []
        pieces = _VARIABLE.split(text.text)  # texts and names in turn
        values = {name: self._values(name, node.get("variables"), url) for name in pieces[1::2]}
        if prod(map(len, values.values())) > MOST_URLS:
            self._mistakes.tell(url, f"the variables of this server make more than {MOST_URLS} URLs")
            return []
        bases: dict[str, None] = {}
        for chosen in product(*values.values()):
            filled = dict(zip(values, chosen, strict=True))
            written = "".join(filled[piece] if place % 2 else piece for place, piece in enumerate(pieces))
            if (base := self._base(written, url)) is not None:
                bases[base] = None
        return self._checked([*bases], url)

    def _values(self, name: str, variables: Node | None, url: Node) -> list[str]:
        """Give what a variable of a server's URL may be: its default, then the others."""
        variable = variables.get(name) if isinstance(variables, MappingNode) else None
        values: list[str] = []
        if isinstance(variable, MappingNode):
            if default := variable.get("default"):
                values += [text.text for text in self._mistakes.texts(default, f"'default' of {name!r}")]
            if others := variable.get("enum"):
                values += [text.text for text in self._mistakes.texts(others, f"'enum' of {name!r}")]
        if not values:
            self._mistakes.tell(url, f"{{{name}}} has no default in this server's variables")
        return [*dict.fromkeys(values)]

    def _base(self, url: str, node: Node) -> str | None:
        """Give the path of a URL, without its last slash."""
        try:
            path = urlsplit(urljoin("http://localhost/", url)).path
        except ValueError:
            path = url
        if ("://" not in url and _BARE_HOST.match(url)) or (path and not path.startswith("/")):
            self._mistakes.tell(node, f"{url!r} is no server's URL; it is https://HOST/PATH or /PATH")
            return None
        return path.rstrip("/")

    def _checked(self, bases: list[str], node: Node) -> list[str]:
        checked = []
        for base in bases:
            try:
                checked.append(read_template(f"{base}/x").removesuffix("/x"))
            except ValueError as error:
                self._mistakes.tell(node, str(error))
        return checked


# --- JSON -------------------------------------------------------------------------------------------------------------

# All that is looked at; below `paths` and `variables` any name is.
_KEYS = {"openapi", "swagger", "basePath", "paths", "servers", "url", "variables", "default", "enum", *_METHODS}
_NAMED = ("paths", "variables")
_DEEPEST = 12  # paths, path, operation, servers, server, variables, variable, enum, value: with two to spare


def _read_json(text: str) -> tuple[Node, list[Mistake]]:
    """Read a text as `read_yaml` does, but only what is looked at, and without places."""
    lost = MappingNode((), 1, 1)
    try:
        document = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except json.JSONDecodeError as error:
        return lost, [Mistake(error.lineno, error.colno, f"this is no JSON: {error.msg[:1].lower()}{error.msg[1:]}")]
    except RecursionError:
        return lost, [Mistake(1, 1, "this is nested too deeply")]
    return _make_node(document, _DEEPEST, is_named=False), []


def _make_node(value: object, levels: int, *, is_named: bool) -> Node:
    match value:
        case dict() if levels:
            entries = (
                (ScalarNode(key, Kind.TEXT, 1, 1), _make_node(below, levels - 1, is_named=key in _NAMED))
                for key, below in value.items()
                if is_named or key in _KEYS
            )
            return MappingNode(tuple(entries), 1, 1)
        case list() if levels:
            return SequenceNode(tuple(_make_node(item, levels - 1, is_named=False) for item in value), 1, 1)
        case None:
            return ScalarNode("null", Kind.NULL, 1, 1)
        case bool():
            return ScalarNode(str(value).lower(), Kind.BOOLEAN, 1, 1)
        case _:
            return ScalarNode(str(value) if levels else "", Kind.TEXT, 1, 1)
