"""Template tags: what becomes Markdown, what goes, what stays."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cms.exchange.template_tags import convert_tags


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{% image "assets/a.png" "A cat" %}', "![A cat](/assets/a.png)"),
        ("{% image '/assets/a.png', 'A cat' %}", "![A cat](/assets/a.png)"),
        ('{% image "assets/a.png" "width-400px" "A cat" %}', "![A cat](/assets/a.png)"),
        ('{% image "assets/a.svg" %}', "![](/assets/a.svg)"),
        ('{% image_with_class "assets/a.png" "wide" "A [cat]" %}', r"![A \[cat\]](/assets/a.png)"),
        ('{% image_with_class "assets/a.png" "wide" %}', "![](/assets/a.png)"),
        ('{% image "assets/a.png" "It says: "meow"" %}', '![It says: "meow"](/assets/a.png)'),
        ('{% image "assets/a b.png" "A\n cat" %}', "![A cat](</assets/a b.png>)"),
        ('[{% image "assets/a.png" "A cat" %}](https://example.org)', "[![A cat](/assets/a.png)](https://example.org)"),
        ('{% include "linked-figure.html", image: "/a.png", alt: "A cat" %}', "![A cat](/a.png)"),
        ('{% include figure.html src="/a.png" caption="A cat" %}', "![A cat](/a.png)"),
        ('{{< figure src="/a.png" alt="A cat" caption="A cat" >}}', "![A cat](/a.png)"),
        (
            '{{< figure src="/a.png" alt="A cat" caption="Ada\'s [cat](/c),\n 2016" >}}',
            "![A cat](/a.png)<br><em>Ada's [cat](/c), 2016</em>",
        ),
        ('{{< figure src="/a.png" alt="A cat" >}}', "![A cat](/a.png)"),
        ('[x]({{ "/2016/01/04/x/" | url }})', "[x](/2016/01/04/x/)"),
        ('[x]({{ "//2016/01/04/x/" | url }})', "[x](/2016/01/04/x/)"),
        ("![x]({{ image | url }})", "![x](/assets/cover.png)"),
        ('<img src="{{ page.image }}">', '<img src="/assets/cover.png">'),
        ('<img src="{{site.baseurl}}/assets/a.png">', '<img src="/assets/a.png">'),
        ('{{ "/x" | prepend: site.baseurl }}', "/x"),
        ('{{ "https://example.org/v" | embed: "A film" }}', "[A film](https://example.org/v)"),
        ("{% post_url 2016-1-04-x-y %}", "/2016/01/04/x-y/"),
        ("a{% comment %}b {{ c }}{% endcomment %}d", "ad"),
        ("{% raw %}{{ a }} {% b %}{% endraw %}", "{{ a }} {% b %}"),
        ("`{% raw %}{{{% endraw %} name }}`", "`{{ name }}`"),
        ("{%- raw -%}{{ a }}{%- endraw -%}", "{{ a }}"),
        ("{% highlight ruby linenos %}\nputs 1\n{% endhighlight %}", "```ruby\nputs 1\n```"),
        ("{{< highlight go >}}\nx\n{{< /highlight >}}", "```go\nx\n```"),
    ],
)
def test_a_tag_with_a_clear_meaning_becomes_markdown(before: str, after: str) -> None:
    converted = convert_tags(before, {"image": "/assets/cover.png"})
    assert converted.text == after
    assert converted.notes == ()


def test_a_picture_in_html_becomes_html_as_markdown_means_nothing_there() -> None:
    text = '<figure>{% image "assets/a.png" "A &ldquo;cat&rdquo; <3" %}</figure>\n'
    assert convert_tags(text, {}).text == '<figure><img src="/assets/a.png" alt="A “cat” &lt;3"></figure>\n'


def test_a_picture_in_html_has_its_caption_in_html() -> None:
    text = '<div>{% include "figure.html" image: "/a.png" alt: "A cat" caption: "Ben & Cleo" %}</div>\n'
    assert convert_tags(text, {}).text == '<div><img src="/a.png" alt="A cat"><br><em>Ben & Cleo</em></div>\n'


@pytest.mark.parametrize(
    ("before", "after", "notes"),
    [
        ("a {% include x.html %} b", "a  b", ("template tag {% include x.html %} removed",)),
        (
            '{{ "a" | team_photo }}{{ "b" | team_photo }}',
            "",
            ('template tag {{ "…" | team_photo }} removed (2 times)',),
        ),
        ('{{ "ada" | team_link }}', "ada", ("template tags with team_link became their plain text",)),
        ("{% if a %}b{% endif %}", "b", ("template tag {% if a %} removed", "template tag {% endif %} removed")),
        ("{{ page.unknown }}", "", ("template tag {{ page.unknown }} removed",)),
        ("{{< youtube abc >}}", "", ("template tag {{< youtube abc >}} removed",)),
        ("{% endraw %}", "", ("template tag {% endraw %} removed",)),
    ],
)
def test_a_tag_without_meaning_here_goes_with_a_note(before: str, after: str, notes: tuple[str, ...]) -> None:
    converted = convert_tags(before, {})
    assert (converted.text, converted.notes) == (after, notes)


@pytest.mark.parametrize(
    "text",
    [
        'Write `{{ page.title }}` and ``{% image "a" %}``.',
        "```liquid\n{% for a in b %}{{ a }}{% endfor %}\n```\n",
        "Text:\n\n    {{ indented }}\n",
        "<pre><code>{{ a }}</code></pre>\n",
        "- a list\n\n  ```\n  {{ a }}\n  ```\n",
        "A brace {{ that is never closed, and\n\nanother paragraph }}",
        "{% unclosed",
        "{{{{{{",
        "100 % {sure}",
    ],
)
def test_code_and_what_is_no_tag_stay_as_they_are(text: str) -> None:
    assert convert_tags(text, {}).text == text


def test_a_picture_that_is_indented_below_a_list_item_is_no_code() -> None:
    assert convert_tags('1. one\n\n    {% image "a.png" "x" %}\n', {}).text == "1. one\n\n    ![x](/a.png)\n"


@pytest.mark.parametrize(
    "piece",
    [
        "{%",
        "{{",
        "{% raw %}",
        "{{ ' | ",
        "`{%x%}",
        "{% a %}",
        "``` {%",
        "<pre>{{a}}",
        "|{{ a",
        "{{<",
        "[",
        "{{ \"|' }}",
    ],
)
def test_hostile_texts_take_no_quadratic_time(piece: str) -> None:
    started = time.monotonic()
    convert_tags(piece * (200_000 // len(piece)), {})
    assert time.monotonic() - started < 10


WORDS = """{% %} {{ }} raw endraw image
"a.png" ' " ` ``` | <pre> </pre> comment endcomment highlight x {{< >}} - url : <div>"""
PIECES = [*WORDS.split(), " ", "\n", "\n\n", "    "]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_no_text_makes_the_conversion_fail(text: str) -> None:
    convert_tags(text, {"image": "x", "title": None})
