"""Markdown to HTML, not yet safe to show: what the parser knows, and where it stops."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Sequence
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.footnote import footnote_plugin
from pygments import highlight as colour
from pygments.formatters.html import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import find_lexer_class_by_name
from pygments.util import ClassNotFound

NESTING_LIMIT = 40  # of blocks, and of marks in a line; what is deeper stays as it was typed
LINE_LIMIT = 20_000  # characters of one paragraph or cell; the marks of a longer one are not looked for
HIGHLIGHT_LIMIT = 50_000  # characters of one code block; a longer one stays plain
HEADING_ID_LIMIT = 100

CELL_LIMIT = 100_000  # of all tables in a post

TASK = re.compile(r"\[([ xX])\]\s+")

_local = threading.local()  # linkify-it keeps the text it works on in itself


def to_html(markdown: str, *, with_html: bool = True) -> str:
    """Return the HTML of the Markdown, unsafe as it is. with_html=False shows HTML in the text as text."""
    html: str = parser(with_html=with_html, with_tables=count_cells(markdown) <= CELL_LIMIT).render(markdown)
    return html


def parser(*, with_html: bool, with_tables: bool) -> MarkdownIt:
    """Return this thread's parser of the kind, made when it is first needed."""
    parsers: dict[tuple[bool, bool], MarkdownIt] = _local.__dict__.setdefault("parsers", {})
    kind = (with_html, with_tables)
    if kind not in parsers:
        parsers[kind] = make_parser(with_html=with_html, with_tables=with_tables)
    return parsers[kind]


def make_parser(*, with_html: bool, with_tables: bool) -> MarkdownIt:
    options = {"html": with_html, "linkify": True, "maxNesting": NESTING_LIMIT, "highlight": highlight}
    md = MarkdownIt("commonmark", options).enable(["strikethrough", "linkify", *(["table"] if with_tables else [])])
    if (
        md.linkify is not None
    ):  # only whole addresses: manage.py and README.md look like domains of Paraguay and Moldova
        md.linkify.set({"fuzzy_link": False, "fuzzy_email": False})
    md.use(footnote_plugin)
    md.core.ruler.before("inline", "long_lines", leave_long_lines)
    # The plugins for the next two take quadratic time: 56 s for a list of 200 kB.
    md.core.ruler.push("heading_ids", name_headings)
    md.core.ruler.push("tasks", mark_tasks)
    md.core.ruler.push("nested_marks", limit_nested_marks)
    for name in ("th_open", "td_open"):
        md.add_render_rule(name, open_cell)
    md.add_render_rule("footnote_ref", footnote_reference)
    md.add_render_rule("footnote_anchor", footnote_return)
    md.add_render_rule("footnote_block_open", open_footnotes)
    return md


def count_cells(markdown: str) -> int:
    """Return how many cells the tables can have at most: a short row is filled up to the width of its table."""
    cells = width = 0
    for line in markdown.splitlines():
        width = max(width, line.count("|")) if line.strip() else 0
        cells += width
    return cells


# --- limits and ids ---------------------------------------------------------------------------------------------


def leave_long_lines(state: StateCore) -> None:
    """Take the text of a very long line as it is: looking for links in 20,000 brackets takes quadratic time."""
    for token in state.tokens:
        if token.type == "inline" and len(token.content) > LINE_LIMIT:
            token.type = "text"


def limit_nested_marks(state: StateCore) -> None:
    """Show marks that are nested too deep as they were typed; the parser's own limit does not count emphasis."""
    for token in state.tokens:
        depth = 0
        for child in token.children or ():
            depth += max(0, child.nesting)
            if child.nesting and depth > NESTING_LIMIT:
                child.type, child.tag, child.content = "text", "", child.markup
            depth += min(0, child.nesting)


def name_headings(state: StateCore) -> None:
    """Give each heading an id, as GitHub does."""
    used: Counter[str] = Counter()
    for heading, inline in zip(state.tokens, state.tokens[1:], strict=False):
        if heading.type == "heading_open":
            name = heading_id(inline)
            used[name] += 1
            heading.attrs["id"] = name if used[name] == 1 else f"{name}-{used[name] - 1}"


def heading_id(inline: Token) -> str:
    title = "".join(child.content for child in inline.children or () if child.type in {"text", "code_inline"})
    words = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
    return words[:HEADING_ID_LIMIT].strip("-") or "section"


def mark_tasks(state: StateCore) -> None:
    """Turn list items that begin with ``[ ]`` or ``[x]`` into tasks: a checkbox, labelled by the text, to look at."""
    for item, _, inline in zip(state.tokens, state.tokens[1:], state.tokens[2:], strict=False):
        task = TASK.match(inline.content) if item.type == "list_item_open" and inline.type == "inline" else None
        if task is None or not inline.children or not TASK.match(inline.children[0].content):
            continue
        item.attrs["class"] = "task-list-item"
        inline.children[0].content = inline.children[0].content[task.end() :]
        checked = "" if task[1] == " " else " checked"
        inline.children.insert(0, Token("html_inline", "", 0, content=f'<label><input type="checkbox"{checked}> '))
        inline.children.append(Token("html_inline", "", 0, content="</label>"))


# --- how some tokens are written --------------------------------------------------------------------------------


def open_cell(self: RendererHTML, tokens: Sequence[Token], index: int, *_: object) -> str:
    """Turn the column's alignment into a class, as the page's policy allows no style attribute."""
    token = tokens[index]
    style = str(token.attrs.pop("style", ""))
    if style:
        token.attrs["class"] = style.replace("text-align:", "align-")
    return f"<{token.tag}{self.renderAttrs(token)}>"


def footnote_reference(_renderer: RendererHTML, tokens: Sequence[Token], index: int, *_: object) -> str:
    number, name = footnote_number(tokens[index]), footnote_name(tokens[index])
    return f'<sup class="footnote-ref"><a href="#fn{number}" id="fnref{name}">{number}</a></sup>'


def footnote_return(_renderer: RendererHTML, tokens: Sequence[Token], index: int, *_: object) -> str:
    number, name = footnote_number(tokens[index]), footnote_name(tokens[index])
    return f' <a href="#fnref{name}" class="footnote-backref" aria-label="Back to note {number} in the text">↩︎</a>'


def footnote_number(token: Token) -> int:
    return int(token.meta["id"]) + 1


def footnote_name(token: Token) -> str:
    repeated = token.meta.get("subId", 0)
    return f"{footnote_number(token)}-{repeated}" if repeated else str(footnote_number(token))


def open_footnotes(*_: object) -> str:
    return '<section class="footnotes" aria-label="Footnotes">\n<ol class="footnotes-list">\n'


# --- code -------------------------------------------------------------------------------------------------------


def highlight(code: str, language: str, attributes: str) -> str:  # noqa: ARG001 - markdown-it's own signature
    """Return the code with a span around each token; empty, which leaves it plain, without a known language."""
    lexer = lexer_for(language.lower()) if language and len(code) <= HIGHLIGHT_LIMIT else None
    if lexer is None:
        return ""
    return colour(code, lexer, HtmlFormatter(nowrap=True))


def lexer_for(language: str) -> Lexer | None:
    try:
        return find_lexer_class(language)(stripnl=False)
    except ClassNotFound:
        return None


@cache
def find_lexer_class(language: str) -> type[Lexer]:
    return find_lexer_class_by_name(language)
