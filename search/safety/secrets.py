"""Passwords are kept out of what is printed or recorded."""

import re


def masked(text: str) -> str:
    """The text without the passwords of addresses in it."""
    return re.sub(r"(://[^:/@\s]*):[^@/\s]+@", r"\1:***@", re.sub(r"(password=)[^&\s]+", r"\1***", text))
