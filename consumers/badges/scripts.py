"""The scripts that run in Redis, from the files beside this one."""

from __future__ import annotations

from importlib.resources import files

from consumers.badges.redis_connection import LuaScript


def script(name: str, package: str = "consumers.badges") -> LuaScript:
    """A script that reads no badge."""
    return LuaScript(_text(package, name))


def badge_script(name: str, package: str = "consumers.badges") -> LuaScript:
    """A script that reads or writes badges, whose form `badge_layout.lua` has; its first argument is the layout."""
    return LuaScript(f"{_text('consumers.badges', 'badge_layout.lua')}\n{_text(package, name)}")


def _text(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")
