"""One file per command, found by its name in any folder here.

`command` is the function behind it, PANEL its heading in `candor --help`. The folders follow the headings:
`studies`, `models`, `workspace`.
"""
