"""Pages of README and docs/: their headings, links and blocks of code, and what comments above a block say of it.

A block of `sh` is run as it stands, in the order of the page, in one shell, unless a comment directly above it says
otherwise. Readers do not see the comment, translators copy it:

    <!-- test: terminal, until "REGEX" -->   runs until Ctrl-C in a terminal of its own; on with the page at that output
    <!-- test: repeated, REASON -->          is given again until it succeeds
    <!-- test: shown, "REGEX" -->            makes that come in one of the terminals
    <!-- test: needs kcat -->                is run where that program is, and only checked elsewhere
    <!-- test: docker -->                    is run where Docker answers, with the other such blocks of its page
    <!-- test: checked, REASON -->           is not run: its syntax, commands, options and files are checked
    <!-- test: new terminal -->              is run without what was exported, after what runs in terminals was ended;
                                             may stand above another
    <!-- file: NAME -->                      the reader saves this block under that name
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from tests.support.paths import ROOT

GENERATED = re.compile(r"docs/events(\.md|/\w+\.md)|docs/metrics\.md")
"""The pages that `bridge schemas` and `make metrics` write."""
CHINESE = "zh-CN"

_FENCE = re.compile(r"^```(\w*)$")
_DIRECTIVE = re.compile(r"^<!-- (test|file): (.+) -->$")
_HEADING = re.compile(r"^(#{1,6}) (.+)$")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A block of code."""

    page: str
    line: int
    """Of its first line of code, from 1."""
    language: str
    code: str
    kind: str
    """`run`, or the first word of such a comment; of no meaning for what is not `sh`."""
    detail: str
    """What follows the kind: a regular expression, a reason, a program."""
    file: str
    """Under which name it is saved, or nothing."""
    in_new_terminal: bool

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Page:
    """A page, by its path from the root of the repository."""

    path: str
    text: str
    blocks: tuple[Block, ...]
    headings: tuple[tuple[int, str], ...]
    """Level and text, in their order."""

    def __str__(self) -> str:
        return self.path

    def shell(self) -> list[Block]:
        """Its blocks of commands."""
        return [block for block in self.blocks if block.language == "sh"]

    def links(self) -> list[str]:
        """What it points to, without addresses of the web."""
        found = _LINK.findall(_without_code(self.text))
        return [link for link in found if not link.startswith(("http://", "https://"))]

    def anchors(self) -> set[str]:
        """What a link to a heading may name."""
        return {anchor(text) for _, text in self.headings}


@cache
def page(path: str) -> Page:
    """Read a page. Raises ValueError where a comment for the tests is none that they know."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return Page(path, text, tuple(_blocks(path, text)), tuple(_headings(text)))


@cache
def pages() -> tuple[Page, ...]:
    """Every page that somebody wrote: README and its translation, CHANGELOG, docs/ with all below it."""
    return tuple(page for page in every_page() if not GENERATED.fullmatch(page.path))


@cache
def every_page() -> tuple[Page, ...]:
    """Every page, those that are generated too."""
    paths = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return tuple(page(name) for name in sorted(path.relative_to(ROOT).as_posix() for path in paths))


def translated(english: str) -> str:
    """The path of the Chinese page of an English one."""
    if english.startswith("docs/"):
        return english.replace("docs/", f"docs/{CHINESE}/", 1)
    return english.replace(".md", f".{CHINESE}.md")


def anchor(heading: str) -> str:
    """What GitHub makes of a heading for links to it."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", ""))
    return kept.replace(" ", "-")


def _blocks(path: str, text: str) -> Iterator[Block]:
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        number += 1
        if not opening:
            continue
        begun = number
        while lines[number] != "```":
            number += 1
        said = list(_comments(path, lines, begun - 2))
        tests = [_kind(path, text) for what, text in said if what == "test" and text != "new terminal"]
        kind, detail = tests[0] if tests else ("run", "")
        file = next((text for what, text in said if what == "file"), "")
        code = "\n".join(lines[begun:number]) + "\n"
        yield Block(path, begun + 1, opening[1], code, kind, detail, file, ("test", "new terminal") in said)
        number += 1


def _comments(path: str, lines: list[str], above: int) -> Iterator[tuple[str, str]]:
    while above >= 0 and lines[above].startswith("<!-- "):
        found = _DIRECTIVE.match(lines[above])
        if not found:
            raise ValueError(f"{path}:{above + 1}: {lines[above]} is no comment that tests/docs/markdown.py knows")
        yield found[1], found[2]
        above -= 1


def _kind(path: str, text: str) -> tuple[str, str]:
    if found := re.fullmatch(r'(terminal|shown)(?:, until|,) "(.+)"', text):
        return found[1], found[2]
    if found := re.fullmatch(r"(repeated|checked), (.+)|(needs) (.+)|(docker)", text):
        kind, detail, *_ = (*(part for part in found.groups() if part), "")
        return kind, detail
    raise ValueError(f"{path}: <!-- test: {text} --> is no comment that tests/docs/markdown.py knows")


def _headings(text: str) -> Iterator[tuple[int, str]]:
    for line in _without_code(text).splitlines():
        if found := _HEADING.match(line):
            yield len(found[1]), found[2]


def _without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
