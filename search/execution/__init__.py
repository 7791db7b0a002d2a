"""Processes alone: the server that forks children, the pipe to them, their limits and their devices.

`fork_client` is the coordinator's side, `fork_server` the other; `messages` is the protocol on the pipe.
"""
