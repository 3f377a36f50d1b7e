"""Segments of paths that name one thing among many, and what is written in their place.

Strategy: one pass of `re` over the text of all paths for whole segments, and one for fingerprints within names. What
is written for a match is the name of the group that matched, for `attrgetter("lastgroup")` is the one function that
`sub` can call without a step of Python. A name cannot hold "{", so it is a letter that no normal path holds (those
are ASCII), for which the real text is put afterwards. No optional group is possessive: Python 3.11.2, which Debian 12
has, loses its place in those that hold several repeats.
"""

import re
from operator import attrgetter

# What stands behind a whole segment: its end, or an extension, as in 123.json or 123.tar.gz.
_END = r"(?=[/\n]|(?:\.[A-Za-z][A-Za-z0-9]{0,9}+){1,2}+[/\n])"

# RFC 9562, section 4.
_UUID = r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"
# Crockford's base 32 leaves I, L, O and U out; 26 of its digits hold 130 bits, of which a ULID has 128.
_ULID = r"[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}"
# Hashes, MongoDB's ObjectIds, traces.
_HEX = r"(?:0x)?[0-9A-Fa-f]{12,}+"


def _one_of(words: str) -> str:
    """Give an expression for one of some words, by the first letter, of which all but a few are out at once."""
    rests = {word[0]: [other[1:] for other in words.split() if other[0] == word[0]] for word in words.split()}
    return "(?:" + "|".join(f"{first}(?:{'|'.join(rest)})" for first, rest in rests.items()) + ")"


# Names in CamelCase, as of classes and methods, have words, short ones and acronyms; a random text has such letters in
# a row now and then, but is not made of them alone.
_SHORT = _one_of(
    "Ad Ai Al Am An Ap As At Ax Be Bi Bo Bpm Bpmn Btn By Cd Cdn Cfg Cmd Co Cpp Crm Csr Csrf Css Csv Ctl Ctrl Ctx Db"
    " De Dhcp Dms Dns Do Dr Dst El En Eu Ex Fmt Fn Ftp Gcp Ge Gi Go Grp Grpc Ha Hdfs He Hi Htm Html Http Https Id If"
    " Img In Io Ip Is It Jdbc Je Jo Jpg Jr Js Jvm Jwt Km Kms Kvm La Le Li Lo Mc Me Mgmt Mgr Mi Mr Ms Msg Mvc My Ne"
    " Nfc Nlp No Npm Nr Nth Nu Of Oh Ok On Or Os Ox Pc Pdf Php Pi Pkg Png Po Ppt Prng Prv Ptr Pwd Qa Rds Re Rgb Rpc"
    " Rss Rx Sdk Sftp Sms Smtp Sns So Sql Sqs Sr Src Srv Ssh Ssl Sso St Str Svg Svr Sync Tcp Tls Tmp To Tpl Ts Ttl"
    " Tv Tx Txt Ui Uk Un Up Us Vcs Vm Vpc Vpn Vs We Wsdl Xhtml Xi Xl Xls Xlsx Xml Xsd Xslt Xss Ya Yml Yo"
)
_SHORT_WORD = rf"(?=[A-Z][a-z])(?:[AEIOUY][a-z]{{2,}}+|{_SHORT}s?|[A-Z]s)(?![a-z])"
_WORD = (
    r"(?:[A-Z](?=[a-z]{0,5}[aeiouy])[a-z]{2,}+|[A-Z]{1,8}(?:(?![a-z])|(?=[A-Z][a-z]))"
    r"|(?<![0-9])(?=[a-z]{0,5}[aeiouy])[a-z]{2,}+|(?<![A-Za-z0-9])[a-z]{1,4}(?![a-z])"
    rf"|{_SHORT_WORD})"
)
# Numbers with what is counted, or with a word: 21st, 24h, 256gb, 3dviewer.
_NUMBER_OF = (
    r"[0-9]++(?:(?:[a-z]|st|nd|rd|th|p[tx]|[kgmt]b|[ckm]m|[hkm]g|m[ls]|[km]?hz|ft|bps|fps|js|rc)(?![a-z])"
    r"|(?=[a-z]{0,3}[aeiouy])[a-z]{3,}+)?"
)
# What is between "-" and "_" in a title: a word or a number, or one with the other behind it.
_SIMPLE = r"(?<![A-Za-z0-9])(?:[A-Z]?[a-z]*+[0-9]*+|[A-Z]++s?[0-9]*+|[0-9]++[a-z]{0,3})(?![A-Za-z0-9])"
_TWO_WORDS = (
    r"(?>[A-Za-z0-9_-]*?(?:[A-Z](?=[a-z]{0,2}[aeiouy])|(?<![A-Za-z0-9])(?=[a-z]{0,3}[aeiouy]))[a-z]{3,}+){2}"
    r"|[A-Za-z0-9_-]*?(?=[a-z]{0,4}[aeiouy])[a-z]{7}"
)
_THREE_SEPARATORS = r"(?:[A-Za-z0-9]{1,12}+[_-]++){3}"
_TITLE = (
    rf"(?:(?:{_SIMPLE}|[_-]++)++(?![A-Za-z0-9_-])"
    rf"|(?=(?:{_WORD}|{_NUMBER_OF}|[_-]++)++(?![A-Za-z0-9_-]))(?:{_THREE_SEPARATORS}|{_TWO_WORDS}))"
)
# Numbers within words, three times: no title has that, and to be sure is quicker than to look for words.
_SURELY = r"(?=(?:[A-Za-z_-]*+[0-9]++(?=[A-Za-z])){3})"
# RFC 4648, section 5: base 64 for URLs, padded or not; three with dots are a JWT (RFC 7515, section 7.1).
_BASE64 = (
    rf"(?=[A-Z0-9_-]*+[a-z])(?=[a-z0-9_-]*+[A-Z])(?=[A-Za-z0-9_-]{{20}})(?:{_SURELY}|(?!{_TITLE}))[A-Za-z0-9_-]++"
    r"(?:\.[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+)?(?:=|%3D){0,2}"
)
# ISO 8601: a month, a day, a week, an hour and on, in full and without separators; ":" and "+" may be encoded.
_TIME = (
    r"[T_][0-9]{2}(?:(?:%3A|:|-)?[0-9]{2}){0,2}(?:[.,][0-9]{1,9}+)?"
    r"(?:[Zz]|(?:%2B|[+-])[0-9]{2}(?:(?:%3A|:)?[0-9]{2})?)?"
)
_DATE = (
    rf"(?:[12][0-9]{{3}}-(?:W[0-5][0-9](?:-[1-7])?|[01][0-9](?:-[0-3][0-9](?:{_TIME})?)?)"
    rf"|[12][0-9]{{3}}[01][0-9][0-3][0-9]{_TIME})"
)
_NUMBER = r"[0-9]++"

# Each class of a whole segment: the letter that stands for it, what is written, and what it looks like.
_SEGMENTS = (
    ("À", "/{id}", _NUMBER),
    ("Á", "/{uuid}", _UUID),
    ("Â", "/{ulid}", _ULID),
    ("Ã", "/{date}", _DATE),
    ("Ä", "/{hex}", _HEX),
    ("Å", "/{token}", _BASE64),
)
# What is no number and no date is long. It holds a digit, for words, as "deadbeef", hold none, or else letters that are
# no hex, and a capital behind a small one.
_MIXED = r"(?=[A-Fa-f]*+[^/.\nA-Fa-f])[A-Z_-]*+(?:[a-z]++[_-][A-Z_-]*+)*+[a-z]++[A-Z]"
_MAY_BE = (
    r"(?=[a-z_-]*+[A-Z0-9])"
    rf"(?=[0-9]++[/.\n]|[0-9]{{4}}-|(?=[0-9A-Za-z_-]{{12}})(?:[A-Za-z_-]*+[0-9]|{_MIXED}))"
)
_SEGMENT = re.compile(
    rf"/{_MAY_BE}(?:{'|'.join(f'(?P<{letter}>{pattern}){_END}' for letter, _, pattern in _SEGMENTS)})"
)

# What bundlers write: the names that a fingerprint is part of.
_ASSETS = r"(?:[cm]?js|css|map|json|wasm|svg|png|jpe?g|gif|webp|avif|ico|woff2?|ttf|otf|eot|mp[34]|webm|txt|gz|br)"
_ASSET_END = rf"(?=(?:\.[A-Za-z][A-Za-z0-9]{{0,9}}+){{0,3}}\.{_ASSETS}[/\n])"
_SCRIPT_END = r"(?=(?:\.[A-Za-z][A-Za-z0-9]{0,9}+){0,2}\.(?:[cm]?js|css)[./\n])"
# webpack, Rails, Sprockets: hex with a letter behind a digit, for "abba1999" may be a word.
_HEX_PRINT = r"(?=[A-Fa-f]*+[0-9]++[A-Fa-f])[0-9A-Fa-f]{6,64}+"
# In the names of scripts and styles also digits alone or behind letters: no date, and no word with a number.
_DATE_PRINT = (
    r"(?:19|2[01])[0-9]{2}(?:0[1-9]|1[0-2])(?:[0-3][0-9])?[._-]|[0-9]{2}(?:0[1-9]|1[0-2])[0-3][0-9][._-]"
    r"|[0-3][0-9](?:0[1-9]|1[0-2])(?:(?:19|20)?[0-9]{2})[._-]"
)
_HEX_WORD = (
    r"(?i:abba|ace|add|ba[bd]e?|bead|bed|beef?|cab|cad|cafe|cede|dab|dad|dead|deaf|decade|deed|ebb|fab|face|facade|fade?"
    r"|fed|feed?|[bcdf]*+[ae][a-f]*+(?=(?:19[89]|20[0-3])[0-9]\.))[0-9]"
)
_SCRIPT_PRINT = (
    rf"(?=[A-Fa-f]*+[0-9])(?!{_DATE_PRINT}|{_HEX_WORD})(?:[0-9A-Fa-f]{{8}}|[0-9A-Fa-f]{{6}})(?![A-Za-z0-9_-])"
)
# Vite and Rollup: 8 of base 64; no words and numbers. So few letters look like words more often.
_WORD_OF_FEW = (
    rf"(?:[A-Z]?(?=[a-z]{{0,3}}[aeiouy])[a-z]{{2,}}+|{_SHORT_WORD}"
    r"|[A-Z]{2,6}(?=[A-Z][a-z])|[A-Z]{2,8}(?![a-z])|(?<![A-Za-z0-9])[a-z]{1,4}(?=[A-Z][a-z]|OS)"
    r"|(?<![A-Za-z0-9])[A-Za-z]?[0-9]++[A-Za-z]{0,2}(?![A-Za-z0-9]))"
)
_BASE64_PRINT = (
    r"(?=[A-Za-z0-9_-]{8}(?![A-Za-z0-9_-]))(?=[A-Z0-9_-]{0,7}+[a-z])(?=[a-z0-9_-]{0,7}+[A-Z])"
    rf"(?!(?:[_-]|{_WORD_OF_FEW})++[0-9]*+\.)[A-Za-z0-9_-]{{8}}"
)
_WITH_DIGIT = r"(?=[A-Za-z_-]{0,7}+[0-9])"
# esbuild, and so Angular: 8 of base 32 (RFC 4648, section 6), in the names of scripts and styles.
_BASE32_PRINT = rf"{_WITH_DIGIT}[A-Z2-7]{{8}}(?=\.(?:m?js|css)[.\n])"
_SEPARATORS = (("Æ", ".{hash}", r"\."), ("Ç", "-{hash}", "-"), ("È", "_{hash}", "_"))
_FINGERPRINT = re.compile(
    r"[._-](?=[a-z_-]{0,7}+[A-Z0-9])(?=[A-Za-z_-]{0,7}+[0-9]|[A-Za-z_-]{8}\.)"
    rf"(?:{'|'.join(f'(?P<{letter}>(?<={sep}))' for letter, _, sep in _SEPARATORS)})"
    rf"(?:(?:{_UUID}|{_HEX_PRINT}|{_WITH_DIGIT}{_BASE64_PRINT}|{_BASE32_PRINT}){_ASSET_END}"
    rf"|(?:{_SCRIPT_PRINT}|{_BASE64_PRINT}){_SCRIPT_END})"
)

_name_of_group = attrgetter("lastgroup")


def write_classes(paths: str) -> str:
    """Write classes for identifiers and fingerprints in normal paths, each of which has a newline behind it."""
    for pattern, classes in ((_SEGMENT, _SEGMENTS), (_FINGERPRINT, _SEPARATORS)):
        paths = pattern.sub(_name_of_group, paths)
        for letter, written, _ in classes:
            paths = paths.replace(letter, written)
    return paths
