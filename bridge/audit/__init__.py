"""What a process states of the records that it numbers, so that an audit can prove that none is missing.

A life of a process begins when it takes a ledger (`ledger`), which outlives it, and ends with a statement: its own, or
one of whoever finds the ledger of a process that was killed. Which records became durable in between is marked in
memory that outlives the process too (`marks`). What is known is stated on a topic now and then (`stating`).
"""
