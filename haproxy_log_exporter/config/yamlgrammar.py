"""Mistakes of YAML's grammar in plain words."""

_TAB = "a tab cannot indent; blanks can"
_INDENTATION = "this does not fit what is above it; is it indented rightly?"
_COLON = "a ':' cannot stand here; a value with ': ' in it needs quotes, and keys of one mapping stand in one column"
_BLOCK = "text that begins with | or > needs quotes, or a new line behind that"
_MISSING = "a value is missing here, or a bracket above is not closed"

# What libyaml and PyYAML's own parser say, whether the place is where the part began, and what it means.
_PROBLEMS = (
    ("found unexpected end of stream", True, "this quote is not closed"),
    ("unexpected document", True, "this quote is not closed"),
    ("unknown escape character", False, "this is no escape in double quotes; in single quotes a backslash is itself"),
    ("mapping values are not allowed", False, _COLON),
    ("found unexpected ':'", False, _COLON),
    ("sequence entries are not allowed", False, "a list cannot begin here; its '-' stand on lines of their own"),
    ("expected alphabetic or numeric character", True, "text that begins with * or & needs quotes"),
    ("expected comment or line break", True, _BLOCK),
    ("expected chomping or indentation indicators", True, _BLOCK),
    ("could not find expected ':'", True, "there is no ':' after this key"),
    ("expected ',' or ']'", True, "this [ is not closed, or has no comma between two of its items"),
    ("expected ',' or '}'", True, "this { is not closed, or has no comma between two of its entries"),
    ("tab character", False, _TAB),
    ("did not find expected key", False, _INDENTATION),
    ("did not find expected '-' indicator", False, _INDENTATION),
    ("expected <block end>", False, _INDENTATION),
    ("<document start>", False, _INDENTATION),
    ("expected node content", False, _MISSING),
    ("expected the node content", False, _MISSING),
    ("undefined tag handle", False, "this tag is not known; text that begins with ! needs quotes"),
)


def explain(said: str, character: str) -> tuple[str, bool]:
    """Tell what libyaml or PyYAML's own parser means; `character` is the one at the place that it tells.

    True with it, where the place is rather that at which the part began that could not be read.
    """
    if "cannot start any token" in said:
        return _TAB if character == "\t" else f"text that begins with {character} needs quotes", False
    for part, of_the_beginning, meaning in _PROBLEMS:
        if part in said:
            return meaning, of_the_beginning
    return f"this is no YAML: {said}", False
