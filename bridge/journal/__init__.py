"""Third step: records become durable, in order. The essay is in `bridge.journal.journal`."""
