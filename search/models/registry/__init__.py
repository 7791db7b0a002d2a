"""Registered models in MLflow: packed, registered, promoted, found again and served.

`registry` changes them, `references` finds what a person names, `queries` reads quickly, `serving` runs in
a server.
"""
