"""Traces: the context of one in headers, spans for those who have them exported, and nothing at all for the others."""
