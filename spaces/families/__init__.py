"""One file for each family of architectures; the file's name is the family's."""
