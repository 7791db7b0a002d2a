"""What the commands do, without a command line: a study run, reproduced, removed; its winner put to use."""
