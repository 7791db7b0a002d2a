"""The workers of one machine: they claim evaluations, run them in child processes and tell the study.

`coordinator` runs the stages, `session` one evaluation, `recorder` records both; `dry_run` and
`thread_benchmark` measure before a study.
"""
