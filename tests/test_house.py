"""What keeps the code easy to find one's way in: short modules, small classes, one meaning for a name."""

from __future__ import annotations

import ast
import gc
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PRODUCT = ("bridge", "common", "consumers")
EVERYTHING = (*PRODUCT, "tests", "bench", "requirements", "deploy")
MAX_LINES = 400
MAX_FIELDS = 15
REASON = re.compile(r"\bfields\b.*\bbecause\b", re.DOTALL)
"""What the docstring of a class with more says: `The fields … because …`."""

EVENTS = Path("bridge/events")
"""Declarations only: their fields are the platform's, and the same happens to messages of persons and of groups."""
ENVELOPE = EVENTS / "base.py"
"""Of the events, the classes that are no declarations."""


def modules(*packages: str) -> list[Path]:
    """Every module of these packages, by its path from the root of the repository."""
    return [path.relative_to(ROOT) for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def classes(*packages: str) -> Iterator[tuple[Path, ast.ClassDef]]:
    """Every class at the top of a module of these packages, but for the events, and its module."""
    for module, node in statements(*packages):
        if isinstance(node, ast.ClassDef):
            yield module, node


def aliases(*packages: str) -> Iterator[tuple[Path, str]]:
    """Every name at the top of a module that stands for a type as `Callable[…]` or `A | B`, and its module."""
    for module, node in statements(*packages):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript | ast.BinOp):
            for target in node.targets:
                if isinstance(target, ast.Name) and not target.id.isupper() and target.id.lstrip("_")[0].isupper():
                    yield module, target.id


def statements(*packages: str) -> Iterator[tuple[Path, ast.stmt]]:
    """Every statement at the top of a module, but for the declarations of events, and its module."""
    for module in modules(*packages):
        if EVENTS not in module.parents or module == ENVELOPE:
            for node in parsed(ROOT / module).body:
                yield module, node


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax of a module."""
    return syntax(path.read_text())


def syntax(source: str) -> ast.Module:
    """The syntax of a text. Python 3.11 fails if the garbage collector comes upon other syntax meanwhile."""
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        gc.enable()


def fields(node: ast.ClassDef) -> set[str]:
    """Names that the class declares, or that its methods assign to `self`."""
    annotated = [item.target for item in node.body if isinstance(item, ast.AnnAssign)]
    declared = {target.id for target in annotated if isinstance(target, ast.Name)}
    stored = [item for item in ast.walk(node) if isinstance(item, ast.Attribute) and isinstance(item.ctx, ast.Store)]
    return declared | {item.attr for item in stored if isinstance(item.value, ast.Name) and item.value.id == "self"}


def test_no_module_has_more_than_400_lines() -> None:
    lines = {module: len((ROOT / module).read_text().splitlines()) for module in modules(*EVERYTHING)}
    assert len(lines) > 200
    assert {module: count for module, count in lines.items() if count > MAX_LINES} == {}


def test_no_class_has_more_than_15_fields_unless_its_docstring_says_why() -> None:
    of_product = [node for module, node in classes(*PRODUCT) if module != ENVELOPE]
    large = {node.name: ast.get_docstring(node) or "" for node in of_product if len(fields(node)) > MAX_FIELDS}
    assert "HttpConnection" in large
    assert [name for name, docstring in large.items() if not REASON.search(docstring)] == []


def test_no_two_classes_have_the_same_name() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for module, node in classes(*EVERYTHING):
        found[node.name].append(str(module))
    for module, name in aliases(*PRODUCT):
        found[name].append(str(module))
    assert len(found) > 200
    assert {"PostedCallback", "ReportReplay", "Event"} <= found.keys()
    assert {name: where for name, where in found.items() if len(where) > 1} == {}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("class A:\n    x: int\n    y = 1", {"x"}),
        ("class A:\n    def f(self):\n        self.x = self.y\n        self.z += 1\n        other.w = 1", {"x", "z"}),
        ("class A:\n    def f(self):\n        self.x, self.y = 1, 2\n        self.z: int = 3", {"x", "y", "z"}),
    ],
)
def test_the_fields_of_a_class_are_counted(source: str, expected: set[str]) -> None:
    node = syntax(source).body[0]
    assert isinstance(node, ast.ClassDef)
    assert fields(node) == expected
