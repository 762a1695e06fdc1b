"""`bridge console`: a page that shows what comes in, what became of it, and what to do about what did not.

It is a process of its own, above everything else of the bridge: nothing of the ingress knows of it. What only the
workers can do (read a badge, handle a dead letter again) a child process of `consumers` does, see `desk.py`: so neither
program imports the other, and no worker's code runs in the process that faces browsers.
"""
