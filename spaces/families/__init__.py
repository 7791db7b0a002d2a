"""One file each; the file's name is the family's. CANDOR_FAMILIES names folders with families of one's own."""

import os

__path__.extend(folder for folder in os.environ.get("CANDOR_FAMILIES", "").split(os.pathsep) if folder)
