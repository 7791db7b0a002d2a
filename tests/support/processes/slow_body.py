"""A body of children that takes as long to import as Keras does on a busy machine."""

import time

time.sleep(60)
