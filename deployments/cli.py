"""The command `downtime`."""

import typer

app = typer.Typer(
    name="downtime", no_args_is_help=True, help="Takes nodes of a Run:ai cluster down, and brings them back."
)


@app.callback()
def root() -> None:
    """Takes nodes of a Run:ai cluster down, and brings them back."""


def main() -> None:
    """Run the command; the entry point of the console script."""
    app()
