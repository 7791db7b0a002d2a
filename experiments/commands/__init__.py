"""One file a command: `command` is the function behind it, PANEL its heading in `candor --help`."""
