"""What a process calls, function by function: with this folder on its PYTHONPATH it tells at each SIGUSR1.

It tells since the last one, in the files OUT.0, OUT.1…, as a list of file and function; that of a function in C is its
module.
"""

OUT = "TEST_CALLED_OUT"
"""The environment variable with the path of what it writes, less the number."""
