"""What the commands do, without a command line. One module per piece of work.

`study` runs a study to its verdict, `models` uses what it trained, `records` imports, packs and removes
records, `console` prints.
"""
