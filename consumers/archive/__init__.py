"""The platform's archive: the messages of each hour of the last seven days, as files that it makes and we download."""
