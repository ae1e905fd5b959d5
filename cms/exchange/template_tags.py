"""Template tags of Jekyll, Eleventy and Hugo in a post: those with a clear meaning become Markdown, others go.

``{% image "a.png" "words" %}`` becomes a picture, ``{{ "/x/" | url }}`` its path, ``{% raw %}`` what stands in it.
A tag in code is an example and stays; only ``raw`` goes there too, as it was written to keep the example whole.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cms.exchange.code_regions import Regions, find_regions

# No tag reaches into the next one or over an empty line, and none is longer than 4,000 characters: without these
# limits one forgotten brace would swallow the rest of the post, and hostile texts would take quadratic time.
TAG = re.compile(
    r"\{%-?(?P<tag>(?:(?!\{%|%\}|\n[ \t]*\n).){0,4000}?)-?%\}"
    r"|\{\{(?P<hugo>[<%](?:(?!\{\{|[>%]\}\}|\n[ \t]*\n).){0,4000})[>%]\}\}"
    r"|\{\{(?![{%<])-?(?P<output>(?:(?!\{\{|\}\}|\{%|\n[ \t]*\n).){0,4000}?)-?\}\}",
    re.DOTALL,
)
QUOTED = re.compile(r""""([^"]*)"|'([^']*)'""")
BETWEEN_QUOTED = re.compile(r"""["'](?:\s*,\s*|\s+)["']""")
NAMED = re.compile(r"""([\w-]+)\s*[=:]\s*(?:"([^"]*)"|'([^']*)')""")
FILTERED = re.compile(r"""(?:"[^"]*"|'[^']*'|[^|])+""")  # the parts between bars, but for bars in quotes
LANGUAGE = re.compile(r"[\w+#.-]{1,40}")
SPECIAL_IN_TEXT = re.compile(r"([\\\[\]`*_<])")
PICTURE_FILE = re.compile("image|img|figure|picture|photo")
POST_NAME = re.compile(r"(?:.*/)?(\d{4})-(\d{1,2})-(\d{1,2})-(.+?)(?:\.\w+)?")

BLOCKS = {"raw": "endraw", "comment": "endcomment", "highlight": "endhighlight"}
PICTURE_TAGS = {"image", "image_with_class", "img", "picture", "figure"}
PATH_FILTERS = {"url", "relative_url", "absolute_url", "escape", "xml_escape", "uri_escape", "strip", "safe"}
SITE_ADDRESSES = {"site.baseurl", "site.url", "site.github.url"}
NEAR = 100  # characters
SHOWN = 80  # characters of a tag in the report


@dataclass(frozen=True)
class Converted:
    """A text without template tags, and what was done to which tag that had no clear meaning."""

    text: str
    notes: tuple[str, ...]


@dataclass
class Work:
    """What the conversion of one text needs to know."""

    text: str
    values: dict[str, Any]  # Any: front matter
    regions: Regions
    notes: Counter[str] = field(default_factory=Counter)


def convert_tags(text: str, values: dict[str, Any]) -> Converted:  # Any: front matter
    """Return the text with Markdown in place of template tags. Never raises because of what the text says.

    text: lines end with a line feed alone. values: the front matter, for ``{{ page.image }}``.
    """
    tags = list(TAG.finditer(text))
    if not tags:
        return Converted(text, ())
    work = Work(text, values, find_regions(masked(text, tags)))
    converted = "".join(pieces(work, tags))
    return Converted(converted, tuple(counted(work.notes)))


def counted(notes: Counter[str]) -> Iterator[str]:
    for note, times in notes.items():
        yield f"{note} ({times} times)" if times > 1 else note


def masked(text: str, tags: list[re.Match[str]]) -> str:
    """Return a text of the same length in which each tag is a word, or blank where it stands alone in its line."""
    parts, position = [], 0
    for tag in tags:
        alone = is_alone(text, tag) and tag_name(tag) not in PICTURE_TAGS and tag["output"] is None
        parts += [text[position : tag.start()], re.sub(r"[^\n]", " " if alone else "x", tag[0])]
        position = tag.end()
    return "".join([*parts, text[position:]])


def is_alone(text: str, tag: re.Match[str]) -> bool:
    """Tell whether the tag has its line for itself.

    Looks at a few characters on each side only: a line may be as long as the text, and full of tags.
    """
    before = text[max(0, tag.start() - NEAR) : tag.start()]
    after = text[tag.end() : tag.end() + NEAR]
    begins = ("\n" if tag.start() <= NEAR else "x") + before
    ends = after + ("\n" if tag.end() + NEAR >= len(text) else "x")
    return not begins.rpartition("\n")[2].strip() and not ends.partition("\n")[0].strip()


def tag_name(tag: re.Match[str]) -> str:
    name = next(iter(arguments_of(tag).split()), "")
    return "end" + name[1:] if name.startswith("/") else name


def arguments_of(tag: re.Match[str]) -> str:
    """Return the tag's name and arguments; nothing for an output."""
    return tag["tag"] if tag["tag"] is not None else (tag["hugo"] or "")[1:]


def pieces(work: Work, tags: list[re.Match[str]]) -> Iterator[str]:
    """Yield the new text, piece by piece."""
    position = number = 0
    closings = closing_numbers(tags)
    while number < len(tags):
        tag = tags[number]
        yield work.text[position : tag.start()]
        position = tag.end()
        in_code, closing = work.regions.in_code(tag.start()), closings.get(number)
        if closing is not None and (not in_code or tag_name(tag) == "raw"):
            yield convert_block(tag, work.text[tag.end() : tags[closing].start()])
            position, number = tags[closing].end(), closing
        else:
            yield tag[0] if in_code else convert_one(work, tag)
        number += 1
    yield work.text[position:]


def closing_numbers(tags: list[re.Match[str]]) -> dict[int, int]:
    """Return for each opening tag of a block the next tag that closes it."""
    closings: dict[int, int] = {}
    next_closing: dict[str, int] = {}
    for number in reversed(range(len(tags))):
        name = tag_name(tags[number])
        next_closing[name] = number
        if name in BLOCKS and BLOCKS[name] in next_closing:
            closings[number] = next_closing[BLOCKS[name]]
    return closings


def convert_block(tag: re.Match[str], inside: str) -> str:
    if tag_name(tag) == "comment":
        return ""
    if tag_name(tag) == "raw":
        return inside
    words = arguments_of(tag).split()[1:]
    language = words[0] if words and LANGUAGE.fullmatch(words[0]) else ""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", inside)), default=0))
    code = inside.strip("\n")
    return f"{fence}{language}\n{code}\n{fence}"


def convert_one(work: Work, tag: re.Match[str]) -> str:
    in_html = work.regions.in_html(tag.start())
    if tag["output"] is not None:
        converted = convert_output(work, tag["output"].strip(), in_html=in_html)
    else:
        converted = TAGS.get(tag_name(tag), no_meaning)(arguments_of(tag), in_html)
    if converted is None:
        # One note for all of a kind: a page of portraits has a hundred, each with another name in quotes.
        written = tag[0] if tag["output"] is None else QUOTED.sub('"…"', tag[0])
        work.notes[f"template tag {shown(written)} removed"] += 1
    return converted or ""


def shown(tag: str) -> str:
    line = " ".join(tag.split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"


# --- tags -------------------------------------------------------------------------------------------------------


def no_meaning(arguments: str, in_html: bool) -> str | None:  # noqa: ARG001, FBT001 - one signature for all tags
    return None


def convert_picture(arguments: str, in_html: bool) -> str | None:  # noqa: FBT001 - same
    """Return the picture of ``image "src" "words"``, ``image_with_class "src" "class" "words"`` or ``figure src=…``."""
    name, _, rest = arguments.strip().partition(" ")
    if rest.lstrip().startswith(("'", '"')):
        src, *words = BETWEEN_QUOTED.split(rest.strip(" \n,")[1:-1])  # not QUOTED: words may hold quotation marks
        alt, caption = "".join((words[1:] if name == "image_with_class" else words)[-1:]), ""
    else:
        named = {key: " ".join((one or other).split()) for key, one, other in NAMED.findall(rest)}
        src = named.get("src") or named.get("image", "")
        alt, caption = named.get("alt", ""), named.get("caption", "")
    if not src:
        return None
    shown_picture = picture(local_address(src), " ".join((alt or caption).split()), in_html=in_html)
    return shown_picture + (caption_below(caption) if alt and caption != alt else "")


def convert_include(arguments: str, in_html: bool) -> str | None:  # noqa: FBT001 - same
    """Return the picture of ``include "figure.html", image: "src", alt: "words"``; other includes mean nothing here."""
    file, _, rest = arguments.strip().removeprefix("include").strip().partition(" ")
    return convert_picture(f"figure {rest}", in_html) if PICTURE_FILE.search(file) else None


def convert_post_link(arguments: str, in_html: bool) -> str | None:  # noqa: ARG001, FBT001 - same
    """Return the old address of ``post_url 2016-01-04-name`` and ``link _posts/2016-01-04-name.md``."""
    target = next(iter(arguments.split()[1:]), "").strip("\"'")
    if found := POST_NAME.fullmatch(target):
        return f"/{found[1]}/{found[2]:0>2}/{found[3]:0>2}/{found[4]}/"
    return local_address(target) if target else None


TAGS: dict[str, Callable[[str, bool], str | None]] = {
    **dict.fromkeys(PICTURE_TAGS, convert_picture),
    "include": convert_include,
    "post_url": convert_post_link,
    "link": convert_post_link,
}


def picture(src: str, alt: str, *, in_html: bool) -> str:
    if in_html:
        return f'<img src="{html.escape(src)}" alt="{html.escape(html.unescape(alt))}">'
    return f"![{as_text(alt)}]({destination(src)})"


def caption_below(words: str) -> str:
    """Return a caption, as written: Hugo takes Markdown in it, Jekyll HTML.

    It stays in the picture's line, as the tag may stand in a list or a table.
    """
    return f"<br><em>{words}</em>" if words else ""


def as_text(words: str) -> str:
    """Return the words so that Markdown reads nothing into them."""
    return SPECIAL_IN_TEXT.sub(r"\\\1", words)


def destination(address: str) -> str:
    """Return the address as Markdown takes it; in angle brackets if it holds spaces or parentheses."""
    if re.search(r"[\s()<>]", address):
        return "<" + re.sub(r"[<>\n]", "", address) + ">"
    return address


def local_address(address: str) -> str:
    """Return a path from the root of the site, as tags name their files from there."""
    return address if re.match(r"[a-z][a-z0-9+.-]*:|[/#]", address, re.IGNORECASE) else "/" + address.removeprefix("./")


# --- outputs ----------------------------------------------------------------------------------------------------


def convert_output(work: Work, expression: str, *, in_html: bool) -> str | None:
    """Return what ``{{ value | filter: argument | … }}`` clearly means, None if it does not."""
    first, *filters = (part.strip() for part in FILTERED.findall(expression) or [""])
    value = value_of(work, first)
    if value is None:
        return None
    for each in filters:
        name, _, argument = (part.strip() for part in each.partition(":"))
        if name == "embed":
            return embedded(value, argument.strip("\"'"), in_html=in_html)
        if name.endswith("_link"):
            work.notes[f"template tags with {name} became their plain text"] += 1
            return value
        if name == "prepend" and argument not in SITE_ADDRESSES:
            return None
        if name not in PATH_FILTERS | {"prepend"}:
            return None
        if name.endswith("url"):  # a path on the site: two slashes would name another host
            value = re.sub("^/{2,}", "/", value)
    return value


def value_of(work: Work, name: str) -> str | None:
    """Return the text of a quoted literal, of a key of the front matter, or of the site's own address: nothing."""
    if found := QUOTED.fullmatch(name):
        return found[1] if found[1] is not None else found[2]
    if name in SITE_ADDRESSES:
        return ""
    value = work.values.get(name.removeprefix("page."))
    return value if isinstance(value, str) else None


def embedded(address: str, title: str, *, in_html: bool) -> str:
    """Return a link in place of a foreign player, which this site's policy would not let run."""
    title = title or address
    if in_html:
        return f'<a href="{html.escape(address)}">{html.escape(html.unescape(title))}</a>'
    return f"[{as_text(title)}]({destination(address)})"
