"""A reader who does what a page says: in a clone, with servers and folders of his own."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path

from tests.docs.markdown import Block, page
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.process import Process

_NO_SOURCE = (".*", "*.egg-info", "dist", "journal")
_SOURCE = (".dockerignore", ".env.example", ".ci", ".gitignore")
_PATIENCE_S = 120

_FUNCTIONS = f"""
set -e
at=$PWD
terminals=
new_terminal() {{ # without what was exported in this one; what runs in others is ended
  for terminal in $terminals; do
    kill -TERM $(cat /proc/$terminal/task/$terminal/children) && wait $terminal || true
  done
  terminals=
  cd "$at"; unset $(compgen -e | grep -E "^(BRIDGE|CONSUMERS)_" | grep -v "^BRIDGE_PORT$")
}}
seen() {{ # of which terminal, what, who writes it
  for _ in $(seq {_PATIENCE_S * 5}); do
    grep -qE -- "$2" "$1" && return 0
    kill -0 "$3" 2>/dev/null || break
    sleep 0.2
  done
  echo "FAILED: /$2/ did not come in the terminal:"; cat "$1"; exit 1
}}
anywhere() {{ # in the terminals of these files, comes that
  for _ in $(seq {_PATIENCE_S * 5}); do
    cat "${{@:2}}" | grep -qE -- "$1" && return 0
    sleep 0.2
  done
  echo "FAILED: /$1/ did not come in a terminal:"; tail -n 30 "${{@:2}}"; exit 1
}}
insist() {{ # on a block that may come too early
  for _ in $(seq {_PATIENCE_S}); do
    timeout 60 bash -e "$1" >"$1.out" 2>&1 && {{ cat "$1.out"; return 0; }}
    sleep 1
  done
  echo "FAILED, again and again:"; cat "$1.out"; exit 1
}}
"""


class Reader:
    """Somebody with a clone in `folder`, in which `make setup` was done.

    Args:
        folder: of his own; everything that he writes is below it.
        edits: what he writes in place of a page's examples: addresses of servers, folders that are not his.
        env: his environment variables.
    """

    def __init__(self, folder: Path, edits: Mapping[str, str], env: Mapping[str, str]) -> None:
        self.folder = folder
        self.clone = folder / "a clone"
        self._edits = dict(edits)
        self._env = {"TMPDIR": str(folder), "PYTHONUNBUFFERED": "", **env}
        _copy_clone(self.clone)

    def install(self) -> list[Block]:
        """Have what README's installation leaves, with the packages of the clone. Returns what starts it."""
        readme = page("README.md").shell()
        (settings,) = (block.code for block in readme if "cat >/etc/im-bridge/.env" in block.code)
        for name in ("opt", "etc", "journals"):
            (self.folder / name).mkdir()
        (self.folder / "opt" / "bin").symlink_to(self.clone / ".venv" / "bin")
        written = settings.partition("/.env <<'END'\n")[2].partition("END\n")[0]
        (self.folder / "etc" / ".env").write_text(self.edited(written))
        return [block for block in readme if block.kind == "terminal" and "/opt/im-bridge" in block.code]

    def do(self, blocks: Sequence[Block], *, timeout_s: float) -> str:
        """What was printed while the blocks were done one after the other. Raises AssertionError with it."""
        scripts = self.folder / "blocks"
        scripts.mkdir()
        script = scripts / "page"
        begin = f"cd {shlex.quote(str(self.clone))}\n"
        script.write_text(begin + _FUNCTIONS + "".join(self._steps(blocks, scripts)))
        with Process(["bash", script], log=self.folder / "page.log", env=self._env) as shell:
            status = shell.wait(timeout_s)
            printed = shell.output()
        assert status == 0, f"the commands failed ({status}):\n{printed[-8000:]}"
        return printed

    def _steps(self, blocks: Sequence[Block], scripts: Path) -> list[str]:
        steps = []
        for number, block in enumerate(blocks):
            if block.file:
                steps.append(self._saved(block, scripts / f"{number}"))
                continue
            if block.language != "sh":
                continue
            path = scripts / f"{number}"
            path.write_text(self.edited(block.code))
            steps.append(_step(block, path))
        return steps

    def _saved(self, block: Block, draft: Path) -> str:
        draft.write_text(self.edited(block.code))
        target = shlex.quote(self.edited(block.file) if block.file.startswith("/") else block.file)
        return f"mkdir -p $(dirname {target}) && cp {shlex.quote(str(draft))} {target}\n"

    def edited(self, code: str) -> str:
        """The code with what the reader has in place of the examples."""
        for example, own in self._edits.items():
            code = code.replace(example, own)
        return code


def on_this_machine(folder: Path, *, kafka: str, redis: str) -> Reader:
    """Who has servers of his own, is not root, and whose ports 8000, 8080, 9090 and 9091 may be taken."""
    port, admin_port, worker_admin_port, handler_port = (free_port() for _ in range(4))
    own = {name: shlex.quote(str(folder / name)) for name in ("opt", "etc", "journals")}
    addresses = f"BRIDGE_HOST=127.0.0.1\nBRIDGE_PORT={port}\nBRIDGE_ADMIN_PORT={admin_port}"
    edits = {
        "kafka-1.example.com:9092,kafka-2.example.com:9092": kafka,
        "redis://redis.example.com:6379/0": redis,
        "BRIDGE_JOURNAL_DIR=/var/lib/im-bridge": f"BRIDGE_JOURNAL_DIR={own['journals']}\n{addresses}",
        "CONSUMERS_ADMIN_PORT=9091": f"CONSUMERS_ADMIN_PORT={worker_admin_port}",
        "/opt/im-bridge": own["opt"],
        "/etc/im-bridge": own["etc"],
        "/var/lib/im-bridge": own["journals"],
        "bridge dev\n": f"bridge dev --port {port}\n",
        "127.0.0.1:8000": f"127.0.0.1:{handler_port}",
        "port=8000": f"port={handler_port}",
        ":8080": f":{port}",
        ":9090": f":{admin_port}",
        ":9091": f":{worker_admin_port}",
    }
    return Reader(folder, edits, {"BRIDGE_PORT": str(port)})


def _step(block: Block, path: Path) -> str:
    source = shlex.quote(str(path))
    log = shlex.quote(f"{path}.log")
    told = f"echo; echo {shlex.quote(f'== {block}')}\n" + ("new_terminal\n" if block.in_new_terminal else "")
    if block.kind == "terminal":
        # A terminal shows each line at once. What it says to paste into the others, as `bridge dev` does, is pasted.
        return (
            f'{told}: >{log}\n( export PYTHONUNBUFFERED=1; . {source} ) >{log} 2>&1 &\nterminals="$terminals $!"\n'
            f"seen {log} {shlex.quote(block.detail)} $!\n"
            f'eval "$(grep "^export " {log} || true)"\n'
        )
    if block.kind == "repeated":
        return f"{told}insist {source}\n"
    if block.kind == "shown":
        return f"{told}. {source}\nanywhere {shlex.quote(block.detail)} {shlex.quote(str(path.parent))}/*.log\n"
    if block.kind == "checked":
        return ""
    run = f". {source}\n"
    if block.kind == "needs":
        needed = " && ".join(f"command -v {program} >/dev/null" for program in block.detail.split())
        run = f"if {needed}; then {run.strip()}; else echo 'not run: no {block.detail}'; fi\n"
    return told + run


def _copy_clone(clone: Path) -> None:
    """A copy of the source, and beside it the virtual environment that we run in, as `make setup` leaves it."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        if Path(folder) != ROOT:
            return {name for name in names if name == "__pycache__"}
        return {name for name in names if name not in _SOURCE and any(fnmatch(name, what) for what in _NO_SOURCE)}

    shutil.copytree(ROOT, clone, ignore=left_out, symlinks=True)
    own, lent = clone / ".venv", Path(sys.prefix)
    own.mkdir()
    for part in lent.iterdir():
        own.joinpath(part.name).symlink_to(part)
    for mark in re.findall(r"^\$\(VENV\)/(\.\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE):
        own.joinpath(mark).unlink(missing_ok=True)
        own.joinpath(mark).touch()  # newer than what it depends on
