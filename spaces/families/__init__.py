"""One file for each family, named as it is. CANDOR_FAMILIES names folders with families of one's own."""

import os

__path__.extend(folder for folder in os.environ.get("CANDOR_FAMILIES", "").split(os.pathsep) if folder)
