"""The load: what is sent, by a program in C that is compiled when it is needed."""
