"""What starts `candor worker` on several machines: one file for each scheduler, found by its name.

A launcher has `launch(request, say)`. It starts workers and nothing else: the study's state is in the hub.
"""
