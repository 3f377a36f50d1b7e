"""Names for the parameters of templates."""

import re
from collections.abc import Container

_WORD = re.compile(r"[A-Za-z][A-Za-z_-]*")
_NO_PLURAL = re.compile(r"(?:.{0,2}|.*(?:ss|us|is)|news|series|.*[^s])", re.IGNORECASE)
# An ending, and what takes its place in the singular.
_ENDINGS = (
    (re.compile(r"(?<=cach|hous|movi)es$|(?<=cooki)es$", re.IGNORECASE), "e"),
    (re.compile(r"(?<=..)ies$", re.IGNORECASE), "y"),
    (re.compile(r"(?<=ss|us|sh|ch|zz)es$|(?<=x)es$", re.IGNORECASE), ""),
    (re.compile(r"s$", re.IGNORECASE), ""),
)


def name_parameter(collection: str, used: Container[str]) -> str:
    """Name a member of a collection, as an order of "orders"; nothing where that names none, or the name is used."""
    if not _WORD.fullmatch(collection) or _NO_PLURAL.fullmatch(collection):
        return ""
    for ending, singular in _ENDINGS:
        if ending.search(collection):
            name = ending.sub(singular, collection)
            return "" if name in used else name
    return ""


def name_within(name: str, used: Container[str]) -> str:
    """Give a name that is not used: the same with a number, if it is."""
    number = 2
    unused = name
    while unused in used:
        unused = f"{name}{number}"
        number += 1
    return unused
