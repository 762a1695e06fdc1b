"""Units of the settings of the ingress."""

MEBIBYTE = 1024 * 1024
