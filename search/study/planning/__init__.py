"""What a study evaluates: fixed at its start, or decided between its stages.

`config` is the frozen description, `leaders` selects who is confirmed, `rounds` follows the decisions of a
confirm stage, `warm_start` takes candidates from earlier studies.
"""
