import pytest

from haproxy_log_exporter.labels.naming import name_parameter, name_within


@pytest.mark.parametrize(
    ("collection", "name"),
    [
        ("users", "user"),
        ("orders", "order"),
        ("order-items", "order-item"),
        ("categories", "category"),
        ("addresses", "address"),
        ("statuses", "status"),
        ("boxes", "box"),
        ("branches", "branch"),
        ("caches", "cache"),
        ("movies", "movie"),
        ("courses", "course"),
        ("sizes", "size"),
        ("houses", "house"),
        ("bus", ""),
        ("news", ""),
        ("access", ""),
        ("analysis", ""),
        ("admin", ""),
        ("js", ""),
        ("", ""),
        ("{user}", ""),
        ("v2s", ""),
        ("*", ""),
    ],
)
def test_a_member_is_named_after_its_collection(collection: str, name: str) -> None:
    """The name is the singular of a plural; other words name none."""
    assert name_parameter(collection, ()) == name


def test_no_name_is_used_twice() -> None:
    """A name that is used is left, or has a number."""
    assert name_parameter("users", {"user"}) == ""
    assert name_within("id", {"user"}) == "id"
    assert name_within("id", {"id", "id2"}) == "id3"
