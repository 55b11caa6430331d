"""`python -m proxy`: the same as the `signet-proxy` command."""

from proxy.cli import main

if __name__ == "__main__":
    main()
