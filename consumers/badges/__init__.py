"""The worker of badges: how many one-to-one messages each user has not read, in Redis and on a compacted topic."""

from consumers.badges.worker import Badges

__all__ = ["Badges"]
