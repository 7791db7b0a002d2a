"""What to ask: one TOML file per experiment, its typed spec, and the command line that runs the stages."""
