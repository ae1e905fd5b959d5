"""What the site of the browser tests holds: posts that are hard on a layout."""

from __future__ import annotations

from tests.site import Site

EVERYTHING = """
Words with *stress*, **weight**, ~~none~~, `code`, [a link](/odd/), <kbd>Ctrl</kbd>, <mark>marks</mark> and a note.[^1]

## A list

- one
  - two
- [x] done
- [ ] not done

1. first
2. second

> Quoted
>
> > twice

```python
@decorated
def greet(name: str = "you", *, hour: int = 12) -> str:  # a comment
    \"\"\"Say hello.\"\"\"
    return f"{name!r:>10} {hour + 0x1F}" if hour else None
```

```diff
- old
+ new
```

```html
<!-- comment --><a href="/x" class='y'>&amp;</a>
```

```sql
SELECT count(*), 'text' FROM posts WHERE id = 1 -- all
```

```
""" + "plain and long " * 30 + """
```

| left | middle | right |
|:--|:-:|--:|
| 1 | 2 | 3 |

![A lamp](/static/lamp.svg)

<details><summary>More</summary>Hidden words</details>
<figure><img src="/static/lamp.svg" alt="A lamp"><figcaption>A lamp</figcaption></figure>
<dl><dt>Term<dd>Meaning</dl>

---

[^1]: The note.
"""  # fmt: skip

WIDE_TABLE = "|" + "column|" * 30 + "\n|" + "-|" * 30 + ("\n|" + "value|" * 30) * 20
LONG_WORD = "Donaudampfschifffahrtsgesellschaftskapitän" * 7
ODD = (
    f"{LONG_WORD} `{LONG_WORD}`\n\nhttps://example.org/{'a' * 300}\n\n- {LONG_WORD}\n\n> {LONG_WORD}\n\n{WIDE_TABLE}\n"
)


def seed(site: Site) -> None:
    """Write the posts; the newest, at the top of the home page, has a cover."""
    site.write("Plain", content="Short.")
    site.write("Words " * 49, summary="Summary " * 120, tags=tuple(f"tag {number}" for number in range(40)))
    site.write("Odd", content=ODD, summary=LONG_WORD[:300], tags=("lamps", "t" * 100), images_url=("/static/lamp.svg",))
    site.write(LONG_WORD[:290], content="x", slug="long-word", tags=("lamps",))
    site.write(
        "Everything", content=EVERYTHING, summary="Each element once.", tags=("lamps", "light"),
        images_url=("/static/lamp.svg",),
    )  # fmt: skip
