import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from haproxy_log_exporter.config.openapi import looks_like_openapi, read_openapi
from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.labels.templates import Templates

FIXTURES = Path(__file__).parents[2] / "fixtures" / "openapi"
PATHS = "paths: {/a: {get: {}}}"


def problems(text: str) -> list[str]:
    """Read a description that is wrong."""
    with pytest.raises(UsageError) as caught:
        read_openapi(text, "a.yml")
    return [message.removeprefix("a.yml:") for message in caught.value.messages]


def document(**parts: Any) -> str:
    """Write a description in JSON."""
    return json.dumps({"openapi": "3.1.0", "paths": {"/a": {"get": {}}}, **parts})


# --- The two of the fixtures ------------------------------------------------------------------------------------------


def examples(name: str, bases: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Give each example of a description, and its template: the path behind the base that it begins with."""
    text = (FIXTURES / name).read_text()
    parsed = json.loads(text) if name.endswith(".json") else yaml.load(text, Loader=yaml.CSafeLoader)
    for path, item in parsed["paths"].items():
        assert item["x-examples"]
        own = [server["url"] for server in item.get("servers", ())]
        for example in item["x-examples"]:
            (base,) = [base for base in bases["".join(own)] if example.startswith(f"{base}/")]
            yield example, base + path.partition("?")[0]


SHOP = {"": ["/v1", "/v2"], "/": [""], "https://internal.shop.example/admin/": ["/admin"]}
STORAGE = {"": ["/storage/api/v2"]}


@pytest.mark.parametrize(("name", "bases", "least"), [("shop.yaml", SHOP, 500), ("storage.json", STORAGE, 25)])
def test_the_examples_of_each_path_land_on_it(name: str, bases: dict[str, list[str]], least: int) -> None:
    """Though many paths fit several templates."""
    templates = Templates(read_openapi((FIXTURES / name).read_text(), name))
    wanted = dict(examples(name, bases))
    assert len(wanted) >= least
    assert {example: templates.match(example) for example in wanted} == wanted


def test_a_path_is_there_behind_each_base() -> None:
    """In the order of the description, each once."""
    found = read_openapi((FIXTURES / "shop.yaml").read_text(), "shop.yaml")
    assert found[:4] == ["/v1/users", "/v2/users", "/v1/users/{user}", "/v2/users/{user}"]
    assert found[-1] == "/admin/flags/{name}"
    assert len(found) == len({*found}) > 600
    assert "/v1/health" not in found
    found = read_openapi((FIXTURES / "storage.json").read_text(), "storage.json")
    assert found[0] == "/storage/api/v2/buckets"
    assert "/storage/api/v2/search" in found
    assert len(found) == 26


def test_yaml_and_json_are_read_alike() -> None:
    """A description says the same in both."""
    text = (FIXTURES / "shop.yaml").read_text()
    as_json = json.dumps(yaml.load(text, Loader=yaml.CSafeLoader))
    assert read_openapi(as_json, "shop.json") == read_openapi(text, "shop.yaml")


# --- Bases ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://api.example.com/v1", "/v1"),
        ("https://api.example.com/v1/", "/v1"),
        ("https://api.example.com", ""),
        ("https://api.example.com:8443/", ""),
        ("http://[::1]:80/v1", "/v1"),
        ("wss://api.example.com/live", "/live"),
        ("//api.example.com/v1", "/v1"),
        ("https://api.example.com/a/b?x=y#z", "/a/b"),
        ("/v1", "/v1"),
        ("/", ""),
        ("", ""),
        ("./", ""),
        (".", ""),
        ("../v1", "/v1"),
        ("v1", "/v1"),
        ("/a/../v1", "/v1"),
    ],
)
def test_a_base_is_the_path_of_a_servers_url(url: str, base: str) -> None:
    """Absolute or relative, and without its last slash."""
    assert read_openapi(document(servers=[{"url": url}]), "a.json") == [f"{base}/a"]


@pytest.mark.parametrize("servers", [None, []])
def test_without_servers_the_base_is_the_root(servers: object) -> None:
    """As OpenAPI has it."""
    assert read_openapi(document(servers=servers), "a.json") == ["/a"]
    assert read_openapi(document(), "a.json") == ["/a"]


def test_variables_are_all_that_they_may_be() -> None:
    """The default first; those of the host alone make no other base."""
    server = {
        "url": "{scheme}://{host}.example.com/{base}/{version}",
        "variables": {
            "scheme": {"default": "https", "enum": ["http", "https"]},
            "host": {"default": "a", "enum": ["a", "b", "c"]},
            "base": {"default": "api"},
            "version": {"default": 2, "enum": [1, 2]},
        },
    }
    assert read_openapi(document(servers=[server]), "a.json") == ["/api/2/a", "/api/1/a"]


def test_servers_of_a_path_or_an_operation_come_before_those_of_the_document() -> None:
    """An operation without any has those of its path."""
    text = """
openapi: 3.0.3
servers: [{url: /v1}]
paths:
  /a: {get: {}}
  /b: {servers: [{url: /v2}, {url: /v3}], get: {}}
  /c: {get: {}, put: {servers: [{url: /up}]}}
  /d: {servers: [{url: /v2}], get: {servers: [{url: /up}]}}
  /e: {servers: [{url: /v2}]}
  /f:
  x-note: nothing
"""
    assert read_openapi(text, "a.yml") == ["/v1/a", "/v2/b", "/v3/b", "/v1/c", "/up/c", "/up/d", "/v2/e", "/v1/f"]


def test_swagger_has_one_base() -> None:
    """Or none; servers say nothing in it."""
    assert read_openapi(f"swagger: '2.0'\nbasePath: /v1/\n{PATHS}", "a.yml") == ["/v1/a"]
    assert read_openapi(f"swagger: 2.0\nbasePath: /\n{PATHS}", "a.yml") == ["/a"]
    text = "swagger: '2.0'\nservers: [{url: /v1}]\npaths: {/a: {servers: [{url: /v2}], get: {servers: x}}}"
    assert read_openapi(text, "a.yml") == ["/a"]


def test_a_query_in_a_path_is_left_out() -> None:
    """Some write one, and templates have none."""
    assert read_openapi("openapi: 3.0.0\npaths: {'/a?x={x}': , '/a?y={y}': , '/b#c': }", "a.yml") == ["/a", "/b"]


def test_what_else_is_in_a_description_does_not_matter() -> None:
    """Neither what it holds, nor how deep."""
    for open_, close in (('{"get":', "}"), ("[", "]")):
        deep = f"{open_ * 600}null{close * 600}"
        text = document(get="DEEP", components="DEEP", tags=[{"name": 1.5}]).replace('"DEEP"', deep)
        assert read_openapi(text, "a.json") == ["/a"]
    assert read_openapi(document(get="BIG").replace('"BIG"', "9" * 9999), "a.json") == ["/a"]


# --- Mistakes ---------------------------------------------------------------------------------------------------------

NO_SERVER = "is no server's URL; it is https://HOST/PATH or /PATH"
NO_PATHS = "there are no paths: they are a mapping, as /users/{id}: {get: …}"

BROKEN: dict[str, list[str]] = {
    "[a]": ["1:1: a description of an API is a mapping, not a list"],
    "/a\n/b": ["1:1: a description of an API is a mapping, not a value"],
    PATHS: ["1:1: this says neither openapi: 3.x nor swagger: '2.0'"],
    f"openapi: 4.0.0\n{PATHS}": ["1:10: openapi '4.0.0' is not known; openapi 3.x and swagger 2.0 are"],
    f"swagger: '1.2'\n{PATHS}": ["1:10: swagger '1.2' is not known; openapi 3.x and swagger 2.0 are"],
    f"openapi: [3]\n{PATHS}": ["1:10: 'openapi' takes one value, not a list"],
    "openapi: 3.0.0": [f"1:1: {NO_PATHS}"],
    "openapi: 3.0.0\npaths:": [f"2:7: {NO_PATHS}"],
    "openapi: 3.0.0\npaths: {}": [f"2:8: {NO_PATHS}"],
    "openapi: 3.0.0\npaths: [/a]": [f"2:8: {NO_PATHS}"],
    "openapi: 3.0.0\npaths:\n  a: {}\n  /b: {}\n  '/{c': {}\n  /d: [x]\n  /e: x\n": [
        "3:3: a template begins with '/', as /a",
        "5:3: '{c': a parameter is a name in braces within one segment, as {id}",
        "6:7: a path is a mapping of its operations, not a list",
        "7:7: a path is a mapping of its operations, not a value",
    ],
    f"openapi: 3.0.0\nservers: /v1\n{PATHS}": [
        "2:10: 'servers' are a list, not a value: - url: https://api.example.com/v1",
    ],
    f"openapi: 3.0.0\nservers: [/v1, {{name: x}}, {{url: }}]\n{PATHS}": [
        "2:11: a server has a url, as - url: https://api.example.com/v1",
        "2:16: a server has a url, as - url: https://api.example.com/v1",
        "2:33: 'url' has no value",
    ],
    f"openapi: 3.0.0\nservers:\n- url: api.example.com/v1\n- url: localhost:80/v1\n- url: 'http://[x/'\n{PATHS}": [
        f"3:8: 'api.example.com/v1' {NO_SERVER}",
        f"4:8: 'localhost:80/v1' {NO_SERVER}",
        f"5:8: 'http://[x/' {NO_SERVER}",
    ],
    f"openapi: 3.0.0\nservers:\n- url: '/{{a}}/{{b}}'\n  variables: {{a: {{enum: []}}}}\n{PATHS}": [
        "3:8: {a} has no default in this server's variables",
        "3:8: {b} has no default in this server's variables",
    ],
    f"openapi: 3.0.0\nservers:\n- url: '/{{a}}'\n  variables: {{a: {{default: [[x]], enum: {{b: c}}}}}}\n{PATHS}": [
        "3:8: {a} has no default in this server's variables",
        "4:29: 'default' of 'a' takes one value, not a list",
        "4:41: 'enum' of 'a' takes a value or a list of values, not a mapping",
    ],
    f"openapi: 3.0.0\nservers: [{{url: '/a b'}}]\n{PATHS}": ["2:17: a template has no blank in it: write %20"],
    f"swagger: '2.0'\nbasePath: v1\n{PATHS}": ["2:11: 'v1' is no base path; it is /PATH"],
    f"swagger: '2.0'\nbasePath: [v1]\n{PATHS}": ["2:11: 'basePath' takes one value, not a list"],
    "openapi: 3.0.0\npaths:\n  /a: {}\n  /a: {}\n  b: {}\n": [
        "4:3: '/a' is here a second time; the first is in line 3",
        "5:3: a template begins with '/', as /b",
    ],
    "openapi: 3.0.0\npaths: {/a: [}": ["2:14: a value is missing here, or a bracket above is not closed"],
    '{"openapi": "3.0.0",\n "paths": x}': ["2:11: this is no JSON: expecting value"],
    '{"openapi": "3.0.0"}{': ["1:21: this is no JSON: extra data"],
    '{"openapi": ': ["1:13: this is no JSON: expecting value"],
    "{" * 100_000: ["1:2: this is no JSON: expecting property name enclosed in double quotes"],
    '{"a":' * 100_000: ["1:1: this is nested too deeply"],
    '{\n\t"openapi": "3.0.0",\n\t"paths": {\n\t\t"/a": {},\n\t\t"b": {},\n\t\t"c": {}\n\t}\n}': [
        "5:3: a template begins with '/', as /b",
        "6:3: a template begins with '/', as /c",
    ],
    # YAML 1.1 has no \\ud83d: then there is no place.
    '{"openapi": "3.0.0", "info": "\\ud83d\\ude00", "paths": {"b": {}}}': [
        "1:1: a template begins with '/', as /b",
    ],
}


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:60])
def test_a_mistake_is_told_with_its_place(text: str) -> None:
    """All that there are, in the order of the text."""
    assert problems(text) == BROKEN[text]


@pytest.mark.timeout(20)
def test_the_variables_of_a_server_are_bounded() -> None:
    """Before their product is made."""
    values = [f"v{number}" for number in range(100)]
    names = "abcdefgh"
    server = {
        "url": "/" + "/".join(f"{{{name}}}" for name in names),
        "variables": {name: {"default": "v0", "enum": values} for name in names},
    }
    told = problems(document(servers=[server]))
    assert [message.partition(": ")[2] for message in told] == ["the variables of this server make more than 1000 URLs"]


# --- Whether it is one ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "openapi: 3.0.0\npaths:\n",
        "# An API\n---\ninfo: {}\nopenapi: 3.1.0\n",
        "swagger: '2.0'\n",
        "'swagger' : '2.0'\n",
        '"openapi": 3.0.0\n',
        "\ufeffopenapi: 3.0.0\n",
        "info: x\r\nopenapi: 3.0.0\r\n",
        '{"openapi": "3.0.0"}',
        '\n {\n  "info": {},\n  "swagger" : "2.0"\n}',
        '\ufeff{"openapi": "3.0.0"}',
    ],
)
def test_a_description_is_told_by_its_first_key(text: str) -> None:
    """Wherever it stands."""
    assert looks_like_openapi(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/users/{id}\n/orders\n",
        "# openapi: not this\n/a\n",
        "/openapi:\n",
        "/a # openapi: b",
        "{id}/openapi: 3\n",
        "{}",
    ],
)
def test_templates_are_no_description(text: str) -> None:
    """Though they may speak of one."""
    assert not looks_like_openapi(text)


# --- Whatever is written ----------------------------------------------------------------------------------------------

_WORDS = st.sampled_from(
    [
        "openapi",
        "swagger",
        "paths",
        "servers",
        "url",
        "variables",
        "default",
        "enum",
        "basePath",
        "get",
        "/a",
        "/{a}",
        "a",
    ]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.sampled_from(["3.0.0", "2.0", "/v1", "{a}", "http://[", "/a b", "\x00"]) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=5),
    max_leaves=20,
)


def read_or_tell(text: str) -> list[str] | tuple[str, ...]:
    """Give the templates, or the mistakes."""
    try:
        return read_openapi(text, "a")
    except UsageError as error:
        return error.messages


@given(st.dictionaries(_WORDS, _VALUES).map(lambda rest: {"openapi": "3.0.0", **rest}))
def test_any_description_is_read_or_told(parts: dict[str, object]) -> None:
    """Never another exception, and in JSON as in YAML."""
    found = read_or_tell(json.dumps(parts))
    if isinstance(found, list):
        assert found == read_or_tell(yaml.safe_dump(parts))
    else:
        assert not isinstance(read_or_tell(yaml.safe_dump(parts)), list)


@given(st.text() | st.text(alphabet='{}[]":,ab\n').map(lambda rest: "{" + rest))
def test_any_text_is_read_or_told(text: str) -> None:
    """Never another exception."""
    read_or_tell(text)
    looks_like_openapi(text)
