"""What the ingress says of the records that it numbers, and the audit reads: the header, the statement."""
