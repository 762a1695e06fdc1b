"""Units of the settings of the workers."""

KIBIBYTE = 1024
MEBIBYTE = 1024 * KIBIBYTE
