"""Puts a ledger back that was removed from its folder, or whose folder was, while its process lives.

Whoever finds no ledger of a process that was killed cannot state its end, and what it took last would never be proven.
"""

from __future__ import annotations

import contextlib

from bridge.audit.ends import Ends
from bridge.audit.folder import find_folder_id, locked_folder
from bridge.audit.ledger import Claim
from common.audit.statement import Statement


def restore(claim: Claim, statement: Statement, ends: Ends) -> str:
    """Put it back if it is gone; the id of the folder from now on.

    Args:
        claim: of this life.
        statement: what is true now.
        ends: those that are to be stated.

    Raises:
        OSError: the disk does not take it.
    """
    ledger = claim.ledger
    if ledger.is_in_place:
        return claim.folder
    folder = ledger.path.parent
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    with locked_folder(folder):
        folder_id = find_folder_id(folder, claim.folder)
        with contextlib.suppress(FileExistsError):  # Of a copy, which whoever takes it will see.
            ledger.put_back()
            ledger.write(statement, sync=True)
            ledger.write_ends(ends)
            claim.marks.move(ledger.marks_path(folder_id))
    return folder_id
