"""One module per group of sub-commands; each offers `add_parser(subparsers)` and sets `run(args) -> exit code`."""
