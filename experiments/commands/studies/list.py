"""`candor list`: the experiments and the families."""

PANEL = "Studies"


def command() -> None:
    """Show the experiments and the families, with their questions."""
    from rich.console import Console

    from experiments.schema import catalog
    from experiments.table_output import print_table
    from spaces.family import family_names, load_family

    console = Console()
    experiments = [(entry.name, entry.question, ", ".join(entry.space)) for entry in catalog.entries()]
    families = {name: load_family(name) for name in family_names()}
    described = [(name, family.summary, ", ".join(family.variants)) for name, family in families.items()]
    print_table(console, ("experiment", "question", "space"), experiments)
    console.print()
    print_table(console, ("family", "what it is", "variants"), described)
