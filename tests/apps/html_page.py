"""Read an HTML page back, and check it meanwhile."""

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "col", "img", "hr", "input"}


class Page(HTMLParser):
    """Checks that elements nest, and collects what the tests ask for.

    Attributes:
        tags: every element with its attributes.
        tables: the cells' text by row, by the label (or the label's id) of the region around the table.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.region = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        region = dict(attrs)
        if region.get("role") == "region":
            self.region = region.get("aria-label") or region.get("aria-labelledby") or ""
        elif tag == "table":
            self.tables[self.region] = []
        elif tag == "tr":
            self.tables[self.region].append([])
        elif tag in ("td", "th"):
            self.tables[self.region][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)
        if self.open and {"td", "th"} & set(self.open):
            row = self.tables[self.region][-1]
            row[-1] = " ".join(f"{row[-1]} {data}".split())

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def check_standing_alone(self) -> None:
        """Check that the page needs nothing from outside, and that every reference in it has its target."""
        assert not {tag for tag, _ in self.tags} & {
            "script", "link", "iframe", "img", "object", "embed", "base",
        }  # fmt: skip
        assert not re.search(r"https?://|url\((?!#)|@import|\bsrc=", self.html)
        ids = [attributes["id"] for _, attributes in self.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        for _, attributes in self.tags:
            for key, value in attributes.items():
                if key == "aria-labelledby":
                    assert value
                    assert set(value.split()) <= set(ids)
                elif "href" in key:
                    assert value
                    assert value.startswith("#")
                    assert value.removeprefix("#") in ids
        assert set(re.findall(r"url\(#([^)]+)\)", self.html)) <= set(ids)
