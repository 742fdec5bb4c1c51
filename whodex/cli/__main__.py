from whodex.cli.app import app


def main() -> None:
    """The `whodex` command."""
    app()


if __name__ == "__main__":
    main()
