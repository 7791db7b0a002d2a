"""A study from its experiment file to the opened test set.

`search.search` is the entry. `resolve` turns an experiment and its data into a study, `dry_run` shows it.
`rounds` decides between rounds of confirm, `conclude` freezes the verdict, `register` keeps the selected
model, `unseal` opens the test set. `lookup` finds recorded runs and data by name.
"""
