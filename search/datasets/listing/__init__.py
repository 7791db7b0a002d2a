"""What lies in a folder or an archive, before anything is decoded.

Files are listed, folders are read as splits and classes, and what takes no part is said. Readers, and the
prediction of pictures in folders, use the same rules.
"""
