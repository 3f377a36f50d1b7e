from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from random import Random
from time import process_time

import pytest

from haproxy_log_exporter.labels.identifiers import write_classes

UUID = "550e8400-e29b-41d4-a716-446655440000"
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


def write(path: str) -> str:
    """Write the classes of one path."""
    text = write_classes(f"{path}\n")
    assert text.endswith("\n")
    return text[:-1]


@pytest.mark.parametrize(
    ("segment", "written"),
    [
        ("0", "{id}"),
        ("123456789012345678901234567890", "{id}"),
        (UUID, "{uuid}"),
        (UUID.upper(), "{uuid}"),
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "{ulid}"),
        ("01arz3ndektsv4rrffq69g5fav", "{ulid}"),
        ("507f1f77bcf86cd799439011", "{hex}"),
        ("507F1F77BCF8", "{hex}"),
        (SHA256, "{hex}"),
        ("0x52908400098527886E0F7030069857D2E4169EE7", "{hex}"),
        ("dQw4w9WgXcQdQw4w9WgXcQ", "{token}"),
        ("45G46rnweHr-0ZmgfiJszP3dUyouUSjwtoSySGdue5I", "{token}"),
        ("yGKJfhcJ-wBVA-CQromQkA", "{token}"),
        ("WInREIfpbExjXYLqZYRRCQ", "{token}"),
        ("b_qA_OACBmIGjNJFkVgMZw", "{token}"),
        ("aB3dE5gH7-K9mN1pQ3_T==", "{token}"),
        ("aB3dE5gH7-K9mN1pQ3_T%3D", "{token}"),
        (JWT, "{token}"),
        ("2026-11-20", "{date}"),
        ("2026-11", "{date}"),
        ("2026-W47", "{date}"),
        ("2026-W47-5", "{date}"),
        ("2026-11-20T10:00:00Z", "{date}"),
        ("2026-11-20T10:00", "{date}"),
        ("2026-11-20T10%3A00%3A00.123456%2B02:00", "{date}"),
        ("2026-11-20T10:00:00-0500", "{date}"),
        ("20261120T100000Z", "{date}"),
    ],
)
@pytest.mark.parametrize("extension", ["", ".json", ".png", ".tar.gz"])
def test_a_segment_that_names_one_of_many_is_a_class(segment: str, written: str, extension: str) -> None:
    """It is, first, in between and last, and keeps its extension."""
    path = f"/{segment}{extension}/a/{segment}{extension}/{segment}{extension}"
    assert write(path) == path.replace(segment, written)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("app.3f9a1c.js", "app.{hash}.js"),
        ("main-4f8e2d1b.css", "main-{hash}.css"),
        ("chunk.3f9a1c2b.min.js", "chunk.{hash}.min.js"),
        ("app.3f9a1c2b.js.map", "app.{hash}.js.map"),
        ("app.3f9a1c2b.js.LICENSE.txt", "app.{hash}.js.LICENSE.txt"),
        ("2.3f9a1c2b.chunk.js", "2.{hash}.chunk.js"),
        ("index-BxyZ12_k.js", "index-{hash}.js"),
        ("index-B-yZ12_k.js", "index-{hash}.js"),
        ("logo_5d41402a.svg", "logo_{hash}.svg"),
        (f"application-{SHA256}.css", "application-{hash}.css"),
        ("chunk-QK7TZ2AB.js", "chunk-{hash}.js"),
        (f"avatar-{UUID}.png", "avatar-{hash}.png"),
        (f"app.3f9a1c.js/{UUID}", "app.{hash}.js/{uuid}"),
        ("a.3f9a1c.b2d5e1.js", "a.{hash}.{hash}.js"),
        ("my-best_app.3f9a1c2b.js", "my-best_app.{hash}.js"),
        ("index-_opRShMv.js", "index-{hash}.js"),
        ("index-K-VsIApP.css", "index-{hash}.css"),
        ("my-index-ndKZI-Fq.mjs.map", "my-index-{hash}.mjs.map"),
        ("app.ba896006.js", "app.{hash}.js"),
        ("app.cfcd2084.js", "app.{hash}.js"),
        ("main.02370361.chunk.js.map", "main.{hash}.chunk.js.map"),
        ("app-d48471.css", "app-{hash}.css"),
        ("app-328275.css", "app-{hash}.css"),
    ],
)
def test_fingerprints_in_names_are_a_class(name: str, written: str) -> None:
    """What a bundler writes into a name is left out, and the name stays."""
    assert write(f"/static/{name}") == f"/static/{written}"


@pytest.mark.parametrize(
    "segment",
    [
        "",
        "users",
        "jquery-3.6.0.min.js",
        "bootstrap.bundle.min.js",
        "v2",
        "v1.2.3",
        "3.11",
        "utf-8",
        "sha256",
        "mp3",
        "2fa",
        "my-great-article-about-2024-cats",
        "My-Great-Article-About-2024-Cats",
        "List_of_Super_Bowl_champions_2024",
        "Top-10-Things-To-Do-In-NYC-2024",
        "GetUsersByOrganizationV2",
        "com.example.UserServiceV2",
        "convertUtf8ToUtf16StringV2",
        "iphone-15-pro",
        "deadbeef",
        "facade",
        "deadbeeffacade",
        "HelloWorld2",
        "2026-11-20-what-is-new",
        "2026-11-",
        "-",
        "1-2",
        "photo-1024x768.jpg",
        "abba-abba1999.mp3",
        "photo-Summer22.jpg",
        "Google-Pixel-8a-128GB.png",
        "Michelin-Pilot-Sport-4S.png",
        "Raspberry-Pi-5-8GB.png",
        "app-Final-V3.js",
        "report-3f9a1c.docx",
        "main-deadbeef.js",
        "main-20261120.js",
        "{id}.json",
        "app.{hash}.js",
        "550e8400-e29b-41d4-a716-44665544000",
        "81ARZ3NDEKTSV4RRFFQ69G5FAV",
        "507f1f77bcf",
        "abcdefghijklmnopqrst",
        "h\u00e9",
    ],
)
def test_words_stay(segment: str) -> None:
    """What a person named stays as it is, with digits in it or not."""
    path = f"/{segment}/a/{segment}"
    assert write(path) == path


@pytest.mark.parametrize("segment", (Path(__file__).parent / "ordinary_segments.txt").read_text().split("\n")[:-1])
def test_ordinary_segments_stay(segment: str) -> None:
    """Titles, names of methods and products, versions, locales and files are no identifiers."""
    path = f"/{segment}/a/{segment}"
    assert write(path) == path


def _base64(number: int) -> Callable[[Random], str]:
    return lambda random: urlsafe_b64encode(random.randbytes(number)).decode().rstrip("=")


def _hex(number: int) -> Callable[[Random], str]:
    return lambda random: random.randbytes(number).hex()


@pytest.mark.parametrize(
    ("make", "path", "most"),
    [
        (_base64(16), "/reset/{}", 0.01),
        (_base64(20), "/reset/{}", 0.01),
        (_base64(24), "/reset/{}.json", 0.005),
        (_base64(32), "/reset/{}/confirm", 0.003),
        (_base64(64), "/reset/{}", 0.001),
        (_hex(4), "/static/app.{}.js", 0.003),
        (_hex(4), "/static/main.{}.chunk.js.map", 0.003),
        (_hex(3), "/static/app-{}.css", 0.015),
        (_base64(6), "/assets/index-{}.js", 0.08),
        (_base64(6), "/assets/my-index-{}.css", 0.08),
    ],
)
def test_few_random_identifiers_stay(make: Callable[[Random], str], path: str, most: float) -> None:
    """Of random identifiers, only those stay that look like words, which are few."""
    random = Random(20261120)
    paths = [path.format(make(random)) for _ in range(5000)]
    written = write_classes("\n".join([*paths, ""])).split("\n")[:-1]
    assert sum(before == after for before, after in zip(paths, written, strict=True)) <= most * len(paths)


def test_each_path_is_on_its_own() -> None:
    """Nothing reaches over the end of a line."""
    assert write_classes("/1\n/a\n/2/\n/\n/app-\n/3f9a1c.js\n") == "/{id}\n/a\n/{id}/\n/\n/app-\n/3f9a1c.js\n"


HOSTILE = [
    "/",
    "/1",
    "1",
    "-",
    "1-",
    "a1",
    "-1a",
    "-1aB",
    ".a",
    ".a1",
    "1.a",
    "-3f9a1c.a",
    "aB1",
    "aB1-_",
    "bcdfB1",
    "baaaB1",
    "a",
    "f1",
    "%3A",
    "2026-11-20T",
    "aB3dE5gH7jK9mN1pQ3sT.",
    "/aB3dE5gH7jK9mN1pQ3sT.aB3dE5gH.",
]


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("end", ["", "!", ".js!", "=!"])
def test_no_path_takes_long(piece: str, end: str) -> None:
    """Eight times the length takes some eight times as long, and 64 KiB take nothing that matters."""
    short, long = (f"/{piece * (size // len(piece))}{end}\n" for size in (8192, 65536))
    least = [min(_seconds(path) for _ in range(3)) for path in (short, long)]
    assert least[1] < 0.1
    assert least[1] < 32 * max(least[0], 1e-4)


def _seconds(path: str) -> float:
    began = process_time()
    write_classes(path)
    return process_time() - began
