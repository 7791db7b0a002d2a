"""Results that exist already: read from their source, and judged by what they leave out.

`readers` holds a reader for each kind of source; all fill one `Table`. `roles` says which column is what,
`curves` and `predictions` read files of single runs, `results` turns rows into evaluations, and `findings`
says what is wrong with the records. Nothing here writes: `candor import` does, by the contract of a search.
"""
