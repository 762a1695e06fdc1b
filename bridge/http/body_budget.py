"""Bounds the memory that the bodies of a process take, from their first byte to the reply; and heads that arrive."""

from __future__ import annotations

from typing import Protocol


class ArrivingBody(Protocol):
    """A request whose body has begun to arrive, or its head, which has a budget of its own."""

    arrived_bytes: int
    """What it takes of the budget. The budget keeps the count."""

    def give_up(self) -> None:
        """Refuse the request: others need the memory. `BodyBudget.ended` must be called for it."""


class BodyBudget:
    """The memory for bodies. Those that are not whole may take half of it, and of these the oldest gives way.

    So whoever begins bodies and does not end them displaces himself: a callback is whole within milliseconds.

    Args:
        max_bytes: of all bodies together.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._arriving: dict[ArrivingBody, None] = {}
        """Those that are not whole, the oldest first."""
        self._arriving_bytes = 0
        self.used = 0
        """Bytes of all bodies."""

    def take(self, size: int) -> bool:
        """Count so many bytes of a whole body, to be given back by `release`; False if there is no room for them."""
        if self.used + size > self._max_bytes:
            return False
        self.used += size
        return True

    def release(self, size: int) -> None:
        """Give back what was taken."""
        self.used -= size

    def begin(self, body: ArrivingBody) -> None:
        """A body begins to arrive. `ended` must follow."""
        body.arrived_bytes = 0
        self._arriving[body] = None

    def grow(self, body: ArrivingBody, size: int) -> bool:
        """So many bytes more have arrived of it; False if it has to be given up, since none that is older is left."""
        while self._arriving_bytes + size > self._max_bytes // 2 or self.used + size > self._max_bytes:
            oldest = next(iter(self._arriving))
            if oldest is body:
                return False
            oldest.give_up()
        body.arrived_bytes += size
        self._arriving_bytes += size
        self.used += size
        return True

    def grow_to(self, body: ArrivingBody, size: int) -> bool:
        """So many bytes have arrived of it by now, which begins with the first of them; else as `grow`."""
        if body not in self._arriving:
            self.begin(body)
        return self.grow(body, size - body.arrived_bytes)

    def ended(self, body: ArrivingBody) -> None:
        """A body is whole, or will not be: what it took is given back."""
        if body in self._arriving:
            del self._arriving[body]
            self._arriving_bytes -= body.arrived_bytes
            self.used -= body.arrived_bytes
            body.arrived_bytes = 0
