"""Markdown that is short and was slow, or deep, in one parser or another: nearly 20 kB each.

A paragraph of more than 20,000 characters would not be looked at; these just are.
"""

from __future__ import annotations

SIZE = 19_900


def fill(piece: str, ending: str = "") -> str:
    return piece * (SIZE // len(piece)) + ending


def nest(opening: str, closing: str, inside: str = "x") -> str:
    depth = SIZE // len(opening + closing)
    return opening * depth + inside + closing * depth


BOMBS: dict[str, str] = {
    "quotes": fill(">") + "x",
    "quotes with spaces": fill("> ") + "x",
    "quote ladder": "\n".join("> " * depth + "x" for depth in range(1, 140)),
    "list ladder": "\n".join("  " * depth + "- x" for depth in range(140)),
    "ordered list ladder": "\n".join("   " * depth + "1. x" for depth in range(110)),
    "bullets in one line": fill("- ") + "x",
    "numbers in one line": fill("1. ") + "x",
    "bullets of three kinds": fill("- * + ") + "x",
    "quote and bullet": fill("> - ") + "x",
    "opening brackets": fill("["),
    "closing brackets": fill("]"),
    "nested brackets": nest("[", "]"),
    "links without an end": fill("[a]("),
    "nested links": nest("[", "](x)"),
    "links in pointed brackets": fill("[a](<b"),
    "link titles without an end": fill('[a](b "'),
    "nested pictures": nest("![", "](x)"),
    "pictures without an end": fill("![a](b"),
    "references": fill("[a]") + "\n\n[a]: /x",
    "definitions": "".join(f"[{number}]: /x\n" for number in range(1800)),
    "reference to a long name": "[" + fill("a") + "]",
    "emphasis": nest("*", "*"),
    "emphasis with spaces": fill("*a "),
    "emphasis of two kinds": fill("*a _b "),
    "emphasis of mixed lengths": fill("a**b*c* "),
    "emphasis that only closes": fill("a* "),
    "strong emphasis": nest("**a ", " b**"),
    "underscores": fill("_"),
    "tildes": fill("~~a "),
    "strikethrough of odd lengths": fill("~~~a~~b~c"),
    "backticks of growing length": " ".join("`" * length for length in range(1, 200)),
    "backticks": fill("`a``b"),
    "fences": fill("```\n"),
    "fence without an end": "```python\n" + fill("x = ("),
    "quotation marks in python": "```python\n" + fill('"""\'') + "\n```",
    "brackets in javascript": "```javascript\n" + fill("/[(${`") + "\n```",
    "comments in php": "```php\n<?php " + fill("/*/'") + "\n```",
    "markup in html": "```html\n" + fill("<a <b='") + "\n```",
    "table of many columns": "|" + fill("a|", "\n") + "|" + fill("-|", "\n"),
    "table of many rows": "|a|b|\n|-|-|\n" + fill("|\n"),
    "table whose rows are short": "|" + "a|" * 3000 + "\n|" + "-|" * 3000 + "\n" + "x\n" * 4000,
    "pipes": fill("|"),
    "addresses": fill("https://a.b/("),
    "mail addresses": fill("a@b.cc,"),
    "pointed brackets": fill("<"),
    "tags without an end": fill("<a b="),
    "pictures in html": fill("<img "),
    "nested html": nest("<div>", "</div>"),
    "nested tables in html": fill("<table><tr><td>"),
    "unclosed inline html": fill("x<b><i>"),
    "marks that are opened again": "<p>" + "".join(f"<b title={n}>" for n in range(700)) + fill("<p>x")[:11_000],
    "marks closed at last": "<p>" + "<i>" * 2000 + "<p>x" * 1500 + "</i>" * 2000,
    "comments": fill("a <!-- b "),
    "processing instructions": fill("a <? b "),
    "declarations": fill("a <!A b "),
    "character data": fill("a <![CDATA[ b "),
    "entities": fill("&"),
    "long entities": fill("&aaaaaaaaaaaaaaaaaaaaaaaa"),
    "backslashes": fill("\\"),
    "footnotes": "".join(f"[^{number}]: x[^{number + 1}]\n\n" for number in range(900)) + "[^0]",
    "footnote references": fill("[^1]") + "\n\n[^1]: x",
    "footnotes in footnotes": fill("^[") + fill("]"),
    "nested footnote definitions": fill("[^a]: "),
    "tasks": fill("- [ ] x\n"),
    "headings of one name": fill("# a\n"),
    "underlines": "a\n" + fill("=\n-\n"),
    "rules": fill("***\n"),
    "lines": fill("\n"),
    "spaces": fill(" ") + "x",
    "spaces in lines": fill("x" + " " * 300),
    "tabs": fill("\t") + "x",
    "one long word": fill("a"),
    "zero-width and combining characters": fill("\u200d\u0301"),
}
