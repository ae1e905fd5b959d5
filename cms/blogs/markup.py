"""What may be left of HTML that somebody wrote: no script, no style, addresses only of http, https and mailto."""

from __future__ import annotations

import re
from functools import cache

import nh3

HEADING = re.compile(r"<(/?)h([1-6])(?=[\s/>])", re.IGNORECASE)
# The look-ahead is bounded: unbounded, a body of many `<img` without an end would take quadratic time.
PICTURE_WITHOUT_ALT = re.compile(r"<img(?=[\s/>])(?![^>]{0,1000}?\salt\b)", re.IGNORECASE)
TABLE_START = re.compile(r"<table(?=[\s/>])", re.IGNORECASE)
TABLE_END = re.compile(r"</table\s*>", re.IGNORECASE)
TABLE_FRAME = '<div class="table-scroll" tabindex="0" role="region" aria-label="Table"><table'

TAG_NAME = re.compile(r"<(/?)([a-z][a-z0-9]*)", re.IGNORECASE)
# A browser opens these again in each paragraph that follows, if they were not closed in theirs.
REOPENED = frozenset({"a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"})
# Void elements, and those whose end may be left out: a browser ends them when the next one begins.
WITHOUT_END = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
    | {"dd", "dt", "li", "option", "p", "rp", "rt", "tbody", "td", "tfoot", "th", "thead", "tr"}
)
DEPTH_LIMIT = 400
REOPENED_LIMIT = 20_000


def explodes(raw: str) -> bool:
    """Tell whether elements are nested hundreds deep, or would be opened again tens of thousands of times.

    20 kB of ``<b title=1><b title=2>…`` before ``<p>x<p>x…`` become 40 MB in any parser that follows the standard.
    """
    depth = marks = reopened = 0
    for end, name in TAG_NAME.findall(raw):
        tag = name.lower()
        step = -1 if end else 1
        if tag in REOPENED:
            marks = max(0, marks + step)
        elif not end:
            reopened += marks
        if tag not in WITHOUT_END:
            depth = max(0, depth + step)
        if depth > DEPTH_LIMIT or reopened > REOPENED_LIMIT:
            return True
    return False


def prepare(raw: str) -> str:
    """Mend raw HTML before it is made safe.

    Never afterwards: patterns also match inside attribute values, so their result must be checked like everything else.
    """
    if any(level == "1" for _, level in HEADING.findall(raw)):
        raw = HEADING.sub(lambda found: f"<{found[1]}h{min(int(found[2]) + 1, 6)}", raw)
    raw = PICTURE_WITHOUT_ALT.sub('<img alt=""', raw)
    return TABLE_END.sub("</table></div>", TABLE_START.sub(TABLE_FRAME, raw))


TEXT_TAGS = (
    "a abbr b bdi bdo blockquote br caption center cite code col colgroup dd del details dfn div dl dt em figcaption"
    " figure h1 h2 h3 h4 h5 h6 hr i img input ins kbd label li mark ol p pre q rp rt ruby s samp section small span"
    " strike strong sub summary sup table tbody td tfoot th thead time tr tt u ul var wbr"
)
ATTRIBUTES = {
    "*": {"lang", "dir", "title"},
    "a": {"href", "id", "class", "aria-label"},
    "blockquote": {"cite"},
    "code": {"class"},
    "col": {"span"},
    "colgroup": {"span"},
    "del": {"cite", "datetime"},
    "details": {"open"},
    "div": {"class", "tabindex", "role", "aria-label"},
    "img": {"src", "alt", "width", "height"},
    "input": {"checked"},
    "ins": {"cite", "datetime"},
    "li": {"class", "id", "value"},
    "ol": {"class", "start", "reversed", "type"},
    "q": {"cite"},
    "section": {"class", "aria-label"},
    "span": {"class"},
    "sup": {"class"},
    "td": {"align", "class", "colspan", "rowspan"},
    "th": {"align", "class", "colspan", "rowspan", "scope"},
    "time": {"datetime"},
} | {f"h{level}": {"id"} for level in range(1, 7)}
FORCED = {
    "img": {"loading": "lazy", "decoding": "async"},
    "input": {"type": "checkbox", "disabled": ""},
    "pre": {"tabindex": "0"},  # it scrolls, and not everybody scrolls with a mouse
}
# Classes that this module writes. HTML of an author may use them too, which does no harm.
CLASSES = {
    "a": {"footnote-backref"},
    "div": {"table-scroll"},
    "li": {"footnote-item", "task-list-item"},
    "ol": {"footnotes-list"},
    "section": {"footnotes"},
    "sup": {"footnote-ref"},
    "td": {"align-left", "align-center", "align-right"},
    "th": {"align-left", "align-center", "align-right"},
}
LANGUAGE = re.compile(r"language-[\w+#.-]{1,40}")
TOKEN = re.compile(r"[a-z][a-z0-9]{0,3}")  # Pygments' short names
VALUES = {
    "id": re.compile(r"[\w:.-]{1,200}"),
    "align": re.compile("left|center|right"),
    "role": re.compile("region"),
    "tabindex": re.compile("0"),
    "width": re.compile(r"\d{1,5}"),
    "height": re.compile(r"\d{1,5}"),
}


def sanitize(raw: str) -> str:
    """Return the HTML with only what this page allows; always the last step."""
    return cleaner().clean(raw)


@cache
def cleaner() -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(TEXT_TAGS.split()),
        clean_content_tags={"script", "style", "template", "noscript", "iframe", "object", "svg", "math"},
        attributes=ATTRIBUTES,
        attribute_filter=allowed_value,
        set_tag_attribute_values=FORCED,
        url_schemes={"http", "https", "mailto"},
        link_rel=None,
        strip_comments=True,
    )


def allowed_value(tag: str, attribute: str, value: str) -> str | None:
    """Return what is left of an attribute that the tag may have; None removes it."""
    if attribute == "class":
        return " ".join(name for name in value.split() if is_allowed_class(tag, name)) or None
    if (pattern := VALUES.get(attribute)) is not None:
        return value if pattern.fullmatch(value) else None
    return value


def is_allowed_class(tag: str, name: str) -> bool:
    if tag == "code":
        return LANGUAGE.fullmatch(name) is not None
    if tag == "span":
        return TOKEN.fullmatch(name) is not None
    return name in CLASSES.get(tag, ())
