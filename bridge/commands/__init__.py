"""The commands of `bridge`: a module of its name says what each takes, and imports what does it when it runs.

So help is there at once: what does it needs a second of CPU to import.
"""
