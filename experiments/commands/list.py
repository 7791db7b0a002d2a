"""`candor list`: the experiments and the families."""

PANEL = "Studies"


def command() -> None:
    """Show the experiments and the families, with their questions."""
    from rich.console import Console
    from rich.table import Table

    from experiments.schema import catalog
    from spaces.family import family_names, load_family

    console = Console()
    experiments = Table("experiment", "question", "space", box=None, header_style="bold", padding=(0, 2))
    for entry in catalog.entries():
        experiments.add_row(entry.name, entry.question, ", ".join(entry.space))
    families = Table("family", "what it is", "variants", box=None, header_style="bold", padding=(0, 2))
    for name in family_names():
        family = load_family(name)
        families.add_row(name, family.summary, ", ".join(family.variants))
    console.print(experiments)
    console.print()
    console.print(families)
