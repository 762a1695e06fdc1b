"""What the connections of a process have in common."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.http.body_budget import BodyBudget
from bridge.http.connection_table import ConnectionTable
from bridge.http.gathering import Gathering
from bridge.http.malformed import MalformedLog
from bridge.ingress.ingress import Ingress


@dataclass
class HttpContext:
    """What the connections of a process have in common."""

    ingress: Ingress
    gathering: Gathering
    table: ConnectionTable
    bodies: BodyBudget
    heads: BodyBudget
    """Those that do not arrive in one piece may take half of it."""
    malformed: MalformedLog
    head_timeout_s: float
    """How long a head may take; also, until a connection is proven, the wait for it."""
    body_timeout_s: float
    """How long a body may take."""
    keepalive_s: float
    """How long a proven connection may be idle."""
    max_body_bytes: int
    asks_to_close: bool = False
    """Whether each reply is the last on its connection."""
